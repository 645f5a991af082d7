"""The tables that hold rows of captures, declared once: columns, keys, engines, indexes and how long rows are kept.

The numbered SQL files under ``infra/migrations`` are what builds a store; a test compares a migrated store with
these declarations, column by column, so the two cannot drift apart. ``docs/store.md`` prints the same
declarations. The other tables are in ``schemas.service_tables``.
"""

from __future__ import annotations

import pyarrow as pa

from schemas.analysis import RUN_COLUMNS
from schemas.anomalies import ANOMALY_COLUMNS, CORRECTION_COLUMNS
from schemas.baselines import BASELINE_COLUMNS
from schemas.captures import CAPTURE_COLUMNS, LEDGER_COLUMNS
from schemas.classifications import STORED_CLASSIFICATION_COLUMNS
from schemas.columns import Column
from schemas.flows import STORED_FLOW_COLUMNS
from schemas.models import MODEL_WINDOW_COLUMNS
from schemas.packets import ROW_BITS, STORED_PACKET_COLUMNS
from schemas.table import SkipIndex, Table
from schemas.table_parts import (
    ADDED_TO_AT,
    COMPACT,
    FEWER_MERGES,
    IN_ORDER,
    INSERTED_AT,
    MERGED_AT_REST,
    PACKED,
    WHOLE_PARTS,
    alias,
    by_day,
    record_version,
)
from schemas.verdicts import RECORD_VERDICT_COLUMNS, TRAFFIC_STATS_COLUMNS
from schemas.windows import WINDOW_COLUMNS

EVENT_BATCH = f"bitShiftRight(event_id, {ROW_BITS})"
"""The batch of an event id. Rows of one time lie together and come from few batches, so an index of batches finds an
event id where one of event ids themselves would be as large as the column."""

PACKET_LOGS = Table(
    name="packet_logs",
    columns=STORED_PACKET_COLUMNS,
    computed=(
        INSERTED_AT,
        alias("ts", "DateTime64(9, 'UTC')", "fromUnixTimestamp64Nano(ts_ns, 'UTC')", "Event time."),
        alias(
            "ip_version",
            "UInt8",
            "multiIf(ether_type = 2048, 4, ether_type = 34525, 6, 0)",
            "4, 6, or 0 without IP.",
        ),
    ),
    engine="MergeTree",
    partition_by=by_day("ts_ns"),
    order_by=("capture_id", "ts_ns", "event_id"),
    retention="packets_ttl_days",
    indexes=(
        SkipIndex("batch", EVENT_BATCH, "set(64)", "Finds a packet by its event id: state its batch as well."),
        SkipIndex("by_src_ip", "src_ip", "bloom_filter", "Packets of a source."),
        SkipIndex("by_dst_ip", "dst_ip", "bloom_filter", "Packets to a destination."),
        SkipIndex("by_dst_port", "dst_port", "bloom_filter", "Packets to a port that few packets go to."),
    ),
    settings=(PACKED, FEWER_MERGES, *MERGED_AT_REST, WHOLE_PARTS),
    doc="One row per packet.",
)

WINDOWS = Table(
    name="windows",
    columns=WINDOW_COLUMNS,
    computed=(INSERTED_AT,),
    retention="windows_ttl_days",
    engine="ReplacingMergeTree(version)",
    order_by=("capture_id", "window_id"),
    indexes=(SkipIndex("by_start", "window_start_ns", "minmax", "Windows of a time."),),
    settings=(PACKED, WHOLE_PARTS, *IN_ORDER),
    doc="One row per window and version; read windows_now for the newest.",
)

CAPTURES = Table(
    name="captures",
    columns=CAPTURE_COLUMNS,
    engine="ReplacingMergeTree(version)",
    order_by=("capture_id",),
    settings=(PACKED,),
    doc="One row per capture and change of state; read captures_now for the newest.",
)

LEDGER = Table(
    name="ledger",
    columns=LEDGER_COLUMNS,
    engine="ReplacingMergeTree(version)",
    order_by=("capture_id", "hop", "partition", "reason"),
    settings=(PACKED,),
    doc="What every hop counted; read ledger_now for the newest.",
)

