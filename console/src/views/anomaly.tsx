import { useMemo } from "preact/hooks";
import { useParams } from "wouter-preact";
import { withUnit, typeName } from "../anomaly-words";
import { useAnswer } from "../ask";
import {
  Async, Badge, Bars, Chart, Download, Empty, Figures, HostLink, KeyValue, Panel, SeverityBadge, ViewLink, ViewTitle,
} from "../components";
import { BlockButton } from "../components/block";
import { Evidence } from "../components/evidence";
import { Packets } from "../components/packets";
import { count, figure, percent, plural, words } from "../format";
import { moment, span } from "../time";
import type { AnomalyDetail, Schemas } from "../types";

type Explanation = Schemas["Explanation"];

/** Why something is an anomaly, what is usual there, and what shows it. */
export default function AnomalyView() {
  const { id = "" } = useParams<{ id: string }>();
  const found = useAnswer<AnomalyDetail>(`/api/anomalies/${encodeURIComponent(id)}`);
  return (
    <>
      {!found.data && <ViewTitle title="Anomaly" />}
      <Async of={found}>{(one) => <Told one={one} />}</Async>
    </>
  );
}

function Told({ one }: { one: AnomalyDetail }) {
  return (
    <>
      <ViewTitle
        title={one.message}
        actions={
          <>
            <Download path={`/api/anomalies/${one.anomaly_id}/pcap`} name={`anomaly-${one.anomaly_id}.pcapng`}>
              Packets (pcapng)
            </Download>
            {one.source_ip && <BlockButton ip={one.source_ip} capture={one.capture_id} reason={one.message} />}
          </>
        }
      >
        <span class="row">
          <SeverityBadge severity={one.severity} />
          <span>
            {typeName(one.type)} · {words(one.signal)} ·{" "}
            <ViewLink to="/windows" more={{ capture: one.capture_id, window: one.window_id }}>
              window {one.window_id}
            </ViewLink>
            , {moment(one.window_start)} to {moment(one.window_end, false)} UTC
          </span>
          {!one.is_current && <Badge tone="info">replaced, or of a dry run</Badge>}
        </span>
      </ViewTitle>
      <div class="stack">
        <Measured one={one} />
        <div class="grid">
          <Why one={one} />
          <PicturePanel one={one} />
        </div>
        <Evidence one={one} />
        <Packets path={`/api/anomalies/${one.anomaly_id}/dissect`} />
      </div>
    </>
  );
}

function Measured({ one }: { one: AnomalyDetail }) {
  const { current_value: value, threshold, explanation, incident } = one;
  const unit = explanation?.unit ?? "";
  const times = value !== null && threshold ? value / threshold : null;
  return (
    <Figures
      of={[
        { label: "Measured", value: withUnit(value, unit), note: words(one.metric).replace(/ percent$/, "") },
        {
          label: "Bound passed", value: withUnit(threshold, unit),
          note: times !== null && times > 1 ? `${figure(Number(times.toPrecision(3)))} times over` : "reached",
        },
        one.baseline_mean === null
          ? { label: "Usual", value: "no baseline", note: "the rule needs none" }
          : {
              label: "Usual", value: withUnit(one.baseline_mean, unit),
              note: off(one),
            },
        {
          label: "Incident",
          value: plural(incident?.count ?? one.incident_count, "anomaly", "anomalies"),
          note: incident && incident.count > 1 ? (
            <ViewLink to="/anomalies" more={{ incident: one.incident_id, capture: one.capture_id }}>
              in {plural(incident.windows, "window")}, since {moment(incident.first_seen, false)}
            </ViewLink>
          ) : "only this one",
        },
      ]}
    />
  );
}

/** How far off: standard deviations, or the ratio where the rule is one. */
function off({ deviation, current_value: value, baseline_mean: mean, explanation }: AnomalyDetail): string {
  if (deviation === null) return "on average";
  const std = explanation?.baseline?.std;
  const inStd = std && value !== null && mean !== null ? (value - mean) / std : NaN;
  const isStd = Math.abs(inStd - deviation) <= 0.05 * Math.abs(deviation);
  const shown = figure(Number(deviation.toPrecision(3)));
  return isStd ? `${shown} standard deviations off` : `${shown} times as much`;
}

function Why({ one }: { one: AnomalyDetail }) {
  const told = one.explanation;
  return (
    <Panel title="Why">
      {told ? (
        <div class="stack">
          <p>
            <strong>{withUnit(told.value, told.unit)}</strong> where the bound is {withUnit(told.threshold, told.unit)}. The rule:{" "}
            <em>{told.rule}</em>.
          </p>
          <KeyValue
            of={[
              ["Source", one.source_ip && <HostLink address={one.source_ip} />],
              ["Destination", one.destination_ip && <HostLink address={one.destination_ip} />],
              ["Protocol", one.protocol],
              ["Connection", one.flow_src && one.flow_dst && <span class="mono">{one.flow_src} → {one.flow_dst}</span>],
              ["Folded", one.folded ? `and ${plural(one.folded, "anomaly", "anomalies")} like it in this window` : null],
              ...contextRows(told),
            ]}
          />
          {told.contributions.length > 0 && <Contributions told={told} />}
          {told.baseline && <Baseline told={told} />}
        </div>
      ) : (
        <Empty title="It says no more than its message." />
      )}
    </Panel>
  );
}

