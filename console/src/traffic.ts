/** Figures of several windows together. */
import type { Series } from "./components/chart";
import type { Window } from "./types";

/** Retransmissions by data segments, 0 to 1; null where nothing was sent. */
export function retransmissionShare({ tcp }: Window): number | null {
  return tcp.data_segments ? tcp.retransmissions / tcp.data_segments : null;
}

/** Addresses by what they sent, most first. Windows name their ten largest, so it is a lower bound. */
export function talkersOf(windows: Window[], most: number): [string, number][] {
  const sent = new Map<string, number>();
  for (const { bandwidth } of windows) {
    for (const [address, octets] of bandwidth.top_src_bytes as [string, number][]) {
      sent.set(address, (sent.get(address) ?? 0) + octets);
    }
  }
  return [...sent].sort((a, b) => b[1] - a[1]).slice(0, most);
}

/** Bytes by protocol of all windows, most first. */
export function protocolsOf(windows: Window[]): [string, number][] {
  const total = new Map<string, number>();
  for (const { protocol } of windows) {
    for (const [name, share] of Object.entries(protocol)) total.set(name, (total.get(name) ?? 0) + share.bytes);
  }
  return [...total].sort((a, b) => b[1] - a[1]);
}

/** One line per protocol, in bits per second: the largest ones, and all others together. */
export function protocolSeries(windows: Window[], most: number): Series[] {
  const names = protocolsOf(windows).map(([name]) => name);
  const shown = names.slice(0, most);
  const rate = (window: Window, octets: number) => (8 * octets) / (window.window_end - window.window_start);
  const series: Series[] = shown.map((name) => ({
    label: name,
    values: windows.map((window) => rate(window, window.protocol[name]?.bytes ?? 0)),
  }));
  if (names.length > most) {
    const others = new Set(names.slice(most));
    series.push({
      label: "others",
      dash: [4, 3],
      values: windows.map((window) =>
        rate(window, Object.entries(window.protocol).reduce((sum, [name, share]) => sum + (others.has(name) ? share.bytes : 0), 0)),
      ),
    });
  }
  return series;
}
