"""What several tables of the store are declared with: settings, partitions and computed columns."""

from __future__ import annotations

from schemas.table import ComputedColumn

PARTITION_SLOTS = 64
"""Partitions of ``packet_logs``: the day of the event time modulo this, so that a capture file whose clock jumps
through decades still splits one insert into 64 parts at most."""

DAY_NS = 86_400 * 10**9
"""Length of a day, ns."""

PACKED = ("min_bytes_for_full_part_storage", "67108864")
"""A part below 64 MiB (before compression) is one file instead of thirteen: making files was the largest cost of an
insert in the kernel."""

COMPACT = ("min_bytes_for_wide_part", "67108864")
"""What is inserted at once stays one compact part instead of two files for every column; so do small merged parts."""

FEWER_MERGES = ("merge_selector_base", "200")
"""Merges wait for about this many parts of a size (5 is the default): merging cost more than inserting. The number is
lowered by ClickHouse itself as parts get older, over days."""

MERGED_AT_REST = (
    ("min_age_to_force_merge_seconds", "600"),
    ("max_bytes_to_merge_at_max_space_in_pool", "268435456"),
    ("min_level_for_wide_part", "1"),
    ("min_bytes_for_wide_part", "10485760"),
)
"""Parts that are ten minutes old are merged, up to 256 MiB, and merged ones are wide, inserted ones compact: questions
over all rows read each column of each part."""

WHOLE_PARTS = ("ttl_only_drop_parts", "1")
"""What has outlived its retention goes with its part, once all of the part has; no part is written again for it."""

IN_ORDER = (("enable_block_number_column", "1"), ("enable_block_offset_column", "1"))
"""Rows keep the number of their insert through merges, so that what is new can be read in the order of arrival."""

INSERTED_AT = ComputedColumn(
    "inserted_at", "DateTime('UTC')", "MATERIALIZED", "now()", "Delta(4), LZ4",
    "When the row was stored; retention counts from it.",
)  # fmt: skip

ADDED_TO_AT = ComputedColumn(
    "inserted_at", "SimpleAggregateFunction(max, DateTime('UTC'))", "DEFAULT", "now()", "",
    "When it was last added to; retention counts from it.",
)  # fmt: skip


def record_version(doc: str) -> ComputedColumn:
    """Return the version of rows that are made of a flow's record: its packets, and whether the flow has ended."""
    expression = "((fwd_packets + bwd_packets) * 2) + (end_reason != 'interim')"
    return ComputedColumn("version", "UInt64", "MATERIALIZED", expression, "T64, LZ4", doc)


def by_day(time_ns: str) -> str:
    """Return the partition key of a table by the day of a column with times, ns."""
    return f"positiveModulo(intDiv({time_ns}, {DAY_NS}), {PARTITION_SLOTS})"


def alias(name: str, clickhouse: str, expression: str, doc: str) -> ComputedColumn:
    """Return a column that is computed when it is read."""
    return ComputedColumn(name, clickhouse, "ALIAS", expression, "", doc)
