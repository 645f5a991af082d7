import assert from "node:assert/strict";
import { test } from "node:test";
import { samplesOf, valueOf } from "../src/figures";
import { thinned } from "../src/thinned";
import { protocolSeries, talkersOf } from "../src/traffic";
import type { Window } from "../src/types";

const window = (id: number, protocols: Record<string, number>, sent: [string, number][] = []): Window =>
  ({
    window_id: id,
    window_start: 10 * id,
    window_end: 10 * id + 10,
    bandwidth: { top_src_bytes: sent },
    protocol: Object.fromEntries(Object.entries(protocols).map(([name, bytes]) => [name, { bytes }])),
  }) as unknown as Window;

test("a chart of any length has a bounded number of points and keeps every peak", () => {
  for (const length of [0, 1, 1999, 2000, 2001, 50_000]) {
    const x = Array.from({ length }, (_, at) => at);
    const values = x.map((at) => (at % 7 === 3 ? null : at === length - 2 ? 1e9 : at % 10));
    const [shown, [drawn]] = thinned(x, [values], 2000);
    assert.ok(shown.length <= 2000);
    assert.equal(shown.length, drawn.length);
    const peak = (all: (number | null)[]) => Math.max(...all.map((value) => value ?? -1), -1);
    assert.equal(peak(drawn), peak(values));
    assert.equal(shown[0], x[0]);
  }
});

test("where nothing was measured, nothing is drawn", () => {
  assert.deepEqual(thinned([1, 2, 3, 4], [[null, null, 5, null]], 2), [[1, 3], [[null, 5]]]);
});

test("the largest protocols have a line each, all others one together, and nothing is left out", () => {
  const windows = [window(0, { http: 100, dns: 5, ssh: 7 }), window(1, { http: 10, ntp: 1 })];
  const series = protocolSeries(windows, 2);
  assert.deepEqual(series.map(({ label }) => label), ["http", "ssh", "others"]);
  const sum = series.flatMap(({ values }) => values).reduce<number>((all, value) => all + (value ?? 0), 0);
  assert.equal(Math.round(10 * sum), 8 * 123);
});

test("talkers are added up over windows, most first", () => {
  const windows = [window(0, {}, [["a", 5], ["b", 3]]), window(1, {}, [["b", 4], ["c", 1]])];
  assert.deepEqual(talkersOf(windows, 2), [["b", 7], ["a", 5]]);
});

test("figures for Prometheus are read with their labels", () => {
  const text = '# HELP a b\nspanwatch_kafka_up 1.0\nspanwatch_kafka_lag_messages{group="worker",topic="a\\"b"} 3.0\nbad line{\n';
  const samples = samplesOf(text);
  assert.equal(valueOf(samples, "spanwatch_kafka_up"), 1);
  assert.deepEqual(samples[1].labels, { group: "worker", topic: 'a\\"b' });
  assert.equal(valueOf(samples, "nothing"), null);
});
