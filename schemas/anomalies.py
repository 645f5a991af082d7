"""The anomaly: what was found in a window, how far off it is, and why."""

from __future__ import annotations

import pyarrow as pa

from schemas.columns import Column, arrow_schema
from schemas.windows import CH_CONVERSATIONS, CONVERSATIONS

ANOMALY_COLUMNS: tuple[Column, ...] = (
    Column("capture_id", pa.string(), "LowCardinality(String)", "", "The capture it belongs to."),
    Column("window_id", pa.uint32(), "UInt32", "Delta, ZSTD(1)", "Number of the window it was found in."),
    Column("anomaly_id", pa.string(), "String", "", "16 hexadecimal digits: hash of capture, run, window, type, signal and subject."),
    Column("run_id", pa.string(), "LowCardinality(String)", "", "The re-judging it comes from; empty for the stream's own verdict."),
    Column("version", pa.uint64(), "UInt64", "", "Packets of the window when it was judged; the highest counts."),
    Column("window_start_ns", pa.int64(), "Int64", "DoubleDelta, ZSTD(1)", "Start of the window, inclusive, ns since the epoch."),
    Column("window_end_ns", pa.int64(), "Int64", "DoubleDelta, ZSTD(1)", "End of the window, exclusive, ns since the epoch."),
    Column("type", pa.string(), "LowCardinality(String)", "", "enum AnomalyType."),
    Column("signal", pa.string(), "LowCardinality(String)", "", "What exactly was seen, e.g. vertical_scan or protocol_vanished."),
    Column("severity", pa.string(), "LowCardinality(String)", "", "medium or high."),
    Column("message", pa.string(), "String", "ZSTD(1)", "One sentence for people."),
    Column("metric", pa.string(), "LowCardinality(String)", "", "What was measured, with its unit in the name."),
    Column("current_value", pa.float64(), "Float64", "", "Its value in this window."),
    Column("threshold", pa.float64(), "Float64", "", "The bound it passed."),
    Column("baseline_mean", pa.float64(), "Nullable(Float64)", "", "What is usual; null where the rule has no baseline."),
    Column("deviation", pa.float64(), "Nullable(Float64)", "", "How far off: standard deviations, or the ratio to the baseline where the rule is one; null without a baseline."),
    Column("source_ip", pa.string(), "String", "", "Who caused it; empty where nobody can be named."),
    Column("destination_ip", pa.string(), "String", "", "Whom it concerns; empty where it is nobody in particular."),
    Column("flow_src", pa.string(), "String", "", "Sending end of the flow it is about, ip:port ([ip]:port for IPv6); empty when it is about no single flow."),
    Column("flow_dst", pa.string(), "String", "", "Receiving end of that flow."),
    Column("protocol", pa.string(), "LowCardinality(String)", "", "Named protocol it is about; empty when none."),
    Column("subject", pa.string(), "String", "", "What it is about, in one text: anomalies of one type, signal and subject belong to one incident."),
    Column("incident_id", pa.string(), "String", "", "16 hexadecimal digits: the incident it is part of."),
    Column("incident_start_ns", pa.int64(), "Int64", "ZSTD(1)", "Start of the incident's first window."),
    Column("incident_count", pa.uint32(), "UInt32", "ZSTD(1)", "How many anomalies the incident has up to this one, folded ones included."),
    Column("folded", pa.uint32(), "UInt32", "ZSTD(1)", "Further anomalies of the same type and signal in this window that this one stands for."),
    Column("explanation", pa.string(), "String", "ZSTD(3)", "JSON: rule, baseline, contributions; model Explanation."),
    Column("hosts", pa.list_(pa.string()), "Array(String)", "ZSTD(1)", "Addresses that take part, most involved first, at most 16."),
    Column("flows", CONVERSATIONS, CH_CONVERSATIONS, "ZSTD(1)", "Conversations that are its evidence, at most 16."),
)  # fmt: skip
"""Columns of the ``anomalies`` topic and table, in order."""

ANOMALY_SCHEMA: pa.Schema = arrow_schema(ANOMALY_COLUMNS)
"""Arrow schema of the ``anomalies`` topic."""

CORRECTION_COLUMNS: tuple[Column, ...] = (
    Column("capture_id", pa.string(), "LowCardinality(String)", "", "The capture it belongs to."),
    Column("window_id", pa.uint32(), "UInt32", "Delta, ZSTD(1)", "Number of the window that late packets changed."),
    Column("version", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Its packets when it was judged again; the highest counts."),
    Column("signals", pa.list_(pa.string()), "Array(LowCardinality(String))", "ZSTD(1)", "Signals judged anew: anomalies of these of a lower version no longer count."),
)  # fmt: skip
"""Columns of ``corrections``: windows that were judged again because packets came late."""

CORRECTION_SCHEMA: pa.Schema = arrow_schema(CORRECTION_COLUMNS)
"""Arrow schema of such rows on the ``anomalies`` topic."""
