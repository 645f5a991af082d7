"""Round-trip times of a window: exact while they are few, a sketch beyond."""

from __future__ import annotations

import numpy as np

from streams.arrays import Int64s, UInt64s
from streams.groups import GroupTable, merge_tables

MAX_EXACT = 65_536
"""Distinct round trips kept exactly in one window."""

RELATIVE_ERROR = 0.01
"""Error of a sketched quantile (Masson, Rim, Lee: "DDSketch", VLDB 2019, with alpha = 0.01)."""

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_EXACT_BELOW_NS = 1_000
IS_SKETCHED = np.uint64(1)
"""Flag of every row once the table holds buckets instead of measured values."""


def quantise(values_ns: UInt64s) -> UInt64s:
    """Return the representative of each value's DDSketch bucket, ns.

    Idempotent, so that buckets and exact values merge in any order. Values under 1 µs stay.
    """
    bucket = np.ceil(np.log(np.maximum(values_ns, 1).astype(np.float64)) / np.log(_GAMMA))
    middle = np.rint(2 * np.power(_GAMMA, bucket) / (_GAMMA + 1)).astype(np.uint64)
    return np.where(values_ns < _EXACT_BELOW_NS, values_ns, middle)


def round_trips(values_ns: Int64s) -> GroupTable:
    """Return the table of measured round trips: key = ns, sum = how often; keys may repeat."""
    return GroupTable.of([values_ns.astype(np.uint64)], [np.ones(len(values_ns), np.int64)])


def merge_round_trips(tables: list[GroupTable]) -> GroupTable:
    """Merge tables of round trips; past ``MAX_EXACT`` distinct values they become buckets.

    Whether the result is sketched depends on the values alone, not on the order of merging.
    """
    merged = merge_tables(tables)
    if len(merged) <= MAX_EXACT and not merged.flags.any():
        return merged
    flags = np.full(len(merged), IS_SKETCHED)
    return merge_tables([GroupTable(quantise(merged.keys), merged.sums, flags)])


def percentile(table: GroupTable, share: float) -> int | None:
    """Return the nearest-rank percentile, ns: the smallest value that ``share`` of all do not exceed."""
    if not len(table):
        return None
    cumulated = np.cumsum(table.sums[:, 0])
    rank = int(np.ceil(share * cumulated[-1]))
    return int(table.keys[np.searchsorted(cumulated, rank), 0])
