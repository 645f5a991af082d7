"""The answer with the key statistics of all baselines."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel

from api.analysis_rows import BaselineRow
from api.answers import example
from schemas.enums import BaselineKind


class BandwidthStats(BaseModel):
    """Bytes per second."""

    mean_bps: float | None
    median_bps: float | None
    max_bps: float | None
    min_bps: float | None
    p95_bps: float | None

    @classmethod
    def of(cls, row: BaselineRow) -> Self:
        """Return the figures of a baseline."""
        return cls(mean_bps=row.mean, median_bps=row.median, max_bps=row.max, min_bps=row.min, p95_bps=row.p95)


class LatencyStats(BaseModel):
    """Milliseconds."""

    mean_rtt: float | None
    median_rtt: float | None
    p95_rtt: float | None
    p99_rtt: float | None

    @classmethod
    def of(cls, row: BaselineRow) -> Self:
        """Return the figures of a baseline."""
        return cls(mean_rtt=row.mean, median_rtt=row.median, p95_rtt=row.p95, p99_rtt=row.p99)


class ProtocolStats(BaseModel):
    """Mean share of packets by named protocol, 0 to 1."""

    distribution: dict[str, float]


class ConnectionStats(BaseModel):
    """Connections of a window."""

    mean_connections: float | None
    median_connections: float | None
    p95_connections: float | None
    max_connections: float | None

    @classmethod
    def of(cls, row: BaselineRow) -> Self:
        """Return the figures of a baseline."""
        return cls(
            mean_connections=row.mean, median_connections=row.median, p95_connections=row.p95, max_connections=row.max
        )


class BaselineStats(BaseModel):
    """The key figures of each baseline; null for one that was not learnt yet."""

    bandwidth: BandwidthStats | None
    latency: LatencyStats | None
    protocol: ProtocolStats | None
    connection: ConnectionStats | None

    @classmethod
    def of(cls, rows: list[BaselineRow]) -> Self:
        """Return the figures of the newest baselines of a source."""
        found = {row.kind: row for row in rows}
        bandwidth, latency = found.get(BaselineKind.BANDWIDTH), found.get(BaselineKind.LATENCY)
        protocol, connection = found.get(BaselineKind.PROTOCOL), found.get(BaselineKind.CONNECTION)
        return cls(
            bandwidth=None if bandwidth is None else BandwidthStats.of(bandwidth),
            latency=None if latency is None else LatencyStats.of(latency),
            protocol=None if protocol is None else ProtocolStats(distribution=protocol.distribution),
            connection=None if connection is None else ConnectionStats.of(connection),
        )


class BaselineStatsAnswer(BaseModel):
    """Key statistics of all baselines."""

    model_config = example(
        {
            "baseline_stats": {
                "bandwidth": {
                    "mean_bps": 9500.0,
                    "median_bps": 9200.0,
                    "max_bps": 20000.0,
                    "min_bps": 2000.0,
                    "p95_bps": 15000.0,
                },
                "latency": {"mean_rtt": 45.2, "median_rtt": 42.5, "p95_rtt": 100.0, "p99_rtt": 150.0},
                "protocol": {"distribution": {"https": 0.8, "dns": 0.2}},
                "connection": {
                    "mean_connections": 42.0,
                    "median_connections": 40.0,
                    "p95_connections": 60.0,
                    "max_connections": 80.0,
                },
            },
            "timestamp": "2026-01-09T17:41:06.493726",
            "source": "01kb2m9t8x7qd4",
        }
    )

    baseline_stats: BaselineStats
    timestamp: str
    source: str | None
