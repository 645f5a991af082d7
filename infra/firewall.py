"""Firewalls: what cuts an address off for a time.

Every firewall is told an address and a number of seconds, and forgets the address by itself when they are over: a
block ends also when nobody is left to lift it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from schemas.blocks import FirewallKind

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class InForce:
    """A block as the firewall has it.

    Parameters
    ----------
    remaining_s : float
        Time until it ends by itself, s.
    packets, bytes : int or None
        What it has dropped; None where nothing is dropped.
    """

    remaining_s: float
    packets: int | None = None
    bytes: int | None = None


class Firewall(Protocol):
    """Cuts addresses off; any thread may call it, and every call may be repeated.

    Raises
    ------
    FirewallError
        From every call: the firewall refuses, or does not answer.
    FirewallPermissionError
        The process may not change it.
    MissingProgramError
        A program that it needs is not there.
    """

    kind: FirewallKind

    def block(self, address: Address, timeout_s: float) -> None:
        """Cut an address off for so many seconds from now, rounded up to whole ones; also if it is cut off already."""

    def unblock(self, address: Address) -> None:
        """Let an address through again; also if nothing holds it up."""

    def blocked(self) -> dict[Address, InForce]:
        """Return what is cut off now."""

    def replace(self, timeouts_s: Mapping[Address, float]) -> None:
        """Cut off exactly these addresses, each for so many seconds from now."""

    def clear(self) -> None:
        """Take everything of ours away."""


def whole_seconds(timeout_s: float) -> int:
    """Return a time-out as the kernel's sets take it through JSON: whole seconds, at least one, never less."""
    return max(1, math.ceil(timeout_s))


class DryRun:
    """Remembers what it was told, and forgets it when the time is over: nothing is cut off.

    Parameters
    ----------
    clock : callable
        Monotonic time, s.
    """

    kind = FirewallKind.DRY_RUN

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_s: dict[Address, float] = {}
        self._lock = threading.Lock()

    def block(self, address: Address, timeout_s: float) -> None:
        """Remember an address."""
        with self._lock:
            self._ends_s[address] = self._clock() + whole_seconds(timeout_s)

    def unblock(self, address: Address) -> None:
        """Forget an address."""
        with self._lock:
            self._ends_s.pop(address, None)

    def blocked(self) -> dict[Address, InForce]:
        """Return the addresses whose time is not over."""
        with self._lock:
            now_s = self._clock()
            self._ends_s = {address: end_s for address, end_s in self._ends_s.items() if end_s > now_s}
            return {address: InForce(end_s - now_s) for address, end_s in self._ends_s.items()}

    def replace(self, timeouts_s: Mapping[Address, float]) -> None:
        """Remember exactly these addresses."""
        with self._lock:
            now_s = self._clock()
            self._ends_s = {address: now_s + whole_seconds(timeout) for address, timeout in timeouts_s.items()}

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._ends_s.clear()
