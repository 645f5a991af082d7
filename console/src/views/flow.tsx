import type { ComponentChildren } from "preact";
import { useParams } from "wouter-preact";
import { useAnswer } from "../ask";
import {
  Async, Badge, Copy, Empty, Figures, HostLink, KeyValue, Panel, Table, VerdictBadge, ViewLink, ViewTitle, type Column,
} from "../components";
import { BlockButton } from "../components/block";
import { endText, lasted, sure, type Verdict } from "../components/flow-lines";
import { Reasons } from "../components/reasons";
import { featureValue, GROUPS } from "../flow-features";
import { bytes, count, percent, plural, words } from "../format";
import { useScope, useParam, useSetParams } from "../scope";
import { moment } from "../time";
import type { Schemas } from "../types";
import "./flow.css";

type Detail = Schemas["FlowDetailAnswer"];
type Packets = Schemas["FlowPacketsAnswer"];

const PAGE = 100;

const ENDS: Record<string, string> = {
  fin: "both sides said goodbye (FIN)",
  rst: "one side broke it off (RST)",
  timeout: "cut after 120 s; what follows is the next flow",
  idle: "nothing came for 120 s",
  evicted: "the flow table was full",
  end_of_capture: "the capture ended first",
  interim: "not over: it goes on",
};

/** One flow: who, when, what it is taken for and why, its features and packets. */
export default function FlowView() {
  const { id = "" } = useParams<{ id: string }>();
  const { capture } = useScope();
  const found = useAnswer<Detail>(`/api/flows/${encodeURIComponent(id)}`, { capture });
  return (
    <>
      {!found.data && <ViewTitle title="Flow" />}
      <Async of={found}>{(flow) => <Told flow={flow} />}</Async>
    </>
  );
}

const hasPorts = (flow: Detail) => flow.source_port > 0 || flow.destination_port > 0;

function Told({ flow }: { flow: Detail }) {
  const ends = [
    endText(flow.source_ip, flow.source_port, hasPorts(flow)),
    endText(flow.destination_ip, flow.destination_port, hasPorts(flow)),
  ];
  return (
    <>
      <ViewTitle
        title={`${ends[0]} → ${ends[1]}`}
        actions={
          <BlockButton
            ip={flow.source_ip}
            capture={flow.capture_id}
            reason={flow.classification?.is_attack ? `${flow.classification.class_name}: flow to ${ends[1]}` : ""}
          />
        }
      >
        <span class="row">
          {flow.classification && (
            <VerdictBadge
              name={flow.classification.class_name}
              isAttack={flow.classification.is_attack}
              isUncertain={flow.classification.is_uncertain}
            />
          )}
          <span>
            {flow.protocol_name} flow, {moment(flow.start)} UTC, {flow.is_ended ? "over" : "not over"}
          </span>
        </span>
      </ViewTitle>
      <div class="stack">
        <Figures
          of={[
            { label: "Packets", value: count(flow.packets), note: `${count(flow.packets_forward)} there, ${count(flow.packets_backward)} back` },
            { label: "Bytes", value: bytes(flow.bytes), note: `${bytes(flow.bytes_forward)} there, ${bytes(flow.bytes_backward)} back` },
            { label: "Lasted", value: lasted(flow.duration_s), note: `until ${moment(flow.end, false)}` },
            {
              label: "Confidence", value: flow.classification ? sure(flow.classification.confidence) : "–",
              note: flow.classification ? `attack of any kind: ${percent(flow.classification.attack_probability)}` : "not judged",
            },
          ]}
        />
        <div class="grid">
          <VerdictPanel flow={flow} />
          <Ends flow={flow} />
        </div>
        <History flow={flow} />
        <Features flow={flow} />
        <PacketList flow={flow} />
      </div>
    </>
  );
}

