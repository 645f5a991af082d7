"""How often a caller may ask: one number per caller and group.

The generic cell rate algorithm (ITU-T I.371, annex A): of each caller the time is kept at which all it has asked for
would have been asked at the allowed rate. A request that would put it further ahead than the allowed burst (as many
requests as the rate names) is refused, and the difference is how long to wait. Nothing happens between requests.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from dataclasses import dataclass

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}

MAX_CALLERS = 10_000
"""Callers remembered; beyond it the one that has not asked for longest is forgotten."""


@dataclass(frozen=True)
class Wait:
    """A refusal.

    Parameters
    ----------
    seconds : float
        How long to wait before the next request.
    is_first : bool
        Whether the caller's request before this one was allowed.
    """

    seconds: float
    is_first: bool


@dataclass
class _Seen:
    until_s: float = 0.0
    is_refused: bool = False


class Limit:
    """One rate for every caller.

    Parameters
    ----------
    rate : str
        As in ``100/second``; ``none`` for no limit.
    """

    def __init__(self, rate: str) -> None:
        self.rate = rate
        self.is_none = rate == "none"
        self._callers: OrderedDict[str, _Seen] = OrderedDict()
        if not self.is_none:
            count, _, per = rate.partition("/")
            self._burst_s = _SECONDS[per.strip()]
            self._step_s = self._burst_s / int(count)

    def ask(self, caller: str, now_s: float | None = None) -> Wait | None:
        """Count a request; return None when it is allowed.

        Parameters
        ----------
        caller : str
            Who asks.
        now_s : float or None
            A monotonic clock; None reads it.
        """
        if self.is_none:
            return None
        now_s = time.monotonic() if now_s is None else now_s
        seen = self._callers.get(caller)
        if seen is None:
            seen = self._callers[caller] = _Seen()
            if len(self._callers) > MAX_CALLERS:
                self._callers.popitem(last=False)
        else:
            self._callers.move_to_end(caller)
        until_s = max(seen.until_s, now_s) + self._step_s
        # The step of this request itself, with room for rounding.
        if until_s - now_s > self._burst_s + 1e-9:
            wait = Wait(until_s - now_s - self._burst_s, not seen.is_refused)
            seen.is_refused = True
            return wait
        seen.until_s, seen.is_refused = until_s, False
        return None


def counted_as(address: str) -> str:
    """Return by what an address without a key is counted: an IPv6 host has a whole /64 to itself (RFC 4291)."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
