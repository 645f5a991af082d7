"""What a list of flows is narrowed down to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Query

from api.errors import Refusal
from api.filters import EVER, Address, TimeRange, Times, address
from schemas.enums import FlowEnd
from schemas.protocols import IP_PROTOCOL_NAMES

MAX_COUNT = 2**63 - 1

_NUMBERS = {name: number for number, name in IP_PROTOCOL_NAMES.items()} | {"icmpv6": 58}


@dataclass(frozen=True)
class FlowFilter:
    """Which flows are wanted.

    Parameters
    ----------
    times : TimeRange
        In which they must have had a packet.
    given : mapping of str to object
        The other filters that were sent, by name, as the queries take them.
    """

    times: TimeRange = EVER
    given: dict[str, object] = field(default_factory=dict)


def protocol_number(text: str) -> int:
    """Return the number of a protocol that a request names by number or keyword.

    Raises
    ------
    Refusal
        400 when there is no such protocol.
    """
    if text.isascii() and text.isdigit() and int(text) <= 255:
        return int(text)
    if text.lower() in _NUMBERS:
        return _NUMBERS[text.lower()]
    raise Refusal(400, "Bad Request", "protocol: a number from 0 to 255, or a keyword such as tcp, udp or icmp.")


Port = Annotated[int | None, Query(ge=0, le=65_535, description="Port.", examples=[443])]
AtLeast = Annotated[int | None, Query(ge=0, le=MAX_COUNT, description="Least count, both directions together.")]
Protocol = Annotated[
    str | None, Query(max_length=16, description="Protocol number (IANA) or keyword.", examples=["tcp"])
]
CommunityId = Annotated[
    str | None,
    Query(
        pattern=r"^1:[0-9A-Za-z+/]{27}=$",
        description="Community ID (version 1, seed 0); a plus is %2B.",
        examples=["1:LQU9qZlK+B5F3KDmev6m5PMibrg="],
    ),
]
Reason = Annotated[FlowEnd | None, Query(description="Only flows whose newest record was written for this reason.")]


def flow_filter(
    times: Times,
    source_ip: Address = None,
    destination_ip: Address = None,
    ip: Address = None,
    source_port: Port = None,
    destination_port: Port = None,
    port: Port = None,
    protocol: Protocol = None,
    community_id: CommunityId = None,
    end_reason: Reason = None,
    min_packets: AtLeast = None,
    min_bytes: AtLeast = None,
) -> FlowFilter:
    """Read the filters of flows; source is who sent the first packet, ``ip`` and ``port`` mean either end.

    Raises
    ------
    Refusal
        400 when a time, an address or a protocol is none.
    """
    addresses = {"source_ip": source_ip, "destination_ip": destination_ip, "ip": ip}
    sent: dict[str, object] = {
        **{name: None if text is None else address(text, name) for name, text in addresses.items()},
        "source_port": source_port,
        "destination_port": destination_port,
        "port": port,
        "protocol": None if protocol is None else protocol_number(protocol),
        "community_id": community_id,
        "end_reason": None if end_reason is None else end_reason.value,
        "min_packets": min_packets,
        "min_bytes": min_bytes,
    }
    return FlowFilter(times, {name: value for name, value in sent.items() if value is not None})


WantedFlows = Annotated[FlowFilter, Depends(flow_filter)]
