"""What a link does to packets, said once for the kernel's netem and for the lab's own wire."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Impairment:
    """Delay, loss and reordering of a link, the same in both directions.

    Attributes
    ----------
    delay_ms
        One way.
    jitter_ms
        The delay varies by up to this much around `delay_ms`.
    loss_percent, reorder_percent, duplicate_percent
        Share of packets lost, sent at once instead of being delayed, and sent twice.
    rate_mbit
        Line rate in Mbit/s; 0 = unlimited.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0
    reorder_percent: float = 0.0
    duplicate_percent: float = 0.0
    rate_mbit: float = 0.0

    def netem_arguments(self) -> list[str]:
        """Return the arguments after ``tc qdisc add dev … root`` (tc-netem(8))."""
        words = ["netem", "limit", "1000", "delay", f"{self.delay_ms}ms", f"{self.jitter_ms}ms"]
        for name, percent in (
            ("loss", self.loss_percent),
            ("duplicate", self.duplicate_percent),
            ("reorder", self.reorder_percent),
        ):
            if percent:
                words += [name, f"{percent}%"]
        if self.rate_mbit:
            words += ["rate", f"{self.rate_mbit}mbit"]
        return words
