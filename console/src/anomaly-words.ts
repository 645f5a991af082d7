/** Anomalies in words: what each type and signal is called, and figures with their units. */
import { bits, figure, ms, percent, words } from "./format";
import { span } from "./time";

export const TYPES: [value: string, title: string][] = [
  ["port_scan", "port scan"],
  ["traffic_spike", "traffic spike"],
  ["packet_loss", "packet loss"],
  ["high_latency", "high latency"],
  ["protocol_anomaly", "protocol anomaly"],
  ["long_lived_conn", "long-lived connection"],
];

export const typeName = (type: string): string => TYPES.find(([value]) => value === type)?.[1] ?? words(type);

const SHOWN: Record<string, (value: number) => string> = {
  "bytes/s": (value) => bits(value * 8),
  ms: (value) => ms(value),
  s: (value) => span(value),
  "%": (value) => percent(value / 100),
};

/** A figure with the unit that the explanation names: `298 ports`, `8.6 %`. */
export function withUnit(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined) return "–";
  return SHOWN[unit]?.(value) ?? `${figure(value)} ${unit}`.trim();
}