_SUM = "SimpleAggregateFunction(sum, UInt64)"

ROLLUP_INTERVALS_S: dict[str, int] = {"traffic_1m": 60, "traffic_5m": 300, "traffic_1h": 3600}
"""Views over ``traffic``: name and interval, s."""

ROLLUP_COLUMNS: tuple[Column, ...] = (
    Column("capture_id", pa.string(), "LowCardinality(String)", "", "The capture it belongs to."),
    Column("interval_s", pa.uint16(), "UInt16", "", "Length of the interval, s: 60, 300 or 3600."),
    Column("start_ns", pa.int64(), "Int64", "Delta(8), LZ4", "Start of the interval, ns since the Unix epoch, UTC."),
    Column("protocol", pa.uint8(), "UInt8", "", "IANA protocol number; 255 without IP."),
    Column("packets", pa.uint64(), _SUM, "", "Packets."),
    Column("bytes", pa.uint64(), _SUM, "", "Bytes on the wire."),
    Column("payload_bytes", pa.uint64(), _SUM, "", "Bytes behind the transport header."),
)  # fmt: skip
"""Columns of ``traffic``. Sum them when reading: rows of the same key are only added up by merges."""

TRAFFIC = Table(
    name="traffic",
    columns=ROLLUP_COLUMNS,
    computed=(
        ADDED_TO_AT,
        alias("start", "DateTime64(0, 'UTC')", "fromUnixTimestamp64Nano(start_ns, 'UTC')", "Start of the interval."),
    ),
    engine="AggregatingMergeTree",
    order_by=("capture_id", "interval_s", "start_ns", "protocol"),
    retention="windows_ttl_days",
    settings=(PACKED,),
    doc="Packets and bytes per protocol in 1 min, 5 min and 1 h; filled from packet_logs by a materialized view.",
)

ANOMALIES = Table(
    name="anomalies",
    columns=ANOMALY_COLUMNS,
    computed=(INSERTED_AT,),
    retention="windows_ttl_days",
    engine="ReplacingMergeTree(version)",
    order_by=("capture_id", "window_id", "anomaly_id", "run_id"),
    indexes=(SkipIndex("by_start", "window_start_ns", "minmax", "Anomalies of a time."),),
    settings=(PACKED, WHOLE_PARTS, *IN_ORDER),
    doc="One row per anomaly and run that found it; read anomalies_now for those that count.",
)

CORRECTIONS = Table(
    name="corrections",
    columns=CORRECTION_COLUMNS,
    computed=(INSERTED_AT,),
    retention="windows_ttl_days",
    engine="ReplacingMergeTree(version)",
    order_by=("capture_id", "window_id"),
    settings=(PACKED, WHOLE_PARTS),
    doc="Windows judged again because packets came late; anomalies_now leaves out what no longer holds.",
)

BASELINES = Table(
    name="baselines",
    columns=BASELINE_COLUMNS,
    computed=(INSERTED_AT,),
    retention="windows_ttl_days",
    engine="ReplacingMergeTree",
    order_by=("source", "kind", "subject", "version"),
    settings=(PACKED, WHOLE_PARTS),
    doc="One row per baseline and version, so that its history is kept; read baselines_now for the newest.",
)

ANALYSIS_RUNS = Table(
    name="analysis_runs",
    columns=RUN_COLUMNS,
    computed=(INSERTED_AT,),
    retention="windows_ttl_days",
    engine="ReplacingMergeTree(version)",
    order_by=("capture_id", "run_id"),
    settings=(PACKED, WHOLE_PARTS),
    doc="What was judged or learnt again on request; read analysis_runs_now for the newest.",
)

FLOWS = Table(
    name="flows",
    columns=STORED_FLOW_COLUMNS,
    computed=(
        INSERTED_AT,
        record_version("Raised with every record of a flow: twice its packets, one more when it has ended."),
    ),
    retention="flows_ttl_days",
    engine="ReplacingMergeTree(version)",
    partition_by=by_day("start_ns"),
    order_by=("capture_id", "start_ns", "flow_id"),
    indexes=(
        SkipIndex("by_flow_id", "flow_id", "bloom_filter", "Finds a flow by its id."),
        SkipIndex("by_src_ip", "src_ip", "bloom_filter", "Flows that a host began."),
        SkipIndex("by_dst_ip", "dst_ip", "bloom_filter", "Flows that were begun with a host."),
        SkipIndex("by_community_id", "community_id", "bloom_filter", "Flows as other tools name them."),
    ),
    settings=(PACKED, COMPACT, FEWER_MERGES, WHOLE_PARTS),
    doc="One row per flow and record of it; read flows_now for the newest.",
)

