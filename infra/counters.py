"""Counters of the whole process: what parts without an application of their own count; ``/metrics`` shows them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

# When each counter began: a second figure for every one, which nobody asks for.
disable_created_metrics()

REGISTRY = CollectorRegistry()
"""Everything declared here; a process has one store, so it has one of these."""

STORE_SECONDS = Histogram(
    "spanwatch_store_call_duration_seconds",
    "How long calls of the store took, by what was called (query, insert, command).",
    ["operation"],
    registry=REGISTRY,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)

STORE_ERRORS = Counter(
    "spanwatch_store_errors",
    "Calls of the store that ClickHouse refused or did not answer, by what was called.",
    ["operation"],
    registry=REGISTRY,
)

STORE_ROWS = Counter(
    "spanwatch_store_inserted_rows",
    "Rows that ClickHouse has acknowledged, repeats that it dropped included, by table.",
    ["table"],
    registry=REGISTRY,
)
