/** Figures as people read them. */

const none = (value: number | null | undefined): value is null | undefined =>
  value === null || value === undefined || !Number.isFinite(value);

const whole = new Intl.NumberFormat("en-GB");

/** `21,975` */
export const count = (value: number | null | undefined): string => (none(value) ? "–" : whole.format(Math.round(value)));

function scaled(value: number, units: string[], step: number): string {
  let place = 0;
  let left = Math.abs(value);
  while (left >= step && place < units.length - 1) {
    left /= step;
    place += 1;
  }
  const digits = left >= 100 || place === 0 ? 0 : left >= 10 ? 1 : 2;
  return `${value < 0 ? "−" : ""}${left.toFixed(left < 10 && place === 0 && left % 1 ? 1 : digits)} ${units[place]}`.trim();
}

/** `2.38 MB`, powers of 1000 */
export const bytes = (value: number | null | undefined): string =>
  none(value) ? "–" : scaled(value, ["B", "kB", "MB", "GB", "TB", "PB"], 1000);

/** `31.8 kbit/s` */
export const bits = (value: number | null | undefined): string =>
  none(value) ? "–" : scaled(value, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"], 1000);

/** `1.2 k` */
export const short = (value: number | null | undefined): string =>
  none(value) ? "–" : scaled(value, ["", "k", "M", "G"], 1000);

/** `36.6 packets/s` */
export const pps = (value: number | null | undefined): string => (none(value) ? "–" : `${short(value)}/s`);

/** `12.3 %`, of a share from 0 to 1 */
export function percent(share: number | null | undefined): string {
  if (none(share)) return "–";
  const value = share * 100;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${value.toFixed(value < 10 && value % 1 ? 1 : 0)} %`;
}

/** `45.2 ms` */
export const ms = (value: number | null | undefined): string =>
  none(value) ? "–" : value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(value < 10 ? 2 : 1)} ms`;

/** Any other figure, to four digits. */
export function figure(value: number | null | undefined): string {
  if (none(value)) return "–";
  if (Number.isInteger(value)) return count(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 0.001 || size >= 1e7) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** `packet_loss` as `packet loss` */
export const words = (name: string): string => name.replaceAll("_", " ");

/** `1 packet`, `2 packets` */
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;
