"""Automatic blocking: who is blocked by itself, decided from stored rows alone.

Nothing here asks a clock, a store or a firewall: what was found, what was done before and the time go in, orders come
out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict

from api.filters import NS_PER_S
from infra.firewall import Address
from infra.firewall_guard import parse_address
from infra.settings import Settings
from schemas.blocks import BlockRow, BlockState, FirewallKind
from schemas.enums import Severity
from schemas.errors import AddressRefusedError

HOUR_NS = 3600 * NS_PER_S
"""The budget's time; and how long the policy leaves alone whom a person has let go."""

POLICY = "policy"
"""Who asked, where no person did."""

_SEVERITIES: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "medium": frozenset({Severity.MEDIUM, Severity.HIGH}),
    "high": frozenset({Severity.HIGH}),
}


class Suspect(BaseModel):
    """Flows of one class, or anomalies of one type and severity, that one source is behind.

    Attributes
    ----------
    ip : str
        The source.
    what : str
        Class of the flows or type of the anomalies.
    severity : str
        Of the anomalies; empty for flows.
    count : int
        How many there are.
    confidence : float or None
        The least of the verdicts; None for anomalies.
    capture_id : str
        The capture with the newest of them.
    first_ns, last_ns : int
        From the start of the first to the end of the last, ns since the epoch.
    """

    model_config = ConfigDict(frozen=True)

    ip: str
    what: str
    severity: str
    count: int
    confidence: float | None
    capture_id: str
    first_ns: int
    last_ns: int

    @property
    def is_of_flows(self) -> bool:
        """Whether these are verdicts on flows."""
        return not self.severity

    @property
    def evidence(self) -> str:
        """Path of the API that shows them."""
        times = {"from": _shown_s(self.first_ns), "to": _shown_s(self.last_ns + 1)}
        named = {"capture": self.capture_id, "source_ip": self.ip, **times}
        if self.is_of_flows:
            return f"/api/flows/?{urlencode(named)}"
        return f"/api/anomalies/?{urlencode({**named, 'type': self.what, 'severity': self.severity})}"


@dataclass(frozen=True)
class Rules:
    """What makes a source an attacker; the settings ``defence_auto_…`` have the meanings."""

    classes: frozenset[str]
    flows: int
    severities: frozenset[str]
    anomalies: int
    within_s: float
    block_s: float
    per_hour: int

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """Return the rules of the settings."""
        return cls(
            classes=frozenset(settings.defence_auto_classes),
            flows=settings.defence_auto_flows,
            severities=_SEVERITIES[settings.defence_auto_severity],
            anomalies=settings.defence_auto_anomalies,
            within_s=settings.defence_auto_within_s,
            block_s=settings.defence_auto_block_s,
            per_hour=settings.defence_auto_per_hour,
        )

    def strength(self, suspect: Suspect) -> float:
        """Return how many times over the evidence suffices; below 1 it does not, 0 for what does not count."""
        if suspect.is_of_flows:
            is_counted = not self.classes or suspect.what in self.classes
            return suspect.count / self.flows if is_counted else 0.0
        return suspect.count / self.anomalies if suspect.severity in self.severities else 0.0

    def reason(self, suspect: Suspect) -> str:
        """Return the reason of a block, in a sentence."""
        within = f"within {self.within_s:g} s"
        if suspect.is_of_flows:
            return f"{suspect.what}: {suspect.count} flows {within}, confidence {suspect.confidence:.2f} or more"
        kind = suspect.what.replace("_", " ")
        return f"{kind}: {suspect.count} anomalies of severity {suspect.severity} {within}"


@dataclass(frozen=True)
class Past:
    """What was done in the last hour, and what is in force.

    Parameters
    ----------
    blocked : frozenset of str
        Addresses that are blocked.
    left_alone : frozenset of str
        Addresses that a person has let go within the hour.
    automatic : int
        Automatic blocks of the last hour, also those that the firewall refused.
    """

    blocked: frozenset[str] = frozenset()
    left_alone: frozenset[str] = frozenset()
    automatic: int = 0

    @classmethod
    def of(cls, rows: Iterable[BlockRow], kind: FirewallKind, now_ns: int) -> Past:
        """Return the past that stored blocks tell of: those in force, and those made or ended in the last hour.

        What was only rehearsed does not stand in the way of what is in earnest: of other firewalls only what people
        have lifted counts.
        """
        known = list(rows)
        own = [row for row in known if row.firewall is kind]
        since_ns = now_ns - HOUR_NS
        lifted = (row for row in known if row.state is BlockState.LIFTED)
        return cls(
            blocked=frozenset(r.ip for r in own if r.state is BlockState.ACTIVE and r.expires_ns > now_ns),
            left_alone=frozenset(row.ip for row in lifted if (row.ended_ns or 0) > since_ns),
            automatic=sum(row.is_automatic and row.blocked_ns > since_ns for row in own),
        )


@dataclass(frozen=True)
class Order:
    """A block that is to be made.

    Parameters
    ----------
    address : Address
        Whom.
    duration_s : float
        For how long, s.
    reason, evidence : str
        Why, and the path of the API that shows it.
    blocked_by : str
        Who asks for it.
    is_automatic : bool
        Whether no person decided it.
    """

    address: Address
    duration_s: float
    blocked_by: str
    reason: str = ""
    evidence: str = ""
    is_automatic: bool = False


@dataclass(frozen=True)
class Decision:
    """What the policy says.

    Parameters
    ----------
    orders : tuple of Order
        Whom to block, most evidence first.
    passed_over : mapping of str to int
        Sources with enough evidence that are not blocked, by reason: ``protected``, ``let_go`` or ``budget``.
    """

    orders: tuple[Order, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)


def decide(suspects: Sequence[Suspect], rules: Rules, past: Past, why_not: Callable[[Address], str]) -> Decision:
    """Return who is to be blocked.

    Parameters
    ----------
    suspects : sequence of Suspect
        What was found within the rules' time.
    rules : Rules
        What suffices.
    past : Past
        What was done before.
    why_not : callable
        Why an address is never blocked; empty when it may be.
    """
    orders: list[Order] = []
    passed_over: Counter[str] = Counter()
    for suspect in _strongest(suspects, rules):
        address = _address(suspect.ip)
        if suspect.ip in past.blocked:
            continue
        if address is None or why_not(address):
            passed_over["protected"] += 1
        elif suspect.ip in past.left_alone:
            passed_over["let_go"] += 1
        elif past.automatic + len(orders) >= rules.per_hour:
            passed_over["budget"] += 1
        else:
            orders.append(
                Order(address, rules.block_s, POLICY, rules.reason(suspect), suspect.evidence, is_automatic=True)
            )
    return Decision(tuple(orders), dict(passed_over))


def _strongest(suspects: Sequence[Suspect], rules: Rules) -> list[Suspect]:
    """Return the strongest evidence of each source that suffices, strongest first."""
    enough = [suspect for suspect in suspects if rules.strength(suspect) >= 1]
    ordered = sorted(enough, key=lambda one: (-rules.strength(one), one.ip, one.what))
    found: dict[str, Suspect] = {}
    for suspect in ordered:
        found.setdefault(suspect.ip, suspect)
    return list(found.values())


def _address(text: str) -> Address | None:
    try:
        return parse_address(text)
    except AddressRefusedError:
        return None


def _shown_s(at_ns: int) -> str:
    """Return a time as seconds since the epoch, exact."""
    return f"{at_ns // NS_PER_S}.{at_ns % NS_PER_S:09d}"
