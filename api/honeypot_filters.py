"""What a list of honeypots' lines is narrowed down to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Query

from api.filters import EVER, MAX_TEXT, Address, TimeRange, Times, address
from schemas.honeypots import HoneypotType, LogAction


@dataclass(frozen=True)
class HoneypotFilter:
    """Which lines are wanted.

    Parameters
    ----------
    kinds : tuple of HoneypotType
        Of these honeypots.
    times : TimeRange
        When they happened, ``[from_ns, to_ns)``.
    given : mapping of str to object
        The other filters that were sent, by name, as the queries take them.
    """

    kinds: tuple[HoneypotType, ...] = tuple(HoneypotType)
    times: TimeRange = EVER
    given: dict[str, object] = field(default_factory=dict)


Kind = Annotated[HoneypotType | None, Query(alias="type", description="Only this type of honeypot.")]
Word = Annotated[str | None, Query(min_length=1, max_length=MAX_TEXT)]
Event = Annotated[Word, Query(description="As the honeypot names it, in any case.", examples=["cowrie.login.failed"])]
Action = Annotated[LogAction | None, Query(description="What happened, under one name for all honeypots.")]
Level = Annotated[Word, Query(description="Level of the line, in any case.", examples=["WARN"])]
Tried = Annotated[Word, Query(description="Exactly this one was tried.", examples=["root"])]
Session = Annotated[Word, Query(description="Connection, as the honeypot names it.", examples=["6d4ed71d8696"])]
Reading = Annotated[
    str | None,
    Query(pattern=r"^[0-9a-z]{1,32}$", description="Only what this reading of files brought.", examples=["01kb2m9t8x"]),
]
Text = Annotated[
    Word, Query(description="Part of the event, message, user name, password, command or data, in any case of letters.")
]


def honeypot_filter(
    times: Times,
    kind: Kind = None,
    source_ip: Address = None,
    event: Event = None,
    action: Action = None,
    level: Level = None,
    username: Tried = None,
    password: Tried = None,
    session: Session = None,
    read_id: Reading = None,
    q: Text = None,
) -> HoneypotFilter:
    """Read the filters of honeypots' lines.

    Raises
    ------
    Refusal
        400 when a time or an address is none.
    """
    sent: dict[str, object] = {
        "source_ip": None if source_ip is None else address(source_ip, "source_ip"),
        "event": event,
        "action": action.value if action else None,
        "level": level,
        "username": username,
        "password": password,
        "session": session,
        "read_id": read_id,
        "text": q,
    }
    kinds = (kind,) if kind else tuple(HoneypotType)
    return HoneypotFilter(kinds, times, {name: value for name, value in sent.items() if value is not None})


WantedLines = Annotated[HoneypotFilter, Depends(honeypot_filter)]
