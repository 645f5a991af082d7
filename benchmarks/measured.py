"""One measurement, and the median of several."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Measured:
    """One pass of one tool over one capture.

    Parameters
    ----------
    packets : int
        Packets of the capture.
    seconds : float
        Wall clock.
    cpu_seconds : float
        Processor time of all processes together.
    peak_bytes : dict of str to int
        Largest resident size by process.
    cpu_seconds_after : float
        Processor time of what is still done when the answer is there.
    """

    packets: int
    seconds: float
    cpu_seconds: float
    peak_bytes: dict[str, int]
    cpu_seconds_after: float = 0.0

    @property
    def packets_per_s(self) -> float:
        """Throughput."""
        return self.packets / self.seconds

    @property
    def cpu_us_per_packet(self) -> float:
        """Processor time per packet, µs, all cores together."""
        return self.cpu_seconds / self.packets * 1e6

    @property
    def cpu_us_after(self) -> float:
        """Processor time per packet after the answer, µs."""
        return self.cpu_seconds_after / self.packets * 1e6


@dataclass(frozen=True)
class Summary:
    """Medians of several passes of one tool over the same capture."""

    tool: str
    packets: int
    passes: int
    packets_per_s: float
    slowest_packets_per_s: float
    fastest_packets_per_s: float
    seconds: float
    cpu_us_per_packet: float
    cpu_us_after: float
    peak_mib: dict[str, float]

    @classmethod
    def of(cls, tool: str, passes: Sequence[Measured]) -> Summary:
        """Summarise passes, of which there is at least one."""
        rates = [one.packets_per_s for one in passes]
        labels = dict.fromkeys(label for one in passes for label in one.peak_bytes)
        return cls(
            tool=tool,
            packets=passes[0].packets,
            passes=len(passes),
            packets_per_s=statistics.median(rates),
            slowest_packets_per_s=min(rates),
            fastest_packets_per_s=max(rates),
            seconds=statistics.median(one.seconds for one in passes),
            cpu_us_per_packet=statistics.median(one.cpu_us_per_packet for one in passes),
            cpu_us_after=statistics.median(one.cpu_us_after for one in passes),
            peak_mib={label: round(max(one.peak_bytes.get(label, 0) for one in passes) / 2**20, 1) for label in labels},
        )

    def to_json(self) -> dict[str, object]:
        """Return it for results.json."""
        return asdict(self)
