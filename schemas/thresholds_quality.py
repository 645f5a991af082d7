"""The thresholds of how traffic fares: round trips, losses, the mix of protocols, and ages of connections."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class QualityThresholds(BaseModel):
    """How traffic fares when something is wrong; part of the thresholds. Docs: ``docs/detection.md``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    high_latency_medium: float = Field(
        default=1.5, ge=1, le=1000, description="Times the baseline's mean round trip that are medium (contract)."
    )
    high_latency_high: float = Field(
        default=2.0, ge=1, le=1000, description="Times the baseline's mean round trip that are high (contract)."
    )
    high_latency_min_samples: int = Field(
        default=20, ge=1, le=1_000_000, description="Round trips in a window below which their mean says nothing."
    )
    high_latency_min_ms: float = Field(
        default=2.0,
        ge=0,
        le=60_000,
        description="A rise below this is no trouble to anybody, ms: within a LAN, times two is noise.",
    )
    high_latency_windows: int = Field(
        default=2,
        ge=1,
        le=100_000,
        description="Windows in a row that must be slow: for one window the mean also rises when far peers talk more.",
    )
    packet_loss_medium: float = Field(
        default=5.0,
        ge=0,
        le=100,
        description="Retransmitted share of the data segments that is medium, percent (contract).",
    )
    packet_loss_high: float = Field(
        default=15.0,
        ge=0,
        le=100,
        description="Retransmitted share of the data segments that is high, percent (contract).",
    )
    packet_loss_min_segments: int = Field(
        default=20, ge=1, le=1_000_000, description="Data segments below which a share says nothing (contract)."
    )
    protocol_anomaly_medium: float = Field(
        default=30.0, ge=1, le=100, description="Points that a protocol's share is off its baseline, medium (contract)."
    )
    protocol_anomaly_high: float = Field(
        default=45.0, ge=1, le=100, description="Points that a protocol's share is off its baseline, high (contract)."
    )
    protocol_anomaly_min_packets: int = Field(
        default=100, ge=1, le=1_000_000, description="Packets in a window below which shares are chance."
    )
    protocol_anomaly_windows: int = Field(
        default=3,
        ge=1,
        le=100_000,
        description="Windows in a row that a share must be off: one large transfer changes the mix for a moment.",
    )
    protocol_vanished_windows: int = Field(
        default=12,
        ge=1,
        le=100_000,
        description="Windows in a row without a protocol that was in nearly every window: two minutes of 10 s windows.",
    )
    protocol_vanished_presence: float = Field(
        default=0.95, ge=0, le=1, description="Share of the windows a protocol was in for its absence to be news."
    )
    long_lived_medium: float = Field(
        default=1.5,
        ge=1,
        le=1000,
        description="Times the baseline's 95th percentile of ages that are medium (contract).",
    )
    long_lived_high: float = Field(
        default=2.0, ge=1, le=1000, description="Times the baseline's 95th percentile of ages that are high (contract)."
    )
    long_lived_min_s: float = Field(
        default=300.0, ge=1, le=864_000, description="No connection is long-lived before this age, seconds (contract)."
    )
