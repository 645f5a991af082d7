"""The service's own figures for Prometheus: requests, streams and the process.

Names follow Prometheus's conventions: a prefix, base units, ``_total`` for what only grows. ``docs/metrics.md``
explains each of them, and a test says that none is missing there.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Receive, Scope, Send

from api.feed import Feed
from api.status_seen import StatusSeen
from infra.counters import REGISTRY

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Anything else counts as ``other``: a label has only values that we know of."""

_UNMATCHED = "unmatched"
"""Route of a path that nothing answers to."""

_LONG = ("/api/stream/events",)
"""Routes whose answers last as long as the client wants: no latency of ours."""


class Telemetry:
    """The counters of one application.

    Parameters
    ----------
    registry : CollectorRegistry or None
        Where they are registered; None makes a registry.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.requests = Counter(
            "spanwatch_http_requests",
            "Requests answered, by method, route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "spanwatch_http_request_duration_seconds",
            "How long requests took until their answer was sent, by method and route; streams are left out.",
            ["method", "route"],
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )
        self.in_progress = Gauge(
            "spanwatch_http_requests_in_progress", "Requests being answered, streams included.", registry=self.registry
        )
        about = Gauge(
            "spanwatch_build_info", "Always 1; its labels say what runs.", ["version", "python"], registry=self.registry
        )
        about.labels(metadata.version("spanwatch"), platform.python_version()).set(1)
        ProcessCollector(registry=self.registry)
        self.registry.register(_WholeProcess())

    def count(self, scope: Scope, status: int, took_s: float) -> None:
        """Count a request that has been answered."""
        route = getattr(scope.get("route"), "path", _UNMATCHED)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.requests.labels(method, route, str(status)).inc()
        if route not in _LONG:
            self.seconds.labels(method, route).observe(took_s)

    @contextmanager
    def collecting(self, *collectors: Collector) -> Iterator[None]:
        """Show the figures of some collectors as long as the context is open; one that has a ``close`` is closed."""
        for collector in collectors:
            self.registry.register(collector)
        try:
            yield
        finally:
            for collector in collectors:
                self.registry.unregister(collector)
                getattr(collector, "close", lambda: None)()


class _WholeProcess(Collector):
    """What ``infra.counters`` counts."""

    def collect(self) -> Iterable[Metric]:
        """Return the figures."""
        return REGISTRY.collect()


class CountRequests:
    """Counts each request once its answer is sent; wraps an ASGI application."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s, answer = time.perf_counter(), StatusSeen(send)
        with self._telemetry.in_progress.track_inprogress():
            try:
                await self._app(scope, receive, answer)
            finally:
                self._telemetry.count(scope, answer.status, time.perf_counter() - began_s)


class StreamCollector(Collector):
    """Figures of the feed, read when they are asked for."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        subscribers = GaugeMetricFamily(
            "spanwatch_stream_subscribers",
            "Who listens to windows and anomalies: live, or catching up with what came behind their last id.",
            labels=["state"],
        )
        subscribers.add_metric(["live"], self._feed.live)
        subscribers.add_metric(["catching_up"], self._feed.subscribers - self._feed.live)
        yield subscribers
        yield CounterMetricFamily(
            "spanwatch_stream_dropped", "Listeners dropped because they were too slow.", value=self._feed.dropped
        )
        events = CounterMetricFamily(
            "spanwatch_stream_events", "New rows read for all listeners together, by kind.", labels=["kind"]
        )
        for kind, count in self._feed.read.items():
            events.add_metric([kind.value], count)
        yield events
