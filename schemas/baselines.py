"""The baseline: what is usual, as it stood after a window."""

from __future__ import annotations

import pyarrow as pa

from schemas.columns import Column, arrow_schema

_SHARES = pa.map_(pa.string(), pa.float64())

BASELINE_COLUMNS: tuple[Column, ...] = (
    Column("source", pa.string(), "LowCardinality(String)", "", "What was learnt from: sensor/interface of a live port (across captures), or the capture id of a file."),
    Column("kind", pa.string(), "LowCardinality(String)", "", "enum BaselineKind."),
    Column("subject", pa.string(), "String", "ZSTD(1)", "Address of the host it is about; empty for the whole network."),
    Column("version", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Raised with each report; the highest counts."),
    Column("origin", pa.string(), "LowCardinality(String)", "", "learnt (window by window, in the stream) or generated (from stored windows, on request)."),
    Column("capture_id", pa.string(), "LowCardinality(String)", "", "The capture whose window was learnt last."),
    Column("window_id", pa.uint32(), "UInt32", "Delta, ZSTD(1)", "That window."),
    Column("window_end_ns", pa.int64(), "Int64", "DoubleDelta, ZSTD(1)", "Its end, ns since the epoch."),
    Column("windows", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Windows learnt."),
    Column("held_back", pa.uint64(), "UInt64", "T64, ZSTD(1)", "Windows learnt with less weight because they were anomalous."),
    Column("unit", pa.string(), "LowCardinality(String)", "", "Unit of the figures."),
    Column("mean", pa.float64(), "Nullable(Float64)", "ZSTD(1)", "Mean; null where nothing was measured."),
    Column("std", pa.float64(), "Nullable(Float64)", "ZSTD(1)", "Standard deviation."),
    Column("median", pa.float64(), "Nullable(Float64)", "ZSTD(1)", "Median."),
    Column("min", pa.float64(), "Nullable(Float64)", "ZSTD(1)", "Least."),
    Column("max", pa.float64(), "Nullable(Float64)", "ZSTD(1)", "Greatest."),
    Column("p95", pa.float64(), "Nullable(Float64)", "ZSTD(1)", "95th percentile."),
    Column("p99", pa.float64(), "Nullable(Float64)", "ZSTD(1)", "99th percentile."),
    Column("recent_mean", pa.float64(), "Nullable(Float64)", "ZSTD(1)", "Exponentially weighted mean."),
    Column("drift_alarms", pa.uint32(), "UInt32", "", "How often ADWIN has said that the mean has changed."),
    Column("last_drift_ns", pa.int64(), "Nullable(Int64)", "ZSTD(1)", "End of the window of the last alarm; null without one."),
    Column("distribution", _SHARES, "Map(LowCardinality(String), Float64)", "ZSTD(1)", "Mean share of packets by named protocol, 0 to 1; empty for other kinds."),
    Column("hours", pa.map_(pa.uint8(), pa.float64()), "Map(UInt8, Float64)", "ZSTD(1)", "Mean by hour of the day, UTC, of hours with enough windows."),
    Column("extra", _SHARES, "Map(LowCardinality(String), Float64)", "ZSTD(1)", "Further figures by name, unit in the name, e.g. age_p95_s of the connection baseline."),
)  # fmt: skip
"""Columns of the ``baselines`` topic and table, in order."""

BASELINE_SCHEMA: pa.Schema = arrow_schema(BASELINE_COLUMNS)
"""Arrow schema of the ``baselines`` topic."""