function Ends({ flow }: { flow: Detail }) {
  const end = (ip: string, port: number) => (
    <span class="mono">
      <HostLink address={ip} />
      {hasPorts(flow) && ` port ${port}`}
    </span>
  );
  const rows: [string, ComponentChildren][] = [
    ["From", end(flow.source_ip, flow.source_port)],
    ["To", end(flow.destination_ip, flow.destination_port)],
    ["Protocol", `${flow.protocol_name} (${flow.protocol})`],
    ["ICMP", /icmp/.test(flow.protocol_name) ? `type ${flow.icmp_type}, code ${flow.icmp_code}` : null],
    ["VLAN", flow.vlan || null],
    ["Began", `${moment(flow.start)} UTC`],
    ["Ended", `${moment(flow.end)} UTC`],
    ["Why it ended", ENDS[flow.end_reason] ?? words(flow.end_reason)],
    ["Window", <ViewLink to="/windows" more={{ capture: flow.capture_id, window: flow.window_id }}>{count(flow.window_id)}</ViewLink>],
    ["Frames", `${count(flow.first_frame)} to ${count(flow.last_frame)} of the capture`],
    [
      "Community ID",
      <span class="row">
        <span class="mono break">{flow.community_id}</span>
        <Copy text={flow.community_id} />
      </span>,
    ],
  ];
  return (
    <Panel title="Who and when">
      <KeyValue of={rows} />
      <p class="small">
        <ViewLink to="/flows" more={{ source_ip: flow.source_ip, destination_ip: flow.destination_ip, capture: flow.capture_id }}>
          All flows between these two
        </ViewLink>
      </p>
    </Panel>
  );
}

function VerdictPanel({ flow }: { flow: Detail }) {
  const verdict = flow.classification;
  if (!verdict) {
    return (
      <Panel title="What it is taken for">
        <Empty title="It was not judged.">There was no model at that time; the capture's ledger says how many flows that is about.</Empty>
      </Panel>
    );
  }
  return (
    <Panel title="What it is taken for">
      <div class="stack">
        <p>
          <strong>{verdict.class_name}</strong> with a confidence of {sure(verdict.confidence)}.{" "}
          {verdict.is_uncertain && "That is too little to name an attack: it is a guess. "}
          {verdict.is_interim && "The flow was not over when it was judged. "}
          That it is an attack of any kind: {percent(verdict.attack_probability)}.
        </p>
        {flow.alone && (
          <p class="small">
            Without the other flows between these two it would be {flow.alone.class_name}, {sure(flow.alone.confidence)}.
          </p>
        )}
        {verdict.reasons ? (
          <Reasons of={verdict.reasons} name={verdict.class_name} />
        ) : (
          <p class="muted">Why cannot be said any more: the model that judged it is not in use.</p>
        )}
        <p class="small">
          Judged by <ViewLink to={`/models/${verdict.model}`}>model {verdict.model}</ViewLink>.
        </p>
        {flow.challenger && (
          <p class="small">
            The challenger ({flow.challenger.model}) says <VerdictBadge name={flow.challenger.class_name} isAttack={flow.challenger.is_attack} isUncertain={flow.challenger.is_uncertain} />{" "}
            {sure(flow.challenger.confidence)}.
          </p>
        )}
      </div>
    </Panel>
  );
}

type Earlier = Detail["earlier_verdicts"][number];
type Record_ = Detail["interim"][number];

function History({ flow }: { flow: Detail }) {
  if (!flow.interim.length && !flow.earlier_verdicts.length) return null;
  return (
    <Panel title="While it ran">
      <div class="grid">
        {flow.earlier_verdicts.length > 0 && (
          <div>
            <h3>What it was taken for before</h3>
            <Table caption="Earlier verdicts" columns={EARLIER} rows={flow.earlier_verdicts} rowKey={(one) => `${one.window_id} ${one.end}`} />
          </div>
        )}
        {flow.interim.length > 0 && (
          <div>
            <h3>Where it stood after each window</h3>
            <Table caption="Interim records" columns={INTERIM} rows={flow.interim} rowKey={(one) => one.window_id} />
          </div>
        )}
      </div>
    </Panel>
  );
}

const badge = (one: Pick<Verdict, "class_name" | "is_attack" | "is_uncertain">) => (
  <VerdictBadge name={one.class_name} isAttack={one.is_attack} isUncertain={one.is_uncertain} />
);

const EARLIER: Column<Earlier>[] = [
  { key: "window", title: "Window", cell: (one) => count(one.window_id), numeric: true },
  { key: "verdict", title: "Taken for", cell: badge },
  { key: "confidence", title: "Confidence", cell: (one) => sure(one.confidence), numeric: true },
];

