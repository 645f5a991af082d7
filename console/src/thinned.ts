type Values = (number | null)[];

/** At most `most` points: each stretch by its largest value of every series, so that no peak disappears. */
export function thinned(x: number[], series: Values[], most: number): [number[], Values[]] {
  if (x.length <= most) return [x, series];
  const step = Math.ceil(x.length / most);
  const starts = Array.from({ length: Math.ceil(x.length / step) }, (_, place) => place * step);
  return [starts.map((start) => x[start]), series.map((values) => starts.map((start) => largest(values.slice(start, start + step))))];
}

function largest(values: Values): number | null {
  return values.reduce((most, value) => (value !== null && (most === null || value > most) ? value : most), null);
}
