"""What a list of events is narrowed down to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Query

from api.errors import Refusal
from api.filters import EVER, Address, TimeRange, Times, address
from api.flow_filters import Port, Protocol, protocol_number
from api.parameters import CaptureIdText
from schemas.enums import Threat
from schemas.protocols import ICMP, ICMPV6


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted.

    Parameters
    ----------
    times : TimeRange
        Of their packets.
    threat : Threat or None
        What they must be taken for.
    given : mapping of str to object
        The other filters that were sent, by name, as the queries take them.
    """

    times: TimeRange = EVER
    threat: Threat | None = None
    given: dict[str, object] = field(default_factory=dict)


ThreatText = Annotated[
    str | None,
    Query(description="BENIGN, SUSPICIOUS or MALICIOUS, in any case.", max_length=16, examples=["MALICIOUS"]),
]
OfCapture = Annotated[CaptureIdText | None, Query(description="Capture id; every stored capture when absent.")]


def threat_of(text: str) -> Threat:
    """Return what a request means by a threat; raises ``Refusal`` (422) when it is none."""
    try:
        return Threat(text.strip().upper())
    except ValueError:
        known = ", ".join(Threat)
        raise Refusal(422, "Unprocessable Content", f"threat: {known} are known, in any case.") from None


def event_filter(
    times: Times,
    threat: ThreatText = None,
    protocol: Protocol = None,
    source_ip: Address = None,
    destination_ip: Address = None,
    port: Port = None,
    capture: OfCapture = None,
) -> EventFilter:
    """Read the filters of events; ``port`` is the destination's, as in the answer.

    Raises
    ------
    Refusal
        422 when a threat, an address or a protocol is none; 400 when a time is none.
    """
    addresses = {"source_ip": source_ip, "destination_ip": destination_ip}
    sent: dict[str, object] = {
        **{name: None if text is None else address(text, name) for name, text in addresses.items()},
        "protocols": None if protocol is None else _protocols(protocol),
        "port": port,
        "capture_id": capture,
    }
    given = {name: value for name, value in sent.items() if value is not None}
    return EventFilter(times, None if threat is None else threat_of(threat), given)


def _protocols(text: str) -> list[int]:
    """Return the numbers of a protocol; ICMP is that of both IP versions."""
    number = protocol_number(text)
    return [ICMP, ICMPV6] if number in (ICMP, ICMPV6) and not text.isdigit() else [number]


WantedEvents = Annotated[EventFilter, Depends(event_filter)]