const INTERIM: Column<Record_>[] = [
  { key: "window", title: "Window", cell: (one) => count(one.window_id), numeric: true },
  { key: "end", title: "Until", cell: (one) => moment(one.end, false) },
  { key: "packets", title: "Packets → ←", cell: (one) => `${count(one.packets_forward)} / ${count(one.packets_backward)}`, numeric: true },
  { key: "bytes", title: "Bytes → ←", cell: (one) => `${bytes(one.bytes_forward)} / ${bytes(one.bytes_backward)}`, numeric: true },
];

function Features({ flow }: { flow: Detail }) {
  const decided = new Set((flow.classification?.reasons ?? []).map(({ feature }) => feature));
  const names = Object.keys(flow.features);
  return (
    <Panel title={plural(names.length, "feature")} actions={<span class="muted small">what the classifier sees; marked: those that decided</span>}>
      <div class="feature-groups">
        {GROUPS.map((group) => (
          <section key={group.title} aria-label={group.title}>
            <h3>{group.title}</h3>
            {group.note && <p class="muted small">{group.note}</p>}
            <dl class="features">
              {names.filter((name) => group.holds(name) && group === GROUPS.find((one) => one.holds(name))).map((name) => (
                <div key={name} class={decided.has(name) ? "is-decisive" : undefined}>
                  <dt>
                    {name}
                    {decided.has(name) && <span class="sr-only"> (decided)</span>}
                  </dt>
                  <dd title={String(flow.features[name])}>{featureValue(name, flow.features[name])}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Panel>
  );
}

function PacketList({ flow }: { flow: Detail }) {
  const [cursor] = useParam("cursor");
  const setParams = useSetParams();
  const read = useAnswer<Packets>(`/api/flows/${flow.flow_id}/packets`, { capture: flow.capture_id, cursor, limit: PAGE });
  return (
    <Panel title="Packets">
      <Async of={read}>
        {({ packets, total, next_cursor: next }) =>
          packets.length === 0 ? (
            <Empty title="Its packets are no longer in the store.">Packets are kept for a shorter time than flows.</Empty>
          ) : (
            <>
              <p class="muted small">
                {plural(total, "packet")} in the store. Sequence numbers are those on the wire.
              </p>
              <Table caption="Packets of the flow" columns={packetColumns(flow)} rows={packets} rowKey={(one) => one.frame} />
              {(next || cursor) && (
                <nav class="pager" aria-label="Pages of packets">
                  <button type="button" class="button" disabled={!cursor} onClick={() => setParams({ cursor: null })}>
                    « First page
                  </button>
                  <button type="button" class="button" disabled={!next} onClick={() => setParams({ cursor: next })}>
                    Next {PAGE} ›
                  </button>
                </nav>
              )}
            </>
          )
        }
      </Async>
    </Panel>
  );
}

type Packet = Packets["packets"][number];

function packetColumns(flow: Detail): Column<Packet>[] {
  const isTcp = flow.protocol === 6;
  const columns: (Column<Packet> | false)[] = [
    { key: "frame", title: "Frame", cell: (one) => count(one.frame), numeric: true },
    { key: "after", title: "After, s", cell: (one) => <span title={moment(one.time)}>{(one.time - flow.start).toFixed(6)}</span>, numeric: true },
    {
      key: "way", title: "Way",
      cell: (one) => (one.is_forward ? <span>→ <span class="sr-only">forward</span></span> : <span class="text-medium">← <span class="sr-only">backward</span></span>),
    },
    { key: "length", title: "Bytes", cell: (one) => count(one.length), numeric: true },
    { key: "payload", title: "Payload", cell: (one) => count(one.payload_bytes), numeric: true },
    isTcp && { key: "flags", title: "Flags", cell: (one) => one.tcp_flags.map((flag) => <Badge key={flag} tone={flag === "RST" ? "high" : flag === "SYN" || flag === "FIN" ? "info" : "neutral"} sign="">{flag}</Badge>) },
    isTcp && { key: "seq", title: "Seq", cell: (one) => <span class="mono">{one.tcp_seq}</span>, numeric: true, minor: true },
    isTcp && { key: "ack", title: "Ack", cell: (one) => <span class="mono">{one.tcp_ack}</span>, numeric: true, minor: true },
    isTcp && { key: "window", title: "Window", cell: (one) => count(one.tcp_window_bytes), numeric: true, minor: true },
    { key: "ttl", title: "TTL", cell: (one) => count(one.ttl), numeric: true, minor: true },
  ];
  return columns.filter((column): column is Column<Packet> => column !== false);
}
