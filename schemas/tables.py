"""The tables of the store, declared once: columns, keys, engines, indexes and how long rows are kept.

The numbered SQL files under ``infra/migrations`` are what builds a store; a test compares a migrated store with
these declarations, column by column, so the two cannot drift apart. ``docs/store.md`` prints the same declarations.
"""

from __future__ import annotations

import pyarrow as pa

from schemas.analysis import RUN_COLUMNS
from schemas.anomalies import ANOMALY_COLUMNS, CORRECTION_COLUMNS
from schemas.audit import AUDIT_COLUMNS
from schemas.baselines import BASELINE_COLUMNS
from schemas.blocks import BLOCK_COLUMNS
from schemas.captures import CAPTURE_COLUMNS, LEDGER_COLUMNS
from schemas.classifications import STORED_CLASSIFICATION_COLUMNS
from schemas.columns import Column
from schemas.flows import STORED_FLOW_COLUMNS
from schemas.honeypots import DEAD_LETTER_COLUMNS, STORED_LOG_COLUMNS, HoneypotType
from schemas.models import DRIFT_COLUMNS, MODEL_COLUMNS, MODEL_WINDOW_COLUMNS, ROLE_COLUMNS
from schemas.packets import ROW_BITS, STORED_PACKET_COLUMNS
from schemas.pipeline import PIPELINE_COLUMNS
from schemas.table import ComputedColumn, SkipIndex, Table
from schemas.verdicts import RECORD_VERDICT_COLUMNS, TRAFFIC_STATS_COLUMNS
from schemas.windows import WINDOW_COLUMNS

PARTITION_SLOTS = 64
"""Partitions of ``packet_logs``: the day of the event time modulo this, so that a capture file whose clock jumps
through decades still splits one insert into 64 parts at most."""

EVENT_BATCH = f"bitShiftRight(event_id, {ROW_BITS})"
"""The batch of an event id. Rows of one time lie together and come from few batches, so an index of batches finds an
event id where one of event ids themselves would be as large as the column."""

DAY_NS = 86_400 * 10**9


_PACKED = ("min_bytes_for_full_part_storage", "67108864")
"""A part below 64 MiB (before compression) is one file instead of thirteen: making files was the largest cost of an
insert in the kernel."""

_COMPACT = ("min_bytes_for_wide_part", "67108864")
"""The largest insert (262,144 packets, 28 MB) stays one compact part instead of two files for every column."""

_FEWER_MERGES = ("merge_selector_base", "200")
"""Merges wait for about this many parts of a size (5 is the default): merging cost more than inserting. The number is
lowered by ClickHouse itself as parts get older, so a quiet store is still merged down."""

_IN_ORDER = (("enable_block_number_column", "1"), ("enable_block_offset_column", "1"))
"""Rows keep the number of their insert through merges, so that what is new can be read in the order of arrival."""

_INSERTED_AT = ComputedColumn(
    "inserted_at", "DateTime('UTC')", "MATERIALIZED", "now()", "Delta(4), LZ4",
    "When the row was stored; retention counts from it.",
)  # fmt: skip


def _alias(name: str, clickhouse: str, expression: str, doc: str) -> ComputedColumn:
    return ComputedColumn(name, clickhouse, "ALIAS", expression, "", doc)


PACKET_LOGS = Table(
    name="packet_logs",
    columns=STORED_PACKET_COLUMNS,
    computed=(
        _INSERTED_AT,
        _alias("ts", "DateTime64(9, 'UTC')", "fromUnixTimestamp64Nano(ts_ns, 'UTC')", "Event time."),
        _alias(
            "ip_version",
            "UInt8",
            "multiIf(ether_type = 2048, 4, ether_type = 34525, 6, 0)",
            "4, 6, or 0 without IP.",
        ),
    ),
    engine="MergeTree",
    partition_by=f"positiveModulo(intDiv(ts_ns, {DAY_NS}), {PARTITION_SLOTS})",
    order_by=("capture_id", "ts_ns", "event_id"),
    retention="packets_ttl_days",
    indexes=(
        SkipIndex("batch", EVENT_BATCH, "set(64)", "Finds a packet by its event id: state its batch as well."),
        SkipIndex("by_src_ip", "src_ip", "bloom_filter", "Packets of a source."),
        SkipIndex("by_dst_ip", "dst_ip", "bloom_filter", "Packets to a destination."),
        SkipIndex("by_dst_port", "dst_port", "bloom_filter", "Packets to a port that few packets go to."),
    ),
    settings=(_PACKED, _COMPACT, _FEWER_MERGES, ("ttl_only_drop_parts", "1")),
    doc="One row per packet.",
)

