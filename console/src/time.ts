/** Moments, in UTC as everywhere in spanwatch, and ranges that people choose by name. */

const two = (value: number) => String(value).padStart(2, "0");

/** `2026-01-09 17:44:24`; `seconds` since the epoch. */
export function moment(seconds: number | null | undefined, withDate = true): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const at = new Date(seconds * 1000);
  const time = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
  if (!withDate) return time;
  return `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())} ${time}`;
}

/** The API's ISO texts carry no zone and are UTC: seconds since the epoch of one. */
export function secondsOf(iso: string | null | undefined): number | null {
  if (!iso) return null;
  const ms = Date.parse(/[zZ]|[+-]\d\d:\d\d$/.test(iso) ? iso : `${iso}Z`);
  return Number.isFinite(ms) ? ms / 1000 : null;
}

/** `3 min 20 s` */
export function span(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds % 1 ? seconds.toFixed(1) : seconds} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

export interface Preset {
  name: string;
  /** Seconds before the end of what was captured; null for all of it. */
  seconds: number | null;
}

/** Ranges by name. They end where the capture ends, so that they mean something for a file of last year as well. */
export const PRESETS: Preset[] = [
  { name: "Whole capture", seconds: null },
  { name: "Last minute", seconds: 60 },
  { name: "Last 5 minutes", seconds: 300 },
  { name: "Last 15 minutes", seconds: 900 },
  { name: "Last hour", seconds: 3600 },
  { name: "Last 6 hours", seconds: 21_600 },
  { name: "Last 24 hours", seconds: 86_400 },
  { name: "Last 7 days", seconds: 604_800 },
];

/** For `<input type="datetime-local">`, in UTC; ms since the epoch. */
export function fieldValue(ms: number | null): string {
  return ms === null ? "" : new Date(ms).toISOString().slice(0, 19);
}

export function ofField(text: string): number | null {
  const ms = Date.parse(`${text}Z`);
  return text && Number.isFinite(ms) ? ms : null;
}
