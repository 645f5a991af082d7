/** Countries by their two letters, in the browser's own words. */
const NAMES: Record<string, string> = { LAN: "local network", LOCAL: "this machine", UNKNOWN: "unknown", EU: "Europe" };
const known = new Intl.DisplayNames(["en-GB"], { type: "region", fallback: "code" });

export function countryName(code: string): string {
  if (NAMES[code]) return NAMES[code];
  return /^[A-Z]{2}$/.test(code) ? `${known.of(code) ?? code} (${code})` : code;
}