const PROTOCOLS: Record<string, string> = { 1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6" };

const CONTEXT: Record<string, string> = {
  seconds: "Within", failed_percent: "Unanswered or refused", protocol_number: "Protocol", packets_forward: "Packets there",
  packets_backward: "Packets back",
};

function contextRows(told: Explanation): [string, string][] {
  // Of several ports the first one says nothing more.
  const isTold = (name: string) => !(name === "port" && Array.isArray(told.context.ports));
  return Object.entries(told.context)
    .filter(([name]) => isTold(name))
    .map(([name, value]) => [CONTEXT[name] ?? sentence(name), contextValue(name, value)]);
}

const sentence = (name: string): string => words(name).replace(/^./, (letter) => letter.toUpperCase());

function contextValue(name: string, value: unknown): string {
  if (Array.isArray(value)) return `${value.join(", ")}${value.length >= 16 ? " …" : ""}`;
  if (name === "protocol_number") return PROTOCOLS[String(value)] ?? String(value);
  if (name === "seconds") return span(Number(value));
  if (typeof value === "number" && name.endsWith("percent")) return percent(value / 100);
  if (typeof value === "number") return name.includes("port") ? String(value) : figure(value);
  return String(value);
}

function Contributions({ told }: { told: Explanation }) {
  return (
    <div>
      <h3>Who it comes from</h3>
      <Bars
        label="Largest contributions"
        of={told.contributions.map(({ name, value, share }) => ({
          key: name, label: <span class="mono">{name}</span>, value, shown: withUnit(value, told.unit === "%" ? "" : told.unit),
          note: share === null ? undefined : percent(share),
        }))}
      />
    </div>
  );
}

function Baseline({ told }: { told: Explanation }) {
  const shown = (name: string, value: number) =>
    /windows|count/.test(name) ? count(value) : /share|ratio/.test(name) ? figure(value) : withUnit(value, told.unit);
  return (
    <div>
      <h3>What is usual</h3>
      <KeyValue of={Object.entries(told.baseline ?? {}).map(([name, value]) => [sentence(name), shown(name, value)])} />
    </div>
  );
}

function PicturePanel({ one }: { one: AnomalyDetail }) {
  const { picture } = one;
  const unit = unitOf(one);
  const { x, series, band } = useMemo(() => drawn(one), [one]);
  const isBanded = picture.band.mean !== null;
  const level = picture.band.high ?? one.threshold;
  return (
    <Panel title="Beside what is usual">
      {x.length ? (
        <>
          <Chart
            title={`${words(picture.metric)} window by window`}
            x={x}
            series={series}
            band={band}
            marks={[{ at: one.window_start, until: one.window_end }]}
            levels={isBanded || level === null ? undefined : [{ value: level }]}
            format={(value) => withUnit(value, unit)}
            height={220}
          />
          <p class="muted small">
            {isBanded
              ? "Shaded: where it usually lies, as the baseline stood then. "
              : "No baseline is needed for this rule: the broken line is its bound. "}
            The stripe is this window. A figure that is counted over several windows is shown window by window.
          </p>
        </>
      ) : (
        <Empty title="There is no picture of this metric." />
      )}
    </Panel>
  );
}

/** Units that fit beside an axis; other figures are counts, and the title says of what. */
const SHORT_UNITS = new Set(["bytes/s", "packets/s", "ms", "s", "%", "ports", "hosts"]);

function unitOf(one: AnomalyDetail): string {
  // A protocol's picture is its share, whatever the rule counts in.
  if (one.type === "protocol_anomaly") return "%";
  const unit = one.explanation?.unit ?? "";
  return SHORT_UNITS.has(unit) ? unit : "";
}

/** The measured values, the bounds that are known, and which two of them are the edges of the band. */
function drawn(one: AnomalyDetail) {
  const { windows, band, metric } = one.picture;
  const x = windows.map((window) => window.window_start);
  const level = (value: number) => windows.map(() => value);
  const series = [
    { label: words(metric), values: windows.map((window) => window.value), colour: "chart-1" },
  ] as { label: string; values: (number | null)[]; colour: string; dash?: number[] }[];
  if (band.high !== null) series.push({ label: band.mean === null ? "bound" : "usual at most", values: level(band.high), colour: band.mean === null ? "high" : "line-strong", dash: [6, 4] });
  if (band.mean !== null) {
    series.push({ label: "usual at least", values: level(band.low ?? 0), colour: "line-strong", dash: [6, 4] });
    series.push({ label: "mean", values: level(band.mean), colour: "chart-2", dash: [2, 3] });
  }
  return { x, series, band: band.mean !== null && band.high !== null ? ([1, 2] as [number, number]) : undefined };
}
