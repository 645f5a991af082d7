/** What shows an anomaly: the conversations it was seen in, the flows around it with their verdicts, and the hosts. */
import { useSearch } from "wouter-preact";
import { useAnswer } from "../ask";
import { bytes, count, ms } from "../format";
import { moment } from "../time";
import type { AnomalyDetail, Schemas } from "../types";
import { HostLink, ViewLink } from "./controls";
import { FLOW_COLUMNS, type FlowLine, flowHref, lineOfFlow } from "./flow-lines";
import { Panel } from "./panel";
import { Async, Empty } from "./states";
import { Table, type Column } from "./table";

type Conversation = AnomalyDetail["flows"][number];

const SHOWN = 10;
/** A scan is judged by the last minute, so its flows may lie before the window. */
const BEFORE_S = 60;

export function Evidence({ one }: { one: AnomalyDetail }) {
  return (
    <Panel title="Evidence" actions={<Hosts one={one} />}>
      <div class="stack">
        <Flows one={one} />
        {one.flows.length > 0 && (
          <div>
            <h3>Conversations of the window, as the rule saw them ({one.flows.length})</h3>
            <Table
              caption="Conversations that are evidence"
              columns={CONVERSATION_COLUMNS}
              rows={one.flows}
              rowKey={(row) => `${row.src} ${row.dst} ${row.protocol}`}
            />
          </div>
        )}
      </div>
    </Panel>
  );
}

function Hosts({ one }: { one: AnomalyDetail }) {
  if (!one.hosts.length) return null;
  return (
    <span class="muted small">
      Hosts:{" "}
      {one.hosts.map((host, place) => (
        <span key={host}>
          {place > 0 && ", "}
          <HostLink address={host} />
        </span>
      ))}
    </span>
  );
}

/** `10.0.0.1:80` or `[fd00::1]:80` as address and port. */
export function endOf(text: string | null): { ip: string; port: string } | null {
  const match = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text ?? "");
  return match && { ip: match[1] ?? match[2], port: match[3] };
}

function asked(one: AnomalyDetail): Record<string, string | number | null> {
  const [source, destination] = [endOf(one.flow_src), endOf(one.flow_dst)];
  const reach = one.explanation?.context.seconds;
  const before = typeof reach === "number" ? Math.min(reach, BEFORE_S) : one.type === "port_scan" ? BEFORE_S : 0;
  const isNamed = one.source_ip || one.destination_ip;
  return {
    capture: one.capture_id,
    from: one.window_start - before,
    to: one.window_end,
    source_ip: one.source_ip,
    destination_ip: one.destination_ip,
    ip: isNamed ? null : (one.hosts[0] ?? null),
    source_port: source?.port ?? null,
    destination_port: destination?.port ?? endOf(one.subject.split(" > ")[1] ?? null)?.port ?? null,
  };
}

function Flows({ one }: { one: AnomalyDetail }) {
  const question = asked(one);
  const isAny = question.source_ip ?? question.destination_ip ?? question.ip;
  const list = useAnswer<Schemas["FlowsAnswer"]>(isAny ? "/api/flows/" : null, { ...question, limit: SHOWN });
  const search = useSearch();
  if (!isAny) return <p class="muted">It is about the network as a whole, not about single hosts.</p>;
  const { capture, from, to, ...filters } = question;
  const all = { ...filters, capture, from: Math.floor(Number(from) * 1000), to: Math.ceil(Number(to) * 1000) };
  return (
    <Async of={list}>
      {({ flows, total }) =>
        flows.length === 0 ? (
          <Empty title="No flow of that time is left between these hosts." />
        ) : (
          <div>
            <h3>Flows of that time, and what they are taken for ({count(total)})</h3>
            <Table
              caption="Flows of that time"
              columns={FLOW_COLUMNS}
              rows={flows.map(lineOfFlow)}
              rowKey={(flow: FlowLine) => flow.flow_id}
              href={(flow: FlowLine) => flowHref(flow, search)}
            />
            {total > flows.length && (
              <p class="evidence-more">
                <ViewLink to="/flows" more={all}>
                  All {count(total)} flows
                </ViewLink>
              </p>
            )}
          </div>
        )
      }
    </Async>
  );
}

function End({ text }: { text: string }) {
  const end = endOf(text);
  return end ? (
    <span class="mono">
      <HostLink address={end.ip} />:{end.port}
    </span>
  ) : (
    <HostLink address={text} />
  );
}

function ofConversation(row: Conversation): Record<string, string> {
  const [source, destination] = [endOf(row.src), endOf(row.dst)];
  if (!source || !destination) return { ip: row.src };
  return { ip: source.ip, source_port: source.port, destination_port: destination.port };
}

const CONVERSATION_COLUMNS: Column<Conversation>[] = [
  { key: "src", title: "From", cell: (row) => <End text={row.src} /> },
  { key: "dst", title: "To", cell: (row) => <End text={row.dst} /> },
  { key: "name", title: "Protocol", cell: (row) => row.name, sort: (row) => row.name },
  { key: "first", title: "First packet", cell: (row) => moment(row.first_seen, false), sort: (row) => row.first_seen, minor: true },
  {
    key: "packets", title: "Packets → ←", numeric: true, sort: (row) => row.packets_forward + row.packets_backward,
    cell: (row) => `${count(row.packets_forward)} / ${count(row.packets_backward)}`,
  },
  {
    key: "bytes", title: "Bytes", numeric: true, sort: (row) => row.bytes_forward + row.bytes_backward,
    cell: (row) => bytes(row.bytes_forward + row.bytes_backward),
  },
  {
    key: "retransmissions", title: "Sent again", numeric: true, sort: (row) => row.retransmissions,
    cell: (row) => `${count(row.retransmissions)} of ${count(row.data_segments)}`,
  },
  { key: "rtt", title: "Mean RTT", cell: (row) => ms(row.mean_rtt), numeric: true, sort: (row) => row.mean_rtt, minor: true },
  {
    key: "flow", title: "Flow",
    cell: (row) => <ViewLink to="/flows" more={ofConversation(row)}>flow<span class="sr-only"> of {row.src} to {row.dst}</span></ViewLink>,
  },
];
