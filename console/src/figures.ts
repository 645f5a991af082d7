/** Figures that the API keeps for Prometheus, read from their text format. */

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The samples of an exposition, comments left out. */
export function samplesOf(text: string): Sample[] {
  const found: Sample[] = [];
  for (const line of text.split("\n")) {
    const parts = line.startsWith("#") ? null : LINE.exec(line);
    if (!parts) continue;
    const labels = Object.fromEntries([...(parts[2] ?? "").matchAll(LABEL)].map(([, key, value]) => [key, value]));
    found.push({ name: parts[1], labels, value: Number(parts[3]) });
  }
  return found;
}

/** The value of the one sample of a name, null without it. */
export const valueOf = (samples: Sample[], name: string): number | null =>
  samples.find((sample) => sample.name === name)?.value ?? null;
