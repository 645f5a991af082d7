"""When a flow ends: the settings of the flow meter."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.enums import FlowMode

SECOND_NS = 1_000_000_000

MAX_TOTAL_NS = 2_000 * SECOND_NS
"""Longest flow that may be set: the square of its duration in microseconds fits 63 bits."""


@dataclass(frozen=True)
class FlowRules:
    """When a flow ends, and how many are kept.

    Parameters
    ----------
    total_ns : int
        Longest flow, ns: a packet later than that begins the next one. 120 s, as CICIDS2017 was made.
    idle_ns : int
        Longest quiet time of an open flow by the capture's clock, ns. As long as ``total_ns``, so that features do
        not depend on it.
    linger_ns : int
        How long a flow waits for stragglers after both FINs or a RST, ns. Corrected mode only.
    activity_ns : int
        A longer pause ends the flow's activity (features Active and Idle), ns. 5 s, as CICIDS2017 was made.
    capacity : int
        Flows at most, in one meter. When one more begins, an eighth of them is evicted: those of one packet first,
        the quietest first.
    mode : FlowMode
        Whose definitions are followed.

    Raises
    ------
    ValueError
        When a limit is out of bounds.
    """

    total_ns: int = 120 * SECOND_NS
    idle_ns: int = 120 * SECOND_NS
    linger_ns: int = 10 * SECOND_NS
    activity_ns: int = 5 * SECOND_NS
    capacity: int = 1 << 17
    mode: FlowMode = FlowMode.CORRECTED

    def __post_init__(self) -> None:
        if not 0 < self.total_ns <= MAX_TOTAL_NS:
            raise ValueError(f"total_ns {self.total_ns} must be between 1 and {MAX_TOTAL_NS}")
        if min(self.idle_ns, self.linger_ns, self.activity_ns) < 0 or self.capacity < 1:
            raise ValueError("times must not be negative, and the capacity must be positive")
