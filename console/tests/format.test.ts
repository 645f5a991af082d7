import assert from "node:assert/strict";
import { test } from "node:test";
import { bits, bytes, count, figure, ms, percent, plural } from "../src/format";
import { moment, ofField, secondsOf, span } from "../src/time";

test("figures are short and say their unit", () => {
  assert.deepEqual([bytes(0), bytes(999), bytes(2_379_750), bytes(39_381)], ["0 B", "999 B", "2.38 MB", "39.4 kB"]);
  assert.deepEqual([bits(31_823), bits(1.5e9)], ["31.8 kbit/s", "1.50 Gbit/s"]);
  assert.deepEqual([count(21_975), plural(1, "packet"), plural(2, "packet")], ["21,975", "1 packet", "2 packets"]);
  assert.deepEqual([ms(1.234), ms(45.2), ms(1058.8)], ["1.23 ms", "45.2 ms", "1.06 s"]);
  assert.deepEqual([figure(12), figure(0.123456), figure(0.0000123)], ["12", "0.1235", "1.23e-5"]);
});

test("a share that is not nothing never reads as nothing", () => {
  assert.deepEqual([percent(0), percent(0.0001), percent(0.0123), percent(0.62), percent(1)], ["0 %", "< 0.1 %", "1.2 %", "62 %", "100 %"]);
});

test("what is not known is a dash, not a zero", () => {
  for (const write of [bytes, bits, count, figure, ms, percent, span, moment]) assert.equal(write(null), "–");
});

test("moments are in UTC, wherever the browser is", () => {
  assert.equal(moment(1_767_980_664), "2026-01-09 17:44:24");
  assert.equal(moment(1_767_980_664, false), "17:44:24");
  assert.equal(secondsOf("2026-01-09T17:44:24.000000"), 1_767_980_664);
  assert.equal(secondsOf("2026-01-09T17:44:24+00:00"), 1_767_980_664);
  assert.equal(ofField("2026-01-09T17:44:24"), 1_767_980_664_000);
  assert.deepEqual([ofField(""), secondsOf(null)], [null, null]);
});

test("spans have their two largest units", () => {
  assert.deepEqual([span(0.25), span(1), span(2.5), span(59.7), span(301), span(7200), span(90_061)],
    ["250 ms", "1 s", "2.5 s", "60 s", "5 min 1 s", "2 h", "1 d 1 h"]);
});
