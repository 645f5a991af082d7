/** Flows in lists, whether they come from the list of flows or from that of verdicts. */
import { bytes, count, percent } from "../format";
import { viewAddress } from "../scope";
import { moment, span } from "../time";
import type { Schemas } from "../types";
import { VerdictBadge } from "./badge";
import { HostLink, ViewLink } from "./controls";
import type { Column } from "./table";

export type Flow = Schemas["api__flow_answers__FlowAnswer"];
export type Verdict = Schemas["FlowVerdictAnswer"];

export interface FlowLine {
  flow_id: string;
  capture_id: string;
  start: number;
  end: number;
  isOver: boolean;
  source: [ip: string, port: number];
  destination: [ip: string, port: number];
  protocol: string;
  hasPorts: boolean;
  packets: [forward: number, backward: number];
  /** Null where the list does not tell it. */
  bytes: number | null;
  verdict: Verdict | null;
}

type Common = Pick<
  Flow,
  | "flow_id" | "capture_id" | "start" | "end" | "end_reason" | "source_ip" | "source_port" | "destination_ip"
  | "destination_port" | "protocol" | "protocol_name" | "packets_forward" | "packets_backward"
>;

function line(row: Common, octets: number | null, verdict: Verdict | null): FlowLine {
  return {
    flow_id: row.flow_id,
    capture_id: row.capture_id,
    start: row.start,
    end: row.end,
    isOver: row.end_reason !== "interim",
    source: [row.source_ip, row.source_port],
    destination: [row.destination_ip, row.destination_port],
    protocol: row.protocol_name,
    hasPorts: row.source_port > 0 || row.destination_port > 0,
    packets: [row.packets_forward, row.packets_backward],
    bytes: octets,
    verdict,
  };
}

export const lineOfFlow = (row: Flow): FlowLine => line(row, row.bytes, row.classification);
export const lineOfVerdict = (row: Schemas["ClassificationAnswer"]): FlowLine => line(row, null, row);

export const flowHref = (row: FlowLine, search: string): string =>
  viewAddress(`/flows/${row.flow_id}`, search, { capture: row.capture_id });

/** A confidence: nothing is ever wholly sure. */
export const sure = (confidence: number): string =>
  confidence > 0.9995 ? "> 99.9 %" : confidence > 0.99 ? `${(confidence * 100).toFixed(1)} %` : percent(confidence);

/** How long something took; most flows are shorter than a millisecond. */
export const lasted = (seconds: number): string =>
  seconds > 0 && seconds < 0.001 ? `${Math.round(seconds * 1e6)} µs` : span(seconds);

export function VerdictOf({ verdict }: { verdict: Verdict | null }) {
  if (!verdict) return <span class="muted">not judged</span>;
  return (
    <span class="nowrap">
      <VerdictBadge name={verdict.class_name} isAttack={verdict.is_attack} isUncertain={verdict.is_uncertain} />{" "}
      <span class="muted small">{sure(verdict.confidence)}</span>
    </span>
  );
}

/** Whether 16-byte addresses need brackets before a port. */
export const endText = (ip: string, port: number, hasPorts = true): string =>
  !hasPorts ? ip : ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;

export function End({ of: [ip, port], hasPorts }: { of: [string, number]; hasPorts: boolean }) {
  return (
    <span class="mono">
      <HostLink address={ip} />
      {hasPorts && <span class="muted">:{port}</span>}
    </span>
  );
}

/** A moment in a table; on narrow screens without its date. */
export function When({ at }: { at: number | null }) {
  const text = moment(at);
  return (
    <span class="nowrap">
      <span class="minor">{text.slice(0, -8)}</span>
      {text.slice(-8)}
    </span>
  );
}

export const FLOW_COLUMNS: Column<FlowLine>[] = [
  {
    key: "start", title: "Began",
    cell: (row) => (
      <ViewLink to={`/flows/${row.flow_id}`} more={{ capture: row.capture_id }}>
        <When at={row.start} />
      </ViewLink>
    ),
  },
  { key: "verdict", title: "Taken for", cell: (row) => <VerdictOf verdict={row.verdict} /> },
  { key: "source", title: "From", cell: (row) => <End of={row.source} hasPorts={row.hasPorts} /> },
  { key: "destination", title: "To", cell: (row) => <End of={row.destination} hasPorts={row.hasPorts} /> },
  { key: "protocol", title: "Protocol", cell: (row) => row.protocol, minor: true },
  {
    key: "packets", title: "Packets → ←", numeric: true,
    cell: (row) => `${count(row.packets[0])} / ${count(row.packets[1])}`,
  },
  { key: "bytes", title: "Bytes", numeric: true, cell: (row) => bytes(row.bytes), minor: true },
  { key: "duration", title: "Lasted", numeric: true, cell: (row) => `${lasted(row.end - row.start)}${row.isOver ? "" : " …"}`, minor: true },
];
