"""What Prometheus may know of the traffic and of what lies behind the API: asked of store and broker, and kept a while.

A scrape must be cheap and must not fail when a part behind the API does not answer: then that part's figures are
missing, and its ``_up`` is 0.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.filters import NS_PER_S
from api.queries_traffic import TrafficTotals, traffic_totals
from infra.lag import GroupOffsets, KafkaLag
from infra.settings import Settings
from infra.store import Store
from schemas.classes import CLASS_NAMES
from schemas.enums import AnomalyType, Severity
from schemas.errors import SpanwatchError
from schemas.topics import STORAGE_GROUP, TOPICS, WORKER_GROUP

log = logging.getLogger(__name__)

KEPT_S = 5.0
"""How long figures are kept: scrapes every few seconds from several Prometheus servers ask only once."""

PATIENCE_S = 2.0
"""How long a scrape waits for a part that is slow; its figures come with the next one."""

Figures = TypeVar("Figures")


class Kept(Generic[Figures]):
    """Figures that are asked for in a thread, at most once at a time, and kept a while.

    Parameters
    ----------
    ask : callable
        Returns them, or raises ``SpanwatchError``.
    kept_s : float
        See ``KEPT_S``.
    """

    def __init__(self, ask: Callable[[], Figures], kept_s: float = KEPT_S) -> None:
        self._ask = ask
        self._kept_s = kept_s
        self._lock = threading.Lock()
        self._found: Figures | None = None
        self._found_s = float("-inf")
        self._thread: threading.Thread | None = None

    def get(self) -> Figures | None:
        """Return the figures; None when they do not come in time or cannot be had."""
        with self._lock:
            if time.monotonic() - self._found_s < self._kept_s:
                return self._found
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._refresh, name="figures", daemon=True)
                self._thread.start()
            asking = self._thread
        asking.join(PATIENCE_S)
        with self._lock:
            return None if asking.is_alive() else self._found

    def _refresh(self) -> None:
        try:
            found = self._ask()
        except SpanwatchError as error:
            log.debug("figures cannot be had: %s", error)
            found = None
        with self._lock:
            self._found, self._found_s = found, time.monotonic()

    def close(self) -> None:
        """Wait a moment for who is asking."""
        if self._thread is not None:
            self._thread.join(PATIENCE_S)


class Lags:
    """How far the consumer groups are behind; connections are made with the first question and kept.

    Parameters
    ----------
    settings : Settings
        Which broker, and the topics' prefix.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._offsets: dict[str, GroupOffsets] = {}

    def __call__(self) -> dict[str, list[KafkaLag]]:
        """Return the lag of every partition that a group has read from, by group."""
        found = {}
        for group in (WORKER_GROUP, STORAGE_GROUP):
            if group not in self._offsets:
                self._offsets[group] = GroupOffsets(self._settings, self._settings.group_name(group))
            rows = self._offsets[group].lag(TOPICS)
            found[group] = [row for row in rows if row.committed is not None]
        return found

    def close(self) -> None:
        """Close the connections."""
        for offsets in self._offsets.values():
            offsets.close()