WINDOWS = Table(
    name="windows",
    columns=WINDOW_COLUMNS,
    computed=(_INSERTED_AT,),
    retention="windows_ttl_days",
    engine="ReplacingMergeTree(version)",
    order_by=("capture_id", "window_id"),
    indexes=(SkipIndex("by_start", "window_start_ns", "minmax", "Windows of a time."),),
    settings=(_PACKED, ("ttl_only_drop_parts", "1"), *_IN_ORDER),
    doc="One row per window and version; read windows_now for the newest.",
)

CAPTURES = Table(
    name="captures",
    columns=CAPTURE_COLUMNS,
    engine="ReplacingMergeTree(version)",
    order_by=("capture_id",),
    settings=(_PACKED,),
    doc="One row per capture and change of state; read captures_now for the newest.",
)

LEDGER = Table(
    name="ledger",
    columns=LEDGER_COLUMNS,
    engine="ReplacingMergeTree(version)",
    order_by=("capture_id", "hop", "partition", "reason"),
    settings=(_PACKED,),
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
        ComputedColumn(
            "inserted_at",
            "SimpleAggregateFunction(max, DateTime('UTC'))",
            "DEFAULT",
            "now()",
            "",
            "When it was last added to; retention counts from it.",
        ),
        _alias("start", "DateTime64(0, 'UTC')", "fromUnixTimestamp64Nano(start_ns, 'UTC')", "Start of the interval."),
    ),
    engine="AggregatingMergeTree",
    order_by=("capture_id", "interval_s", "start_ns", "protocol"),
    retention="windows_ttl_days",
    settings=(_PACKED,),
    doc="Packets and bytes per protocol in 1 min, 5 min and 1 h; filled from packet_logs by a materialized view.",
)

ANOMALIES = Table(
    name="anomalies",
    columns=ANOMALY_COLUMNS,
    computed=(_INSERTED_AT,),
    retention="windows_ttl_days",
    engine="ReplacingMergeTree(version)",
    order_by=("capture_id", "window_id", "anomaly_id", "run_id"),
    indexes=(SkipIndex("by_start", "window_start_ns", "minmax", "Anomalies of a time."),),
    settings=(_PACKED, ("ttl_only_drop_parts", "1"), *_IN_ORDER),
    doc="One row per anomaly and run that found it; read anomalies_now for those that count.",
)

CORRECTIONS = Table(
    name="corrections",
    columns=CORRECTION_COLUMNS,
    computed=(_INSERTED_AT,),
    retention="windows_ttl_days",
    engine="ReplacingMergeTree(version)",
    order_by=("capture_id", "window_id"),
    settings=(_PACKED, ("ttl_only_drop_parts", "1")),
    doc="Windows judged again because packets came late; anomalies_now leaves out what no longer holds.",
)

BASELINES = Table(
    name="baselines",
    columns=BASELINE_COLUMNS,
    computed=(_INSERTED_AT,),
    retention="windows_ttl_days",
    engine="ReplacingMergeTree",
    order_by=("source", "kind", "subject", "version"),
    settings=(_PACKED, ("ttl_only_drop_parts", "1")),
    doc="One row per baseline and version, so that its history is kept; read baselines_now for the newest.",
)

ANALYSIS_RUNS = Table(
    name="analysis_runs",
    columns=RUN_COLUMNS,
    computed=(_INSERTED_AT,),
    retention="windows_ttl_days",
    engine="ReplacingMergeTree(version)",
    order_by=("capture_id", "run_id"),
    settings=(_PACKED, ("ttl_only_drop_parts", "1")),
    doc="What was judged or learnt again on request; read analysis_runs_now for the newest.",
)

