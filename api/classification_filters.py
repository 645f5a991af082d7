"""What a list of verdicts is narrowed down to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Query

from api.errors import Refusal
from api.filters import EVER, Address, TimeRange, Times, address
from api.flow_filters import Port, Protocol, protocol_number
from schemas.classes import CLASS_NAMES
from schemas.enums import ModelRole


@dataclass(frozen=True)
class VerdictFilter:
    """Which verdicts are wanted.

    Parameters
    ----------
    role : ModelRole
        Of the model that said so.
    times : TimeRange
        In which their flows must have had a packet.
    given : mapping of str to object
        The other filters that were sent, by name, as the queries take them.
    """

    role: ModelRole = ModelRole.CHAMPION
    times: TimeRange = EVER
    given: dict[str, object] = field(default_factory=dict)


ClassName = Annotated[
    str | None,
    Query(
        alias="class",
        max_length=64,
        description="Only this class: one of the 15 names, in any case of letters and with any dash.",
        examples=["PortScan"],
    ),
]
IsAttack = Annotated[bool | None, Query(description="Only flows that an attack was named for, or only the others.")]
Uncertain = Annotated[bool | None, Query(description="Only uncertain verdicts, or only certain ones.")]
Least = Annotated[float | None, Query(ge=0, le=1, description="Least confidence.", examples=[0.9])]
Role = Annotated[ModelRole, Query(description="Whose verdicts: those that count, or those of the challenger.")]
Fingerprint = Annotated[str | None, Query(pattern=r"^[0-9a-f]{12}$", description="Only verdicts of this model.")]


def class_named(text: str) -> str:
    """Return the class that a request names; letters of any case, and a hyphen for the contract's en dash, will do.

    Raises
    ------
    Refusal
        400 when there is no such class.
    """
    wanted = text.strip().replace("-", "–").casefold()
    for name in CLASS_NAMES:
        if name.replace("-", "–").casefold() == wanted:
            return name
    raise Refusal(400, "Bad Request", f"class: it is one of {', '.join(CLASS_NAMES)}.")


def verdict_filter(
    times: Times,
    class_name: ClassName = None,
    is_attack: IsAttack = None,
    uncertain: Uncertain = None,
    min_confidence: Least = None,
    source_ip: Address = None,
    destination_ip: Address = None,
    ip: Address = None,
    source_port: Port = None,
    destination_port: Port = None,
    port: Port = None,
    protocol: Protocol = None,
    role: Role = ModelRole.CHAMPION,
    model: Fingerprint = None,
) -> VerdictFilter:
    """Read the filters of verdicts; source is who sent the flow's first packet, ``ip`` and ``port`` mean either end.

    Raises
    ------
    Refusal
        400 when a time, an address, a protocol or a class is none.
    """
    addresses = {"source_ip": source_ip, "destination_ip": destination_ip, "ip": ip}
    sent: dict[str, object] = {
        **{name: None if text is None else address(text, name) for name, text in addresses.items()},
        "class_name": None if class_name is None else class_named(class_name),
        "is_attack": is_attack,
        "uncertain": uncertain,
        "min_confidence": min_confidence,
        "source_port": source_port,
        "destination_port": destination_port,
        "port": port,
        "protocol": None if protocol is None else protocol_number(protocol),
        "model": model,
    }
    return VerdictFilter(role, times, {name: value for name, value in sent.items() if value is not None})


WantedVerdicts = Annotated[VerdictFilter, Depends(verdict_filter)]