class TrafficCollector(Collector):
    """Figures of the store and of the broker.

    Parameters
    ----------
    store : Store
        Asked for the figures of the traffic.
    settings : Settings
        Which broker, and the topics' prefix.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._prefix = settings.topic_prefix
        self._lags = Lags(settings)
        self._kept_totals = Kept(lambda: traffic_totals(store))
        self._kept_lags = Kept(self._lags)

    def close(self) -> None:
        """Close the connections to the broker."""
        self._kept_totals.close()
        self._kept_lags.close()
        self._lags.close()

    def collect(self) -> Iterator[Metric]:
        """Yield the figures, as far as they can be had."""
        totals = self._kept_totals.get()
        yield GaugeMetricFamily("spanwatch_store_up", "Whether the store answers.", value=totals is not None)
        if totals is not None:
            yield from _captures(totals)
            yield from _found(totals)
            yield from _losses(totals)
            yield from _last_window(totals)
        lags = self._kept_lags.get()
        yield GaugeMetricFamily("spanwatch_kafka_up", "Whether Kafka answers.", value=lags is not None)
        if lags is not None:
            yield self._lag(lags)

    def _lag(self, lags: dict[str, list[KafkaLag]]) -> Metric:
        lag = GaugeMetricFamily(
            "spanwatch_kafka_lag_messages",
            "Messages that a consumer group has not committed yet, all partitions together.",
            labels=["group", "topic"],
        )
        for group, rows in lags.items():
            for topic in sorted({row.topic for row in rows}):
                behind = sum(row.messages for row in rows if row.topic == topic)
                lag.add_metric([group, topic.removeprefix(self._prefix)], behind)
        return lag


def _captures(totals: TrafficTotals) -> Iterator[Metric]:
    states = GaugeMetricFamily("spanwatch_captures", "Captures, by source and state.", labels=["source", "state"])
    packets = CounterMetricFamily(
        "spanwatch_captured_packets", "Packets read, by source; falls when a capture is deleted.", labels=["source"]
    )
    octets = CounterMetricFamily(
        "spanwatch_captured_bytes", "Bytes on the wire read, by source; as above.", labels=["source"]
    )
    for row in totals.captures:
        for state in ("running", "complete", "failed"):
            states.add_metric([row.source, state], getattr(row, state))
        packets.add_metric([row.source], row.packets)
        octets.add_metric([row.source], row.bytes)
    yield from (states, packets, octets)


def _found(totals: TrafficTotals) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "spanwatch_windows", "Windows closed and stored, corrections counted again.", value=totals.window_rows
    )
    anomalies = CounterMetricFamily(
        "spanwatch_anomalies", "Anomalies found in the stream, by type and severity.", labels=["type", "severity"]
    )
    counted = {(row.type, row.severity): row.rows for row in totals.anomalies}
    for kind in AnomalyType:
        for severity in Severity:
            anomalies.add_metric([kind.value, severity.value], counted.get((kind.value, severity.value), 0))
    yield anomalies
    verdicts = CounterMetricFamily(
        "spanwatch_verdicts",
        "Verdicts on flow records that are stored, by class, and whether they are uncertain; falls as they expire.",
        labels=["class", "uncertain"],
    )
    judged = {(row.class_name, row.is_uncertain): row.rows for row in totals.verdicts}
    for name in CLASS_NAMES:
        for is_uncertain in (False, True):
            verdicts.add_metric([name, str(is_uncertain).lower()], judged.get((name, is_uncertain), 0))
    yield verdicts


def _losses(totals: TrafficTotals) -> Iterator[Metric]:
    """Yield the loss ledger, all captures together."""
    seen = CounterMetricFamily(
        "spanwatch_ledger_packets", "Packets that came into and went out of each stage.", labels=["hop", "direction"]
    )
    lost = CounterMetricFamily(
        "spanwatch_lost_packets", "Packets that a stage says it lost, by reason.", labels=["hop", "reason"]
    )
    undecoded = CounterMetricFamily(
        "spanwatch_undecoded_packets", "Packets that could not be decoded to their end, by reason.", labels=["reason"]
    )
    for row in totals.hops:
        if not row.reason:
            seen.add_metric([row.hop, "in"], row.packets_in)
            seen.add_metric([row.hop, "out"], row.packets_out)
        elif row.packets_in > row.packets_out:
            lost.add_metric([row.hop, row.reason], row.packets_in - row.packets_out)
        elif row.hop == "decode":
            undecoded.add_metric([row.reason], row.packets_in)
    yield from (seen, lost, undecoded)


def _last_window(totals: TrafficTotals) -> Iterator[Metric]:
    """Yield the newest window of the current capture: one series at a time, whatever was captured before."""
    last = totals.last_window
    if last is None:
        return
    size_s = (last.window_end_ns - last.window_start_ns) / NS_PER_S
    figures = (
        ("spanwatch_current_packets_per_second", "Packets per second in", last.record_count / size_s),
        ("spanwatch_current_bytes_per_second", "Bytes per second in", last.bytes / size_s),
        ("spanwatch_current_window_end_timestamp_seconds", "End (event time) of", last.window_end_ns / NS_PER_S),
    )
    for name, says, value in figures:
        family = GaugeMetricFamily(name, f"{says} the newest window of the current capture.", labels=["capture"])
        family.add_metric([last.capture_id], value)
        yield family
