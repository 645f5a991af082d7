"""Answers about all windows of a capture: a page of them, their summary, the outcome of a compute."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field

from api.answers import example
from api.filters import NS_PER_S
from api.rows import SummaryRow
from api.window_answers import WINDOW_EXAMPLE, Count, WindowAnswer, mean_ms, to_ms


class WindowsAnswer(BaseModel):
    """A page of windows of one capture, in order."""

    model_config = example(
        {
            "count": 1,
            "total": 25,
            "offset": 0,
            "limit": 50,
            "capture_id": "01kb2m9t8x7qd4",
            "next_cursor": "w.01kb2m9t8x7qd4.0.",
            "metrics": [WINDOW_EXAMPLE],
        }
    )

    count: Count = Field(description="Windows in this answer.")
    total: Count = Field(description="Windows of the capture within `from` and `to`.")
    offset: Count
    limit: Count
    capture_id: str | None = Field(description="The capture they belong to; null while there is none.")
    next_cursor: str | None = Field(description="Send it as `cursor` for what follows; null when nothing does yet.")
    metrics: list[WindowAnswer]


class SummaryBandwidth(BaseModel):
    """Bytes per second over the windows; each window counts once, empty ones as 0."""

    mean_bps: float
    max_bps: float
    min_bps: float
    total_bytes: Count
    overall_bps: float = Field(description="All bytes divided by `time_span`.")


class SummaryLatency(BaseModel):
    """Milliseconds over the windows in which round trips were measured; null without any."""

    mean_rtt: float | None = Field(description="Mean of the windows' means.")
    max_rtt: float | None
    overall_mean_rtt: float | None = Field(description="Mean of all round trips.")
    count: Count = Field(description="Round trips measured.")


class SummaryConnections(BaseModel):
    """Conversations over the windows; one that spans three windows counts in each of them."""

    total_across_windows: Count
    mean_per_window: float


class SummaryAnswer(BaseModel):
    """Aggregates over all windows of a capture."""

    model_config = example(
        {
            "total_windows": 25,
            "time_span": 250.5,
            "bandwidth": {
                "mean_bps": 9500.0,
                "max_bps": 15000.0,
                "min_bps": 2000.0,
                "total_bytes": 2379750,
                "overall_bps": 9500.0,
            },
            "latency": {"mean_rtt": 45.2, "max_rtt": 250.0, "overall_mean_rtt": 44.1, "count": 3000},
            "connections": {"total_across_windows": 1050, "mean_per_window": 42.0},
            "packets": 21975,
            "capture_id": "01kb2m9t8x7qd4",
        }
    )

    total_windows: Count
    time_span: float = Field(description="Last window end minus first window start, seconds.")
    bandwidth: SummaryBandwidth
    latency: SummaryLatency
    connections: SummaryConnections
    packets: Count
    capture_id: str

    @classmethod
    def of(cls, capture_id: str, row: SummaryRow) -> Self:
        """Return the answer for a capture's aggregates."""
        time_span_s = (row.last_end_ns - row.first_start_ns) / NS_PER_S
        return cls(
            total_windows=row.total_windows,
            time_span=time_span_s,
            bandwidth=SummaryBandwidth(
                mean_bps=row.mean_bps,
                max_bps=row.max_bps,
                min_bps=row.min_bps,
                total_bytes=row.bytes,
                overall_bps=row.bytes / time_span_s,
            ),
            latency=SummaryLatency(
                mean_rtt=to_ms(row.mean_rtt_ns),
                max_rtt=to_ms(row.max_rtt_ns),
                overall_mean_rtt=mean_ms(row.rtt_sum_ns, row.rtt_count),
                count=row.rtt_count,
            ),
            connections=SummaryConnections(
                total_across_windows=row.connections,
                mean_per_window=row.connections / row.total_windows,
            ),
            packets=row.packets,
            capture_id=capture_id,
        )


class ComputedAnswer(BaseModel):
    """The windows of a file are in the store."""

    model_config = example(
        {
            "success": True,
            "message": "Metrics computed successfully",
            "metrics_file": "/api/metrics/?capture=01kb2m9t8x7qd4",
            "window_count": 25,
            "window_size": 10,
            "computation_time": 2.45,
            "timestamp": "2026-01-09T17:44:26.123456",
            "capture_id": "01kb2m9t8x7qd4",
            "from_cache": False,
            "packets": 21975,
        }
    )

    success: Literal[True]
    message: str
    metrics_file: str = Field(description="Where the windows can be read: they are in the store, not in a file.")
    window_count: Count
    window_size: int | float = Field(description="Seconds.")
    computation_time: float = Field(description="Seconds that this request took.")
    timestamp: str
    capture_id: str
    from_cache: bool = Field(description="Whether the answer was there already.")
    packets: Count
