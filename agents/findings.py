"""What a detector says, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from agents.baselines import Baselines
from agents.memory import Memory
from agents.observed import Conversation, Observed
from agents.summary import Usual
from schemas.analysis import Contribution
from schemas.enums import AnomalyType, Severity
from schemas.thresholds import Thresholds

MAX_FLOWS = 16
"""Conversations shown as evidence at most."""

MAX_HOSTS = 16
"""Addresses shown at most."""

MAX_CONTRIBUTIONS = 10

REFUTABLE = (
    *("vertical_scan", "horizontal_scan", "slow_vertical_scan", "slow_horizontal_scan", "arp_sweep"),
    *("connection_flood", "packet_flood", "distributed_flood", "brute_force", "flow_loss", "network_loss"),
)
"""Signals that late packets can refute: they are about what failed, or a share of what was seen. More packets do not
refute a spike, and what counts windows in a row is not judged in a correction."""


@dataclass(frozen=True)
class View:
    """A window, and all it is judged by.

    Parameters
    ----------
    is_correction : bool
        Whether the window has been judged before, with fewer packets: what counts windows in a row leaves it out.
    """

    window: Observed
    baselines: Baselines
    memory: Memory
    thresholds: Thresholds
    is_correction: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a window.

    Parameters
    ----------
    signal : str
        What exactly was seen.
    metric, value, threshold, unit
        What was measured, its value, the bound it passed, and the unit of both.
    usual : Usual or None
        What is usual, where the rule has a baseline.
    deviation : float or None
        Standard deviations off, or the ratio to the baseline where the rule is one.
    rule : str
        The rule with its numbers.
    subject : str
        What it is about: findings of one type, signal and subject in neighbouring windows are one incident.
    is_reported : bool
        False for what goes on but was said before: it prolongs its incident and makes no anomaly.
    """

    type: AnomalyType
    signal: str
    severity: Severity
    message: str
    metric: str
    value: float
    threshold: float
    unit: str
    rule: str
    subject: str
    usual: Usual | None = None
    deviation: float | None = None
    source_ip: str = ""
    destination_ip: str = ""
    flow_src: str = ""
    flow_dst: str = ""
    protocol: str = ""
    contributions: tuple[Contribution, ...] = ()
    context: dict[str, Any] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    flows: tuple[Conversation, ...] = ()
    is_reported: bool = True

    @property
    def rank(self) -> tuple[bool, float, str]:
        """Sorts findings, the worst first."""
        return self.severity is not Severity.HIGH, -self.value / (self.threshold or 1.0), self.subject


Detector: TypeAlias = Callable[[View], Iterable[Finding]]


def severity_of(value: float, medium: float, high: float) -> Severity | None:
    """Return how bad a value is that passes a bound upwards, or None."""
    if value > high:
        return Severity.HIGH
    return Severity.MEDIUM if value > medium else None


def endpoint(address: str, port: int) -> str:
    """Return one end of a flow as text, as a URL has it: ``ip:port``, ``[ip]:port`` for IPv6."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def shares(amounts: Iterable[tuple[str, float]]) -> tuple[Contribution, ...]:
    """Return the largest of some amounts as parts of their sum."""
    ranked = sorted(amounts, key=lambda item: (-item[1], item[0]))
    total = sum(value for _, value in ranked)
    return tuple(
        Contribution(name=name, value=value, share=value / total if total else None)
        for name, value in ranked[:MAX_CONTRIBUTIONS]
    )


def flows_of(window: Observed, *addresses: str) -> tuple[Conversation, ...]:
    """Return the notable conversations between given addresses, most bytes first: one end for one, both for two."""
    chosen = [flow for flow in window.conversations if {*addresses} <= {flow["src_ip"], flow["dst_ip"]}]
    chosen.sort(key=lambda flow: -(flow["bytes_forward"] + flow["bytes_backward"]))
    return tuple(chosen[:MAX_FLOWS])


def largest_flows(window: Observed) -> tuple[Conversation, ...]:
    """Return the conversations with most bytes."""
    return flows_of(window)