FLOWS = Table(
    name="flows",
    columns=STORED_FLOW_COLUMNS,
    computed=(
        _INSERTED_AT,
        ComputedColumn(
            "version",
            "UInt64",
            "MATERIALIZED",
            "((fwd_packets + bwd_packets) * 2) + (end_reason != 'interim')",
            "T64, LZ4",
            "Raised with every record of a flow: twice its packets, one more when it has ended.",
        ),
    ),
    retention="flows_ttl_days",
    engine="ReplacingMergeTree(version)",
    partition_by=f"positiveModulo(intDiv(start_ns, {DAY_NS}), {PARTITION_SLOTS})",
    order_by=("capture_id", "start_ns", "flow_id"),
    indexes=(
        SkipIndex("by_flow_id", "flow_id", "bloom_filter", "Finds a flow by its id."),
        SkipIndex("by_src_ip", "src_ip", "bloom_filter", "Flows that a host began."),
        SkipIndex("by_dst_ip", "dst_ip", "bloom_filter", "Flows that were begun with a host."),
        SkipIndex("by_community_id", "community_id", "bloom_filter", "Flows as other tools name them."),
    ),
    settings=(_PACKED, _COMPACT, _FEWER_MERGES, ("ttl_only_drop_parts", "1")),
    doc="One row per flow and record of it; read flows_now for the newest.",
)

CLASSIFICATIONS = Table(
    name="classifications",
    columns=STORED_CLASSIFICATION_COLUMNS,
    computed=(
        _INSERTED_AT,
        ComputedColumn(
            "version",
            "UInt64",
            "MATERIALIZED",
            "((fwd_packets + bwd_packets) * 2) + (end_reason != 'interim')",
            "T64, LZ4",
            "That of the flow record it judges: a later record's verdict replaces it.",
        ),
    ),
    retention="flows_ttl_days",
    engine="ReplacingMergeTree(version)",
    partition_by=f"positiveModulo(intDiv(start_ns, {DAY_NS}), {PARTITION_SLOTS})",
    order_by=("capture_id", "start_ns", "flow_id", "role"),
    indexes=(
        SkipIndex("by_flow_id", "flow_id", "bloom_filter", "Finds the verdicts on a flow."),
        SkipIndex("by_src_ip", "src_ip", "bloom_filter", "Verdicts on flows that a host began."),
        SkipIndex("by_dst_ip", "dst_ip", "bloom_filter", "Verdicts on flows that were begun with a host."),
        SkipIndex("by_end", "end_ns", "minmax", "Verdicts on flows of a time: they are sorted by their start."),
        SkipIndex("by_class_name", "class_name", "set(15)", "Verdicts of a class that few flows are of."),
    ),
    settings=(_PACKED, _COMPACT, _FEWER_MERGES, ("ttl_only_drop_parts", "1"), *_IN_ORDER),
    doc="One row per flow record and role of a model; read classifications_now for the champion's newest.",
)

BLOCKS = Table(
    name="blocks",
    columns=BLOCK_COLUMNS,
    computed=(_INSERTED_AT,),
    engine="ReplacingMergeTree(version)",
    order_by=("block_id",),
    settings=(_PACKED,),
    doc="One row per block and change of it, kept for ever; read blocks_now for the newest.",
)

MODEL_WINDOWS = Table(
    name="model_windows",
    columns=MODEL_WINDOW_COLUMNS,
    computed=(
        ComputedColumn(
            "inserted_at",
            "SimpleAggregateFunction(max, DateTime('UTC'))",
            "DEFAULT",
            "now()",
            "",
            "When it was last added to; retention counts from it.",
        ),
    ),
    engine="AggregatingMergeTree",
    order_by=("model", "role", "capture_id", "window_id", "slot"),
    indexes=(SkipIndex("by_last", "last_ns", "minmax", "Windows of a time."),),
    retention="flows_ttl_days",
    settings=(_PACKED,),
    doc="What each model said of each window in sum; filled from classifications by a materialized view.",
)

