"""What a list is narrowed down to: times, addresses and the other filters of anomalies."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Query

from api.errors import Refusal
from api.parameters import Capture
from schemas.enums import AnomalyType, Severity

NS_PER_S = 1_000_000_000

EVER_NS = 2**63 - 1
"""Beyond every time that the store can hold."""

MAX_WINDOW_ID = 2**32 - 1

MAX_TEXT = 256
"""Longest text to search for."""

_LOST_PLUS = re.compile(r"(T[0-9:.]+) ([0-9]{2}:?[0-9]{2})")
"""A zone's plus that a client put into the query as it is: there, it means a blank."""

TimeText = Annotated[
    str | None,
    Query(description="Seconds since the epoch, or ISO 8601 (UTC without a zone).", max_length=64),
]
From = Annotated[TimeText, Query(alias="from", examples=["2026-01-09T17:40:00"])]
To = Annotated[TimeText, Query(examples=["1234567950.5"])]


def time_ns(text: str, name: str) -> int:
    """Return a moment that a request names, ns since the epoch.

    Parameters
    ----------
    text : str
        Seconds since the epoch, or ISO 8601; without a zone it is UTC.
    name : str
        Of the parameter, for the sentence.

    Raises
    ------
    Refusal
        400 when it is neither.
    """
    try:
        seconds = float(text)
    except ValueError:
        return _iso_ns(text, name)
    if not math.isfinite(seconds) or abs(seconds) * NS_PER_S > EVER_NS:
        raise Refusal(400, "Bad Request", f"{name}: it lies beyond every time that can be kept.")
    return round(seconds * NS_PER_S)


def _iso_ns(text: str, name: str) -> int:
    try:
        moment = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", text.strip()))
        moment = moment.replace(tzinfo=moment.tzinfo or UTC)
        # Not timestamp(): a float does not hold a microsecond of our century exactly.
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
    except (ValueError, OverflowError) as error:
        raise Refusal(400, "Bad Request", f"{name}: seconds since the epoch, or ISO 8601.") from error


@dataclass(frozen=True)
class TimeRange:
    """Windows that have a part in ``[from_ns, to_ns)``."""

    from_ns: int = -EVER_NS
    to_ns: int = EVER_NS


EVER = TimeRange()


def time_range(from_: From = None, to: To = None) -> TimeRange:
    """Read ``from`` and ``to``.

    Raises
    ------
    Refusal
        400 when one of them is no time, or nothing lies between them.
    """
    from_ns = -EVER_NS if from_ is None else time_ns(from_, "from")
    to_ns = EVER_NS if to is None else time_ns(to, "to")
    if from_ns >= to_ns:
        raise Refusal(400, "Bad Request", "from: it must lie before to.")
    return TimeRange(from_ns, to_ns)


Times = Annotated[TimeRange, Depends(time_range)]


def address(text: str, name: str) -> str:
    """Return an IP address in the form in which rows have it.

    Raises
    ------
    Refusal
        400 when it is none.
    """
    try:
        found = ip_address(text.strip())
    except ValueError as error:
        raise Refusal(400, "Bad Request", f"{name}: it is not an IP address.") from error
    return str(getattr(found, "ipv4_mapped", None) or found)


@dataclass(frozen=True)
class AnomalyFilter:
    """Which anomalies are wanted; an empty text does not narrow down.

    Parameters
    ----------
    capture_id : str or None
        As asked for; None means the current capture.
    times : TimeRange
        Of their windows.
    type, severity, signal, incident_id, source_ip, destination_ip : str
        As in the columns of those names.
    text : str
        Part of the message, upper and lower case alike.
    first_window_id, last_window_id : int
        Windows, both inclusive.
    """

    capture_id: str | None = None
    times: TimeRange = TimeRange()
    type: str = ""
    severity: str = ""
    signal: str = ""
    incident_id: str = ""
    source_ip: str = ""
    destination_ip: str = ""
    text: str = ""
    first_window_id: int = 0
    last_window_id: int = MAX_WINDOW_ID

    def shown(self) -> dict[str, str | None]:
        """Return what the answer says was filtered by: the two documented ones always, others where given."""
        others = {
            "signal": self.signal,
            "incident": self.incident_id,
            "source_ip": self.source_ip,
            "destination_ip": self.destination_ip,
            "q": self.text,
        }
        given: dict[str, str | None] = {name: value for name, value in others.items() if value}
        return {"type": self.type or None, "severity": self.severity or None, **given}


Type = Annotated[AnomalyType | None, Query(description="Only this type.")]
HowBad = Annotated[Severity | None, Query(description="Only this severity.")]
Signal = Annotated[
    str | None, Query(pattern=r"^[a-z0-9_]{1,64}$", description="What exactly was seen.", examples=["vertical_scan"])
]
Incident = Annotated[str | None, Query(pattern=r"^[0-9a-f]{16}$", description="Only anomalies of this incident.")]
Address = Annotated[str | None, Query(max_length=64, description="IP address.", examples=["10.0.15.35"])]
Text = Annotated[
    str | None, Query(min_length=1, max_length=MAX_TEXT, description="Part of the message, in any case of letters.")
]


def anomaly_filter(
    times: Times,
    capture: Capture = None,
    type: Type = None,
    severity: HowBad = None,
    signal: Signal = None,
    incident: Incident = None,
    source_ip: Address = None,
    destination_ip: Address = None,
    q: Text = None,
) -> AnomalyFilter:
    """Read the filters of anomalies.

    Raises
    ------
    Refusal
        400 when a time or an address is none.
    """
    return AnomalyFilter(
        capture_id=capture,
        times=times,
        type=type.value if type else "",
        severity=severity.value if severity else "",
        signal=signal or "",
        incident_id=incident or "",
        source_ip="" if source_ip is None else address(source_ip, "source_ip"),
        destination_ip="" if destination_ip is None else address(destination_ip, "destination_ip"),
        text=q or "",
    )


Wanted = Annotated[AnomalyFilter, Depends(anomaly_filter)]
