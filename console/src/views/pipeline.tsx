/** The pipeline: whether its parts answer, how far readers are behind, and whether anything got lost. */
import { get, getText } from "../api";
import { captureName, useCaptures } from "../captures";
import { Async, Badge, type Column, Empty, Figures, KeyValue, Panel, Table, ViewLink, ViewTitle } from "../components";
import { useData } from "../data";
import { type Sample, samplesOf, valueOf } from "../figures";
import { bytes, count, percent, plural } from "../format";
import { LedgerPanel } from "../components/ledger";
import { useScope } from "../scope";
import { moment, span } from "../time";
import type { Capture, Health, Ledger, Models } from "../types";

const LOOK_MS = 5000;

export default function Pipeline() {
  const { current } = useCaptures();
  const scope = useScope();
  return (
    <>
      <ViewTitle title="Pipeline">Whether everything runs, keeps up and loses nothing</ViewTitle>
      <Service />
      <div class="grid">
        <Lag />
        <Model />
      </div>
      {current ? <LedgerOf capture={current} isNewest={!scope.capture} /> : <Empty title="No capture yet, so nothing to count." />}
    </>
  );
}

function Service() {
  const health = useData("health", (signal) => get<Health>("/health", {}, signal), LOOK_MS);
  const figures = useFigures();
  const kafka = valueOf(figures.data ?? [], "spanwatch_kafka_up");
  return (
    <Async of={health}>
      {({ details, api_version: version, mode }) => (
        <Figures
          of={[
            { label: "Service", value: "running", note: `${version}, mode ${mode}` },
            { label: "Store", value: "answers", note: "ClickHouse" },
            { label: "Kafka", value: kafka === null ? "–" : kafka ? "answers" : <span class="text-high">no answer</span> },
            { label: "Up for", value: span(details.uptime_seconds) },
            { label: "Memory", value: bytes(details.memory_usage_mb * 1_048_576), note: "of the API's process" },
            { label: "Listeners", value: count(sumOf(figures.data ?? [], "spanwatch_stream_subscribers")), note: "to the stream of events" },
          ]}
        />
      )}
    </Async>
  );
}

const useFigures = () => useData("figures", async (signal) => samplesOf(await getText("/metrics", {}, signal)), LOOK_MS);

const sumOf = (samples: Sample[], name: string): number =>
  samples.filter((sample) => sample.name === name).reduce((sum, { value }) => sum + value, 0);

interface Behind {
  group: string;
  topic: string;
  messages: number;
}

function Lag() {
  const figures = useFigures();
  const columns: Column<Behind>[] = [
    { key: "group", title: "Reader", sort: (one) => one.group, cell: (one) => one.group },
    { key: "topic", title: "Topic", sort: (one) => one.topic, cell: (one) => <span class="mono">{one.topic}</span> },
    { key: "lag", title: "Messages behind", numeric: true, sort: (one) => one.messages, cell: (one) => count(one.messages) },
  ];
  return (
    <Panel title="Lag">
      <Async of={figures}>
        {(samples) => {
          const rows = samples
            .filter(({ name }) => name === "spanwatch_kafka_lag_messages")
            .map(({ labels, value }) => ({ group: labels.group, topic: labels.topic, messages: value }));
          return rows.length ? (
            <Table caption="How far readers are behind" columns={columns} rows={rows} rowKey={(one) => `${one.group} ${one.topic}`} order={{ key: "lag", isDown: true }} />
          ) : (
            <p class="muted">No reader has begun yet.</p>
          );
        }}
      </Async>
      <p class="muted small">A message holds up to 65,536 packets. What agents still need of open windows and flows counts as behind.</p>
    </Panel>
  );
}

function Model() {
  const models = useData("models", (signal) => get<Models>("/api/models", {}, signal), 30_000);
  return (
    <Panel title="Model" actions={<ViewLink to="/models">All models</ViewLink>}>
      <Async of={models}>
        {(known) => {
          const champion = known.models.find((model) => model.fingerprint === known.champion);
          if (!champion) return <Empty title="No model judges flows." />;
          const said = champion.verdicts.champion;
          const drifted = champion.drift.filter((one) => one.changes > 0);
          return (
            <KeyValue
              of={[
                ["Champion", <ViewLink to={`/models/${champion.fingerprint}`} class="mono">{champion.fingerprint}</ViewLink>],
                ["Version", champion.version],
                ["Trained", moment(Date.parse(champion.trained_at) / 1000)],
                ["Macro F1", percent(champion.metrics.validation_macro_f1)],
                ["Verdicts", said ? `${count(said.verdicts)}, ${count(said.uncertain)} uncertain` : "none yet"],
                ["Drift", drifted.length ? <Badge tone="medium">{drifted.map((one) => one.signal).join(", ")}</Badge> : <Badge tone="good">none</Badge>],
                ["Challenger", known.challenger ? <span class="mono">{known.challenger}</span> : "none"],
              ]}
            />
          );
        }}
      </Async>
    </Panel>
  );
}

function LedgerOf({ capture, isNewest }: { capture: Capture; isNewest: boolean }) {
  const path = `/api/captures/${capture.capture_id}/ledger`;
  const ledger = useData(path, (signal) => get<Ledger>(path, {}, signal), LOOK_MS);
  return (
    <>
      <p class="muted below">
        {isNewest ? "The newest capture" : "The chosen capture"}, <ViewLink to={`/captures/${capture.capture_id}`}>{captureName(capture)}</ViewLink>,{" "}
        {plural(capture.packets, "packet")}:
      </p>
      <Async of={ledger}>{(found) => <LedgerPanel ledger={found} />}</Async>
    </>
  );
}
