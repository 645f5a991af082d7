"""Figures of the pipeline itself, once a minute as rows of ``pipeline``: inserts, rows, errors and lag.

``/metrics`` shows the same to Prometheus; here they are kept for whoever looks at the store only.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa
from prometheus_client import CollectorRegistry

from agents.app import FaustApp
from infra.counters import REGISTRY
from infra.lag import KafkaLag, lag
from infra.settings import Settings
from infra.store import Store
from schemas.errors import BrokerError, StoreError
from schemas.pipeline import PIPELINE_SCHEMA, Figure
from schemas.topics import STORAGE_GROUP, TOPICS, WORKER_GROUP

log = logging.getLogger(__name__)

LOOK_S = 60.0
"""Pause between two rows of a figure, s."""

SURE = 0.95
"""Share of the inserts that took at most ``Figure.INSERT_P95_S``."""

Totals = Mapping[tuple[Figure, str], float]


def totals_of(registry: CollectorRegistry) -> tuple[dict[tuple[Figure, str], float], dict[float, float]]:
    """Return what the counters of the store have come to, and of its inserts how many took at most so long, by s."""
    totals: dict[tuple[Figure, str], float] = {}
    at_most: dict[float, float] = {}
    for sample in (sample for metric in registry.collect() for sample in metric.samples):
        is_insert = sample.labels.get("operation") == "insert"
        if sample.name == "spanwatch_store_inserted_rows_total":
            totals[Figure.ROWS, sample.labels["table"]] = sample.value
        elif is_insert and sample.name == "spanwatch_store_errors_total":
            totals[Figure.INSERT_ERRORS, ""] = sample.value
        elif is_insert and sample.name == "spanwatch_store_call_duration_seconds_count":
            totals[Figure.INSERTS, ""] = sample.value
        elif is_insert and sample.name == "spanwatch_store_call_duration_seconds_sum":
            totals[Figure.INSERT_SECONDS, ""] = sample.value
        elif is_insert and sample.name == "spanwatch_store_call_duration_seconds_bucket":
            at_most[float(sample.labels["le"])] = sample.value
    return totals, at_most


def sure_bound(before: Mapping[float, float], now: Mapping[float, float]) -> float | None:
    """Return the least bound that 95 % of the inserts since kept, s; None without any, or when no finite one is kept.

    Parameters
    ----------
    before, now : mapping of float to float
        Inserts that took at most so long, by s: the buckets of a histogram, which add up.
    """
    since = {bound: count - before.get(bound, 0) for bound, count in now.items()}
    total = max(since.values(), default=0)
    kept = [bound for bound, count in since.items() if count >= SURE * total and bound != float("inf")]
    return min(kept) if total and kept else None


class PipelineFigures:
    """Writes what has happened since the last time.

    Parameters
    ----------
    store : Store
        Opened and migrated.
    lags : callable
        How far consumer groups are behind; may raise ``BrokerError``.
    registry : CollectorRegistry
        Where the store's calls are counted.
    """

    def __init__(
        self, store: Store, lags: Callable[[], Iterable[KafkaLag]], registry: CollectorRegistry = REGISTRY
    ) -> None:
        self._store = store
        self._lags = lags
        self._registry = registry
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._before, self._at_most = totals_of(registry)
        self._writing = threading.Lock()

    def write(self) -> None:
        """Store a row of each figure; what cannot be had now is left out, what cannot be stored is told later.

        Returns at once while another thread writes.
        """
        if not self._writing.acquire(blocking=False):
            return
        try:
            self._write()
        finally:
            self._writing.release()

    def _write(self) -> None:
        totals, at_most = totals_of(self._registry)
        at_ns = time.time_ns()
        values = {key: value - self._before.get(key, 0) for key, value in totals.items()}
        bound = sure_bound(self._at_most, at_most)
        if bound is not None:
            values[Figure.INSERT_P95_S, ""] = bound
        try:
            rows = self._rows(at_ns, {**values, **self._waiting()})
            self._store.insert("pipeline", rows, f"{self._process}:{at_ns}")
        except StoreError as error:
            log.debug("figures of the pipeline cannot be stored: %s", error)
        else:
            self._before, self._at_most = totals, at_most

    def _waiting(self) -> dict[tuple[Figure, str], float]:
        """Return the messages that wait, by group and topic."""
        found: dict[tuple[Figure, str], float] = {}
        try:
            for row in self._lags():
                key = (Figure.LAG_MESSAGES, f"{row.group}/{row.topic}")
                found[key] = found.get(key, 0) + row.messages
        except BrokerError as error:
            log.debug("the lag cannot be had: %s", error)
        return found

    def _rows(self, at_ns: int, values: Totals) -> pa.Table:
        rows = [
            {"at_ns": at_ns, "process": self._process, "figure": figure.value, "subject": subject, "value": value}
            for (figure, subject), value in values.items()
            if value or figure is not Figure.ROWS
        ]
        return pa.Table.from_pylist(rows, schema=PIPELINE_SCHEMA)


def add_pipeline_figures(app: FaustApp, settings: Settings, store: Store) -> None:
    """Have the figures written as long as the application runs."""

    def lags() -> list[KafkaLag]:
        groups = [settings.group_name(name) for name in (WORKER_GROUP, STORAGE_GROUP)]
        return [row for group in groups for row in lag(settings, group, TOPICS) if row.committed is not None]

    figures = PipelineFigures(store, lags)

    async def write() -> None:
        # In a thread that nobody waits for at the end: asking a broker that has gone takes long.
        threading.Thread(target=figures.write, name="pipeline-figures", daemon=True).start()

    app.timer(LOOK_S)(write)
