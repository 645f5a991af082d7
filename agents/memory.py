"""What is remembered between windows, beside the baselines."""

from __future__ import annotations

from typing import Any

from agents.observed import TCP, Conversation, Observed
from agents.recent import Attempts, Begun
from schemas.thresholds import Thresholds

MINUTE_NS = 60_000_000_000

CORRECTED_NS = MINUTE_NS
"""How far behind the newest window another one is still judged again in full: for so long more than any rule looks back
is everything remembered."""

MAX_REPORTED = 4_096
"""Old connections remembered as reported; those reported longest ago are forgotten first."""

LOGIN_PORTS = frozenset({21, 22, 23, 513, 990, 992, 2222, 2323, 3389, 5900, 5901})
"""Where people log in: FTP, SSH, Telnet, rlogin, FTPS, Telnets, usual other ports of SSH and Telnet, RDP, VNC."""


class Memory:
    """Failed targets, begun connections, old connections that were reported, and runs of windows."""

    def __init__(self) -> None:
        self.attempts = Attempts()
        self.arp_attempts = Attempts(of_arp=True)
        self.begun = Begun()
        self.reported: dict[str, float] = {}
        """Age at which a connection was last reported, s, by flow."""
        self.quiet_windows = 0
        """Windows in a row with far too little traffic."""
        self.slow_windows = 0
        """Windows in a row with far too long round trips."""
        self.absent: dict[str, int] = {}
        """Windows in a row without a protocol."""
        self.off: dict[str, int] = {}
        """Windows in a row that a protocol's share was off, negative when it was too small."""

    def take(self, window: Observed, thresholds: Thresholds, *, is_correction: bool) -> None:
        """Take a window in, before it is judged."""
        longest_s = max(thresholds.slow_scan_s, thresholds.port_scan_s)
        for attempts, seconds in ((self.attempts, longest_s), (self.arp_attempts, thresholds.port_scan_s)):
            attempts.take(window, round(seconds * 1e9) + CORRECTED_NS, is_correction=is_correction)
        self.begun.take(window, MINUTE_NS + CORRECTED_NS)
        if is_correction or window.records < thresholds.protocol_anomaly_min_packets or window.is_sampled:
            return
        seen = window.protocol_packets
        self.absent = dict.fromkeys(seen, 0) | {name: n + 1 for name, n in self.absent.items() if name not in seen}

    def remember_report(self, flow: str, age_s: float) -> None:
        """Remember that an old connection was reported."""
        self.reported.pop(flow, None)
        self.reported[flow] = age_s
        if len(self.reported) > MAX_REPORTED:
            del self.reported[next(iter(self.reported))]

    def state(self) -> dict[str, Any]:
        """Return everything as JSON values, for ``restore``."""
        return {
            "attempts": self.attempts.state(),
            "arp_attempts": self.arp_attempts.state(),
            "begun": self.begun.state(),
            "reported": self.reported,
            "runs": [self.quiet_windows, self.slow_windows],
            "absent": self.absent,
            "off": self.off,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Memory:
        """Return what ``state`` was taken of."""
        memory = cls()
        memory.attempts, memory.begun = Attempts.restore(state["attempts"]), Begun.restore(state["begun"])
        # State of the version before has none: what a minute of ARP asked for is all there is to lose.
        memory.arp_attempts = Attempts.restore(state.get("arp_attempts", [[], []]), of_arp=True)
        memory.reported, memory.absent = dict(state["reported"]), dict(state["absent"])
        memory.quiet_windows, memory.slow_windows = state["runs"]
        memory.off = dict(state["off"])
        return memory


def since(window: Observed, seconds: float) -> int:
    """Return the start of the oldest window that lies within ``seconds`` up to the end of this one, ns.

    At least the window itself, however long it is.
    """
    return min(window.end_ns - round(seconds * 1e9), window.start_ns)


def minute_before(window: Observed) -> int:
    """Return the start of the oldest window within the last minute."""
    return since(window, 60.0)


def age_s(flow: Conversation) -> float:
    """Return how old a conversation is at its last packet in the window, s."""
    return (flow["last_ts_ns"] - flow["first_ts_ns"]) / 1e9


def is_tcp(flow: Conversation) -> bool:
    """Whether a conversation is a TCP connection."""
    return flow["protocol"] == TCP
