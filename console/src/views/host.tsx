import { useMemo, useState } from "preact/hooks";
import { useParams, useSearch } from "wouter-preact";
import { typeName } from "../anomaly-words";
import { useAnswer } from "../ask";
import {
  Async, Badge, Chart, Empty, Figures, HostLink, Panel, SeverityBadge, Table, ViewLink, ViewTitle, type Column,
} from "../components";
import { BlockButton } from "../components/block";
import { FLOW_COLUMNS, flowHref, lineOfFlow } from "../components/flow-lines";
import { Honeypots } from "../components/honeypot-lines";
import { Verdicts } from "../components/host-verdicts";
import { countryName } from "../countries";
import { bits, bytes, count, figure, plural, words } from "../format";
import { scopeParams, useScope, useSetParams, viewAddress } from "../scope";
import { moment, span } from "../time";
import type { Incident, Incidents, Schemas } from "../types";

type Seen = Schemas["HostSeenAnswer"];
/** Services shown at first: a scan uses twenty that nobody wants to read. */
const FEW = 8;


/** One address: what it did, when, with whom, and what is said of it. */
export default function HostView() {
  const { address: text = "" } = useParams<{ address: string }>();
  // The router leaves the colons of IPv6 encoded.
  const address = decoded(text);
  const scope = useScope();
  const path = `/api/hosts/${encodeURIComponent(address)}`;
  const seen = useAnswer<Seen>(path, { ...scopeParams(scope), points: 150 });
  return (
    <>
      <ViewTitle
        title={seen.data?.ip ?? address}
        actions={seen.data && <BlockButton ip={seen.data.ip} capture={seen.data.capture_id} reason="" />}
      >
        {seen.data && <Lead seen={seen.data} />}
      </ViewTitle>
      <Async of={seen}>{(host) => <Told host={host} />}</Async>
    </>
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function Lead({ seen }: { seen: Seen }) {
  const { first_seen: first, last_seen: last } = seen.total;
  const blocks = useAnswer<Schemas["BlocksAnswer"]>("/active-defense/block", { limit: 1000 });
  const block = blocks.data?.blocks.find(({ ip }) => ip === seen.ip);
  return (
    <>
      {countryName(seen.country)}
      {first !== null && last !== null && `, seen ${moment(first)} to ${moment(last, false)} UTC`}
      {block && (
        <>
          {" "}
          <Badge tone={block.is_dry_run ? "info" : "high"}>
            blocked{block.is_dry_run ? " (dry run)" : ""}, {span(block.remaining_s)} left
          </Badge>
        </>
      )}
    </>
  );
}

function Told({ host }: { host: Seen }) {
  const scope = { ...scopeParams(useScope()), capture: host.capture_id };
  const { total } = host;
  if (total.flows_begun + total.flows_answered === 0) {
    return (
      <div class="stack">
        <Empty title="This address had no flow in this capture and time.">Take a longer time, or another capture.</Empty>
        <Anomalies ip={host.ip} scope={scope} />
        <Honeypots ip={host.ip} />
      </div>
    );
  }
  return (
    <div class="stack">
      <Figures
        of={[
          { label: "Sent", value: bytes(total.bytes_sent), note: plural(total.packets_sent, "packet") },
          { label: "Received", value: bytes(total.bytes_received), note: plural(total.packets_received, "packet") },
          { label: "Flows begun", value: count(total.flows_begun), note: `${count(total.flows_answered)} asked of it` },
          { label: "Peers", value: count(host.peer_count), note: `${plural(host.uses.length, "service")} used, ${count(host.offers.length)} offered` },
        ]}
      />
      <Traffic host={host} usual={host.baselines.bandwidth ?? null} />
      <div class="grid">
        <Anomalies ip={host.ip} scope={scope} />
        <Verdicts ip={host.ip} scope={scope} />
      </div>
      <div class="grid grid-3">
        <Ports title="Services it uses" of={host.uses} empty="It asked nobody for anything." />
        <Ports title="Services it offers" of={host.offers} empty="Nobody asked it for anything." />
        <Usual learnt={host.baselines} />
      </div>
      <Panel title={`${plural(host.peer_count, "peer")}`}>
        <Table caption="Peers, most bytes first" columns={PEERS} rows={host.peers} rowKey={(peer) => peer.ip} />
      </Panel>
      <Flows ip={host.ip} scope={scope} />
      <Honeypots ip={host.ip} />
    </div>
  );
}

function Traffic({ host, usual }: { host: Seen; usual: Schemas["BaselineFigures"] | null }) {
  const setParams = useSetParams();
  const { x, series } = useMemo(() => {
    const rate = (octets: number) => (octets * 8) / host.step_s;
    const lines = [
      { label: "sent", values: host.series.map((point) => rate(point.bytes_sent)), fill: true },
      { label: "received", values: host.series.map((point) => rate(point.bytes_received)) },
    ] as { label: string; values: (number | null)[]; fill?: boolean; colour?: string; dash?: number[] }[];
    if (usual?.p99) {
      const level = usual.p99 * 8;
      lines.push({ label: "usual at most, both together (99 %)", values: host.series.map(() => level), colour: "line-strong", dash: [6, 4] });
    }
    return { x: host.series.map((point) => point.time), series: lines };
  }, [host, usual]);
  return (
    <Panel title="Traffic" actions={<span class="muted small">steps of {host.step_s < 60 ? `${host.step_s} s` : span(host.step_s)}; a flow's bytes are spread over its time</span>}>
      <Chart
        title={`Traffic of ${host.ip}`}
        x={x}
        series={series}
        format={bits}
        height={200}
        onRange={(from, to) => setParams({ from: Math.round(from * 1000), to: Math.round(to * 1000) })}
      />
    </Panel>
  );
}

type Scope = Record<string, string | number | null>;

function Anomalies({ ip, scope }: { ip: string; scope: Scope }) {
  const caused = useAnswer<Incidents>("/api/anomalies/incidents", { ...scope, source_ip: ip, limit: 10 });
  const suffered = useAnswer<Incidents>("/api/anomalies/incidents", { ...scope, destination_ip: ip, limit: 10 });
  const search = useSearch();
  const listed = [...(caused.data?.incidents ?? []), ...(suffered.data?.incidents ?? [])];
  const rows = listed.filter((one, place) => listed.findIndex((other) => other.incident_id === one.incident_id) === place);
  return (
    <Panel title="Anomalies" actions={
      <span class="row small">
        {caused.data && caused.data.total > 0 && <ViewLink to="/anomalies" more={{ source_ip: ip }}>{count(caused.data.total)} it causes</ViewLink>}
        {suffered.data && suffered.data.total > 0 && <ViewLink to="/anomalies" more={{ destination_ip: ip }}>{count(suffered.data.total)} against it</ViewLink>}
      </span>
    }>
      <Async of={caused}>
        {() =>
          rows.length ? (
            <Table
              caption={`Incidents that ${ip} is part of`}
              columns={INCIDENTS}
              rows={rows}
              rowKey={(one) => one.incident_id}
              href={(one) => viewAddress(`/anomalies/${one.last_anomaly_id}`, search, { capture: one.capture_id })}
            />
          ) : (
            <Empty title="Nothing odd is known of it." />
          )
        }
      </Async>
    </Panel>
  );
}

const INCIDENTS: Column<Incident>[] = [
  { key: "severity", title: "Severity", cell: (one) => <SeverityBadge severity={one.severity} />, sort: (one) => one.severity },
  {
    key: "message", title: "What", grow: true,
    cell: (one) => <ViewLink to={`/anomalies/${one.last_anomaly_id}`} more={{ capture: one.capture_id }}>{one.message}</ViewLink>,
  },
  { key: "type", title: "Type", cell: (one) => typeName(one.type), minor: true },
  { key: "count", title: "Times", cell: (one) => count(one.count), numeric: true },
  { key: "first", title: "First seen", cell: (one) => moment(one.first_seen, false), sort: (one) => one.first_seen },
];

function Ports({ title, of, empty }: { title: string; of: Seen["uses"]; empty: string }) {
  const [isWhole, setWhole] = useState(false);
  return (
    <Panel title={title}>
      {of.length ? (
        <Table caption={title} columns={PORTS} rows={isWhole ? of : of.slice(0, FEW)} rowKey={(port) => port.service} />
      ) : (
        <p class="muted">{empty}</p>
      )}
      {of.length > FEW && (
        <button type="button" class="button button-small" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Fewer" : `${count(of.length - FEW)} more`}
        </button>
      )}
    </Panel>
  );
}

const PORTS: Column<Seen["uses"][number]>[] = [
  { key: "service", title: "Service", cell: (port) => <span class="mono">{port.service}</span> },
  { key: "flows", title: "Flows", cell: (port) => count(port.flows), numeric: true, sort: (port) => port.flows },
  { key: "peers", title: "Peers", cell: (port) => count(port.peers), numeric: true, sort: (port) => port.peers },
  { key: "bytes", title: "Bytes", cell: (port) => bytes(port.bytes), numeric: true, sort: (port) => port.bytes },
];

function Usual({ learnt }: { learnt: Seen["baselines"] }) {
  const kinds = Object.entries(learnt);
  const shown = (value: number | null, unit: string) => (value === null ? "–" : unit === "bytes/s" ? bits(value * 8) : figure(value));
  return (
    <Panel title="What is usual for it">
      {kinds.length ? (
        <Table
          caption="Baselines of this host"
          columns={[
            { key: "kind", title: "Figure", cell: ([kind]) => words(kind) },
            { key: "mean", title: "Mean", numeric: true, cell: ([, one]) => shown(one.mean, one.detail.unit) },
            { key: "median", title: "Median", numeric: true, cell: ([, one]) => shown(one.median, one.detail.unit), minor: true },
            { key: "p95", title: "95 %", numeric: true, cell: ([, one]) => shown(one.p95, one.detail.unit) },
            { key: "p99", title: "99 %", numeric: true, cell: ([, one]) => shown(one.p99, one.detail.unit) },
            { key: "windows", title: "Windows learnt", numeric: true, cell: ([, one]) => count(one.detail.windows) },
          ]}
          rows={kinds}
          rowKey={([kind]) => kind}
        />
      ) : (
        <p class="muted">Nothing was learnt of this host: it is seldom among the busiest of a window.</p>
      )}
    </Panel>
  );
}

const PEERS: Column<Seen["peers"][number]>[] = [
  { key: "ip", title: "Address", cell: (peer) => <HostLink address={peer.ip} /> },
  { key: "country", title: "Where", cell: (peer) => countryName(peer.country), sort: (peer) => peer.country, minor: true },
  { key: "services", title: "Services", cell: (peer) => <span class="mono">{peer.services.join(", ")}</span>, grow: true },
  { key: "flows", title: "Flows", cell: (peer) => count(peer.flows_begun + peer.flows_answered), numeric: true, sort: (peer) => peer.flows_begun + peer.flows_answered },
  { key: "sent", title: "Sent to it", cell: (peer) => bytes(peer.bytes_sent), numeric: true, sort: (peer) => peer.bytes_sent },
  { key: "received", title: "Received", cell: (peer) => bytes(peer.bytes_received), numeric: true, sort: (peer) => peer.bytes_received },
  { key: "last", title: "Last seen", cell: (peer) => moment(peer.last_seen, false), sort: (peer) => peer.last_seen, minor: true },
];

function Flows({ ip, scope }: { ip: string; scope: Scope }) {
  const list = useAnswer<Schemas["FlowsAnswer"]>("/api/flows/", { ...scope, ip, limit: 10 });
  const search = useSearch();
  return (
    <Panel title="Newest flows" actions={<ViewLink to="/flows" more={{ ip }}>All its flows</ViewLink>}>
      <Async of={list}>
        {({ flows }) => (
          <Table
            caption="Newest flows"
            columns={FLOW_COLUMNS}
            rows={flows.map(lineOfFlow)}
            rowKey={(flow) => flow.flow_id}
            href={(flow) => flowHref(flow, search)}
          />
        )}
      </Async>
    </Panel>
  );
}