CLASSIFICATIONS = Table(
    name="classifications",
    columns=STORED_CLASSIFICATION_COLUMNS,
    computed=(
        INSERTED_AT,
        record_version("That of the flow record it judges: a later record's verdict replaces it."),
    ),
    retention="flows_ttl_days",
    engine="ReplacingMergeTree(version)",
    partition_by=by_day("start_ns"),
    order_by=("capture_id", "start_ns", "flow_id", "role"),
    indexes=(
        SkipIndex("by_flow_id", "flow_id", "bloom_filter", "Finds the verdicts on a flow."),
        SkipIndex("by_src_ip", "src_ip", "bloom_filter", "Verdicts on flows that a host began."),
        SkipIndex("by_dst_ip", "dst_ip", "bloom_filter", "Verdicts on flows that were begun with a host."),
        SkipIndex("by_end", "end_ns", "minmax", "Verdicts on flows of a time: they are sorted by their start."),
        SkipIndex("by_class_name", "class_name", "set(15)", "Verdicts of a class that few flows are of."),
    ),
    settings=(PACKED, COMPACT, FEWER_MERGES, WHOLE_PARTS, *IN_ORDER),
    doc="One row per flow record and role of a model; read classifications_now for the champion's newest.",
)

MODEL_WINDOWS = Table(
    name="model_windows",
    columns=MODEL_WINDOW_COLUMNS,
    computed=(ADDED_TO_AT,),
    engine="AggregatingMergeTree",
    order_by=("model", "role", "capture_id", "window_id", "slot"),
    indexes=(SkipIndex("by_last", "last_ns", "minmax", "Windows of a time."),),
    retention="flows_ttl_days",
    settings=(PACKED,),
    doc="What each model said of each window in sum; filled from classifications by a materialized view.",
)

PACKET_VERDICTS = Table(
    name="packet_verdicts",
    columns=RECORD_VERDICT_COLUMNS,
    computed=(INSERTED_AT,),
    retention="packets_ttl_days",
    engine="MergeTree",
    partition_by=by_day("end_ns"),
    order_by=("capture_id", "end_ns", "flow_id"),
    indexes=(
        SkipIndex("by_src_ip", "src_ip", "bloom_filter", "Records of flows that a host began."),
        SkipIndex("by_dst_ip", "dst_ip", "bloom_filter", "Records of flows that were begun with a host."),
        SkipIndex("by_window", "window_id", "minmax", "Records of the windows in which anomalies raise verdicts."),
    ),
    settings=(PACKED, FEWER_MERGES, *MERGED_AT_REST, WHOLE_PARTS),
    doc="One row per flow record: what the packets that came with it are taken for; read record_verdicts. Filled from "
    "classifications by a materialized view.",
)

TRAFFIC_STATS = Table(
    name="traffic_stats",
    columns=TRAFFIC_STATS_COLUMNS,
    computed=(ADDED_TO_AT,),
    engine="AggregatingMergeTree",
    order_by=("capture_id", "minute_ns", "threat", "class_name"),
    retention="packets_ttl_days",
    settings=(PACKED,),
    doc="Packets by minute and what the classifier takes them for; filled from classifications by a materialized view.",
)

TABLES: tuple[Table, ...] = (
    PACKET_LOGS,
    WINDOWS,
    CAPTURES,
    LEDGER,
    TRAFFIC,
    ANOMALIES,
    CORRECTIONS,
    BASELINES,
    ANALYSIS_RUNS,
    FLOWS,
    CLASSIFICATIONS,
    PACKET_VERDICTS,
    TRAFFIC_STATS,
    MODEL_WINDOWS,
)
"""Every table that holds rows of captures."""
