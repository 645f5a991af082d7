"""The thresholds of how much traffic there is: spikes and drops."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TrafficThresholds(BaseModel):
    """How much traffic is unusual; part of the thresholds. Docs: ``docs/detection.md``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    traffic_spike_medium: float = Field(
        default=2.0,
        ge=0.1,
        le=100,
        description="Standard deviations above the mean that are a medium spike (contract).",
    )
    traffic_spike_high: float = Field(
        default=3.0, ge=0.1, le=100, description="Standard deviations above the mean that are a high spike (contract)."
    )
    traffic_spike_ratio: float = Field(
        default=1.5,
        ge=1,
        le=1000,
        description="A spike also exceeds the learnt 99th percentile by this factor, because traffic is bursty and "
        "two standard deviations alone are passed several times an hour.",
    )
    traffic_spike_host_ratio: float = Field(
        default=3.0,
        ge=1,
        le=1000,
        description="The same for single hosts, which are burstier than their sum and of which there are many.",
    )
    traffic_spike_min_bytes_per_s: float = Field(
        default=12_500.0,
        ge=0,
        le=1e12,
        description="Less is no spike whatever is usual, bytes per second (100 kbit/s).",
    )
    traffic_spike_min_packets_per_s: float = Field(
        default=50.0, ge=0, le=1e9, description="Less is no spike whatever is usual, packets per second."
    )
    traffic_drop_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Traffic below this share of the 1st percentile has dropped, on a link that is never quiet.",
    )
    traffic_drop_min_bytes_per_s: float = Field(
        default=1000.0,
        ge=0,
        le=1e12,
        description="A link whose 1st percentile is less, bytes per second, is as good as quiet and cannot drop.",
    )
    traffic_drop_windows: int = Field(
        default=2,
        ge=1,
        le=1000,
        description="Windows in a row that must be so quiet: the first and the last one of a capture are cut short.",
    )
    traffic_drop_min_windows: int = Field(
        default=180,
        ge=5,
        le=1_000_000,
        description="Windows learnt before a link counts as never quiet: half an hour of 10 s windows.",
    )