PACKET_VERDICTS = Table(
    name="packet_verdicts",
    columns=RECORD_VERDICT_COLUMNS,
    computed=(_INSERTED_AT,),
    retention="packets_ttl_days",
    engine="MergeTree",
    partition_by=f"positiveModulo(intDiv(end_ns, {DAY_NS}), {PARTITION_SLOTS})",
    order_by=("capture_id", "end_ns", "flow_id"),
    indexes=(
        SkipIndex("by_src_ip", "src_ip", "bloom_filter", "Records of flows that a host began."),
        SkipIndex("by_dst_ip", "dst_ip", "bloom_filter", "Records of flows that were begun with a host."),
    ),
    settings=(_PACKED, _COMPACT, _FEWER_MERGES, ("ttl_only_drop_parts", "1")),
    doc="One row per flow record: what the packets that came with it are taken for; read record_verdicts. Filled from "
    "classifications by a materialized view.",
)

TRAFFIC_STATS = Table(
    name="traffic_stats",
    columns=TRAFFIC_STATS_COLUMNS,
    computed=(
        ComputedColumn(
            "inserted_at",
            "SimpleAggregateFunction(max, DateTime('UTC'))",
            "DEFAULT",
            "now()",
            "",
            "When it was last added to; retention counts from it.",
        ),
    ),
    engine="AggregatingMergeTree",
    order_by=("capture_id", "minute_ns", "threat", "class_name"),
    retention="packets_ttl_days",
    settings=(_PACKED,),
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

MODELS = Table(
    name="models",
    columns=MODEL_COLUMNS,
    engine="ReplacingMergeTree(registered_ns)",
    order_by=("fingerprint",),
    settings=(_PACKED,),
    doc="One row per registered model, with its bundle; read models_now.",
)

MODEL_ROLES = Table(
    name="model_roles",
    columns=ROLE_COLUMNS,
    engine="ReplacingMergeTree",
    order_by=("role", "changed_ns"),
    settings=(_PACKED,),
    doc="One row per change of who is champion or challenger; read model_roles_now for who is it now.",
)

MODEL_DRIFT = Table(
    name="model_drift",
    columns=DRIFT_COLUMNS,
    engine="ReplacingMergeTree(version)",
    order_by=("model", "signal"),
    settings=(_PACKED,),
    doc="Whether what a model sees, or says, has changed; read model_drift_now for the newest.",
)

AUDIT = Table(
    name="audit",
    columns=AUDIT_COLUMNS,
    computed=(_INSERTED_AT,),
    retention="audit_ttl_days",
    engine="MergeTree",
    order_by=("at_ns", "entry_id"),
    settings=(_PACKED, ("ttl_only_drop_parts", "1")),
    doc="One row per call that acts, refused ones included, and per thing that the service did by itself.",
)

PIPELINE = Table(
    name="pipeline",
    columns=PIPELINE_COLUMNS,
    computed=(_INSERTED_AT,),
    retention="windows_ttl_days",
    engine="MergeTree",
    order_by=("at_ns", "process", "figure", "subject"),
    settings=(_PACKED, ("ttl_only_drop_parts", "1")),
    doc="How the pipeline itself does, minute by minute; read panel_pipeline.",
)

HONEYPOT_TABLES: tuple[Table, ...] = tuple(
    Table(
        name=kind.table,
        columns=STORED_LOG_COLUMNS,
        computed=(_INSERTED_AT,),
        retention="honeypots_ttl_days",
        engine="ReplacingMergeTree",
        order_by=("ts_ns", "log_id"),
        indexes=(SkipIndex("by_source_ip", "source_ip", "bloom_filter", "Lines about a source."),),
        settings=(_PACKED,),
        doc=f"One row per line of {kind.value} honeypots' logs; read with FINAL.",
    )
    for kind in HoneypotType
)
"""One table per honeypot, all alike."""

HONEYPOT_DEAD_LETTERS = Table(
    name="honeypot_dead_letters",
    columns=DEAD_LETTER_COLUMNS,
    computed=(_INSERTED_AT,),
    retention="honeypots_ttl_days",
    engine="ReplacingMergeTree(read_ns)",
    order_by=("letter_id",),
    settings=(_PACKED,),
    doc="One row per line of honeypots' logs that could not be understood; read with FINAL.",
)

SERVICE_TABLES: tuple[Table, ...] = (
    AUDIT,
    BLOCKS,
    MODELS,
    MODEL_ROLES,
    MODEL_DRIFT,
    PIPELINE,
    *HONEYPOT_TABLES,
    HONEYPOT_DEAD_LETTERS,
)
"""Every other table: what the service itself did; no capture's deletion touches it."""
