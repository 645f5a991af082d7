/** The 78 features of a flow in groups that people look for, and their units. */
import { bytes, count, figure } from "./format";
import { span } from "./time";

export interface Group {
  title: string;
  note?: string;
  holds: (name: string) => boolean;
}

export const GROUPS: Group[] = [
  { title: "Flow", holds: (name) => /^(Destination Port|Flow Duration|Down\/Up Ratio)$/.test(name) },
  { title: "Packets and bytes", note: "Bytes are payload.", holds: (name) => /^Total |^Subflow |act_data_pkt/.test(name) },
  { title: "Packet sizes", note: "Payload, bytes.", holds: (name) => /Packet Length|Packet Size|Segment Size/.test(name) },
  { title: "Rates", holds: (name) => /\/s$/.test(name) },
  { title: "Times between packets", holds: (name) => / IAT /.test(name) },
  { title: "TCP flags", note: "Packets that have it.", holds: (name) => /Flag/.test(name) },
  { title: "Headers and windows", holds: (name) => /Header Length|Init_Win|min_seg_size/.test(name) },
  { title: "Bulk transfers", holds: (name) => /Bulk/.test(name) },
  { title: "Active and idle", holds: (name) => /^(Active|Idle) /.test(name) },
];

/** A feature's value with its unit; times are whole microseconds in the data. */
export function featureValue(name: string, value: number): string {
  if (/ IAT |^Active |^Idle |^Flow Duration$/.test(name)) return value === 0 ? "0" : micros(value);
  if (name === "Destination Port") return String(value);
  if (/Variance/.test(name)) return figure(value);
  if (/Bytes\/s|Bulk Rate/.test(name)) return `${bytes(value)}/s`;
  if (/Packets\/s/.test(name)) return `${figure(value)}/s`;
  if (/Length|Size|Bytes|_bytes_|seg_size/.test(name) && !/Packets\/Bulk/.test(name)) return Number.isInteger(value) ? `${count(value)} B` : `${figure(value)} B`;
  return figure(value);
}

const micros = (value: number): string => (value < 1000 ? `${figure(value)} µs` : value < 1e6 ? `${figure(Number((value / 1000).toPrecision(4)))} ms` : span(value / 1e6));
