/** A line chart over time (uPlot): in the page's colours, as wide as its place, with a summary in words. */
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { figure } from "../format";
import { useTheme } from "../theme";
import { thinned } from "../thinned";
import { moment } from "../time";

export interface Series {
  label: string;
  values: (number | null)[];
  /** Name of a CSS variable without `--`: `chart-1` … `chart-6`, `high`, `medium`. */
  colour?: string;
  fill?: boolean;
  dash?: number[];
  /** On the right axis, with `format2`. */
  isSecond?: boolean;
}

export interface Mark {
  /** Seconds since the epoch. */
  at: number;
  colour?: string;
  /** Marks a stretch instead of a moment. */
  until?: number;
}

export interface ChartProps {
  /** What it shows, for those who do not see it. */
  title: string;
  /** Seconds since the epoch, ascending. */
  x: number[];
  series: Series[];
  format?: (value: number) => string;
  format2?: (value: number) => string;
  height?: number;
  marks?: Mark[];
  /** A level that is drawn across, as a threshold. */
  levels?: { value: number; colour?: string; dash?: number[] }[];
  /** Indices of two series between which it is shaded: where values are usual. */
  band?: [number, number];
  /** Called with seconds when a range was drawn with the mouse. */
  onRange?: (from: number, to: number) => void;
  /** Most points drawn; beyond it, stretches are shown by their largest value. */
  most?: number;
}

const MOST = 2000;

export function Chart(props: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const theme = useTheme();
  const { x, series, most = MOST, height = 200 } = props;
  const data = useMemo(() => {
    const [at, values] = thinned(x, series.map((one) => one.values), most);
    return [at, ...values] as uPlot.AlignedData;
  }, [x, series, most]);
  // What makes another plot, rather than the same one with other data.
  const shape = JSON.stringify([
    theme, height, props.band, Boolean(props.onRange), props.levels,
    series.map(({ label, colour, fill, dash, isSecond }) => [label, colour, fill, dash, isSecond]),
  ]);

  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const made = new uPlot(optionsOf(latest, element.clientWidth || 300), data, element);
    plot.current = made;
    const watcher = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width && width !== made.width) made.setSize({ width, height });
    });
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(data), [data]);
  useEffect(() => plot.current?.redraw(false), [props.marks]);

  return (
    <figure class="chart">
      <div ref={place} role="img" data-points={data[0].length} aria-label={`${props.title}. ${inWords(props)}`} />
    </figure>
  );
}

function inWords({ x, series, format = figure, format2 }: ChartProps): string {
  if (!x.length) return "No data.";
  const parts = series.map(({ label, values, isSecond }) => {
    const known = values.filter((value): value is number => value !== null);
    if (!known.length) return `${label}: nothing measured`;
    const shown = isSecond ? (format2 ?? figure) : format;
    const high = known.reduce((a, b) => Math.max(a, b));
    const low = known.reduce((a, b) => Math.min(a, b));
    return `${label}: from ${shown(low)} to ${shown(high)}, last ${shown(known[known.length - 1])}`;
  });
  return `${moment(x[0])} to ${moment(x[x.length - 1])}. ${parts.join("; ")}.`;
}

function colourOf(element: Element, name: string): string {
  return getComputedStyle(element).getPropertyValue(`--${name}`).trim() || "#888";
}

function optionsOf(latest: { current: ChartProps }, width: number): uPlot.Options {
  const { series, format = figure, format2, height = 200, band, onRange } = latest.current;
  const root = document.documentElement;
  const ink = colourOf(root, "ink-2");
  const grid = { stroke: colourOf(root, "line"), width: 1 };
  const axis = { stroke: ink, grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const hasSecond = series.some((one) => one.isSecond);
  const times: uPlot.Axis.Values = (_, splits) => {
    const reach = splits.length > 1 ? splits[splits.length - 1] - splits[0] : 0;
    return splits.map((at) => (reach > 172_800 ? moment(at).slice(5, 16) : reach > 1200 ? moment(at, false).slice(0, 5) : moment(at, false)));
  };
  return {
    width,
    height,
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    cursor: { drag: { x: Boolean(onRange), y: false, setScale: false }, points: { size: 6 } },
    legend: { live: true },
    scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.08] },
      y2: { range: (_, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.08] } },
    axes: [
      { ...axis, values: times, space: 76, size: 24 },
      { ...axis, values: (_, splits) => splits.map(format), size: sizeOf, gap: 4 },
      ...(hasSecond
        ? [{ ...axis, scale: "y2", side: 1, grid: { show: false }, values: (_: uPlot, splits: number[]) => splits.map(format2 ?? figure), size: sizeOf, gap: 4 }]
        : []),
    ],
    series: [
      { label: "Time", value: (_, at) => moment(at) },
      ...series.map((one, place): uPlot.Series => {
        const colour = colourOf(root, one.colour ?? `chart-${(place % 6) + 1}`);
        return {
          label: one.label,
          scale: one.isSecond ? "y2" : "y",
          stroke: colour,
          width: 1.5,
          fill: one.fill ? `color-mix(in srgb, ${colour} 16%, transparent)` : undefined,
          dash: one.dash,
          // A value between two that were not measured has no line of its own.
          points: { show: (plot) => !one.dash && plot.data[0].length <= 60, size: 4 },
          value: (_, value) => (value === null || value === undefined ? "–" : (one.isSecond ? (format2 ?? figure) : format)(value)),
        };
      }),
    ],
    bands: band ? [{ series: [band[0] + 1, band[1] + 1], fill: colourOf(root, "band") }] : undefined,
    hooks: {
      drawClear: [(plot) => drawMarks(plot, latest.current)],
      draw: [(plot) => drawLevels(plot, latest.current)],
      setSelect: [
        (plot) => {
          if (plot.select.width < 4) return;
          const from = plot.posToVal(plot.select.left, "x");
          const to = plot.posToVal(plot.select.left + plot.select.width, "x");
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          latest.current.onRange?.(from, to);
        },
      ],
    },
  };
}

function sizeOf(_: uPlot, values: string[] | null): number {
  const longest = (values ?? []).reduce((most, value) => Math.max(most, value.length), 0);
  return Math.max(34, longest * 6.2 + 10);
}

function drawMarks(plot: uPlot, { marks = [] }: ChartProps): void {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const { at, until, colour = "high" } of marks) {
    const left = plot.valToPos(at, "x", true);
    const right = until === undefined ? left + 2 : Math.max(plot.valToPos(until, "x", true), left + 2);
    if (right < bbox.left || left > bbox.left + bbox.width) continue;
    const [from, to] = [Math.max(left, bbox.left), Math.min(right, bbox.left + bbox.width)];
    ctx.globalAlpha = until === undefined ? 0.55 : 0.16;
    ctx.fillStyle = colourOf(document.documentElement, colour);
    ctx.fillRect(from, bbox.top, to - from, bbox.height);
  }
  ctx.restore();
}

function drawLevels(plot: uPlot, { levels = [] }: ChartProps): void {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const { value, colour = "high", dash = [6, 4] } of levels) {
    const top = plot.valToPos(value, "y", true);
    if (top < bbox.top || top > bbox.top + bbox.height) continue;
    ctx.strokeStyle = colourOf(document.documentElement, colour);
    ctx.setLineDash(dash);
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.moveTo(bbox.left, top);
    ctx.lineTo(bbox.left + bbox.width, top);
    ctx.stroke();
  }
  ctx.restore();
}
