"""The thresholds of baselines and detectors: default, bounds and the reason for each."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import SettingsError

_PAIRS = ("traffic_spike", "high_latency", "packet_loss", "protocol_anomaly", "long_lived")
"""Rules with a bound for medium and one for high."""


class Thresholds(BaseModel):
    """Every number that baselines and detectors go by; part of the settings, and overridable in a request.

    The percentages and factors of the six documented types are the contract's; the others are ours. Docs:
    ``docs/detection.md`` and ``docs/baselines.md``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    baseline_min_windows: int = Field(
        default=30,
        ge=5,
        le=100_000,
        description="Windows a baseline has learnt before anything is judged by it: "
        "5 minutes of 10 s windows, the least that gives a standard deviation some meaning.",
    )
    baseline_block_s: float = Field(
        default=3600.0,
        ge=10,
        le=86_400,
        description="What was learnt does not move the band before so many seconds have passed, "
        "so that nobody can teach the baseline within an hour.",
    )
    baseline_accept_s: float = Field(
        default=3600.0,
        ge=10,
        le=2_592_000,
        description="A level that stays new for so many seconds, with a drift alarm, becomes the baseline: "
        "longer than most attacks last, and short enough for a network that has really changed.",
    )
    baseline_held_back_weight: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Weight with which an anomalous window is learnt, cut to the edge of the band: "
        "an hour of them counts like three ordinary minutes.",
    )
    baseline_memory_h: float = Field(
        default=168.0,
        ge=1,
        le=8760,
        description="Hours of windows a baseline weighs at most, so that it forgets: a week.",
    )
    baseline_max_hosts: int = Field(
        default=1000,
        ge=0,
        le=100_000,
        description="Hosts with a baseline of their own, those seen last: about 3 kB of state each.",
    )
    baseline_hour_windows: int = Field(
        default=180,
        ge=10,
        le=100_000,
        description="Windows of an hour of the day, on three days or more, before it is judged by its own mean: "
        "half an hour of 10 s windows.",
    )
    baseline_hour_share: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Share of the variance that the hour of the day must explain before it is used: "
        "below it, a band per hour only has fewer windows to stand on.",
    )
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
    flood_connections: int = Field(
        default=120,
        ge=1,
        le=1_000_000,
        description="Connections of one source to one service within a minute that are a flood: 2 per second for a "
        "whole minute, more than people and their browsers open.",
    )
    flood_ratio: float = Field(
        default=3.0,
        ge=1,
        le=1000,
        description="Where connections are learnt, a flood also exceeds their 99th percentile by this factor, and a "
        "third of the bound within one window is enough: a busy proxy is no flood, and small networks feel small ones.",
    )
    flood_sources: int = Field(
        default=100,
        ge=2,
        le=1_000_000,
        description="Sources that ask one host and go no further within a window: a flood with forged or many sources.",
    )
    flood_packets_per_s: float = Field(
        default=500.0,
        ge=1,
        le=1e9,
        description="Packets per second of UDP without an answer from one source to one service: "
        "above a video stream of 5 Mbit/s.",
    )
    flood_requests_per_s: float = Field(
        default=30.0,
        ge=1,
        le=1e9,
        description="Packets per second with requests from one client to one TCP service, where they are learnt: "
        "below it nobody floods, however quiet the service is.",
    )
    flood_icmp_per_s: float = Field(
        default=10.0,
        ge=1,
        le=1e9,
        description="ICMP packets per second from one source to one host: twice what ping allows ordinary users.",
    )
    brute_force_connections: int = Field(
        default=8,
        ge=2,
        le=1_000_000,
        description="Connections of one source to one login service (SSH, FTP, Telnet, RDP …) within a minute: "
        "servers end a connection after three to six wrong passwords.",
    )
    brute_force_ratio: float = Field(
        default=1.25,
        ge=1,
        le=1000,
        description="Where logins are learnt, brute force also exceeds their 99th percentile by this factor: "
        "deployment tools and backups log in often.",
    )
    brute_force_burst: int = Field(
        default=4,
        ge=2,
        le=1_000_000,
        description="The same within one window: guessing tools work with four connections or more at a time.",
    )
    port_scan_ports: int = Field(
        default=20,
        ge=1,
        le=65_535,
        description="Failed ports of one host from one source that are passed by a scan (contract).",
    )
    port_scan_hosts: int = Field(
        default=50,
        ge=1,
        le=1_000_000,
        description="Failed hosts on one port from one source that are passed by a scan (contract).",
    )
    port_scan_s: float = Field(
        default=60.0, ge=1, le=3600, description="Seconds within which they are counted (contract)."
    )
    port_scan_failed_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of a source's targets that failed: a scan is mostly unanswered or refused.",
    )
    port_scan_high_factor: float = Field(
        default=2.5,
        ge=1,
        le=1000,
        description="So many times the bound of a scan, a flood or brute force is high (contract).",
    )
    slow_scan_ports: int = Field(
        default=30,
        ge=1,
        le=65_535,
        description="The same for slow scans: 1.5 times as many, since chance failures add up in an hour.",
    )
    slow_scan_hosts: int = Field(
        default=50, ge=1, le=1_000_000, description="The same for hosts on one port; few fail at so many by chance."
    )
    slow_scan_s: float = Field(
        default=3600.0, ge=60, le=86_400, description="Seconds within which a slow scan's targets are counted."
    )
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
    anomalies_per_signal: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="Anomalies of one type and signal in a window; the others are counted in `folded`.",
    )
    incident_gap_windows: int = Field(
        default=6, ge=0, le=100_000, description="Windows without a further anomaly after which an incident is over."
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for name in _PAIRS:
            medium, high = getattr(self, f"{name}_medium"), getattr(self, f"{name}_high")
            if high < medium:
                raise ValueError(f"{name}_high ({high:g}) must not be below {name}_medium ({medium:g})")
        return self

    def with_overrides(self, overrides: Mapping[str, object]) -> Thresholds:
        """Return the thresholds with some of them replaced, as a request may ask.

        Parameters
        ----------
        overrides : mapping
            Values by name.

        Raises
        ------
        SettingsError
            When there is no threshold of a name, or a value cannot work; the text says what would.
        """
        for name in overrides:
            if name not in Thresholds.model_fields:
                near = difflib.get_close_matches(name, Thresholds.model_fields, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise SettingsError(f"There is no threshold named {name!r}.{hint}")
        values = {name: getattr(self, name) for name in Thresholds.model_fields}
        try:
            return Thresholds(**{**values, **overrides})
        except ValidationError as error:
            raise SettingsError(
                " ".join(_sentence(problem["loc"], problem["msg"], overrides) for problem in error.errors())
            ) from None


def _sentence(place: tuple[int | str, ...], reason: str, overrides: Mapping[str, object]) -> str:
    reason = reason.removeprefix("Value error, ")
    if not place:
        return f"{reason}."
    return f"The threshold {place[0]} cannot be {overrides.get(str(place[0]))!r}: {reason[:1].lower()}{reason[1:]}."
