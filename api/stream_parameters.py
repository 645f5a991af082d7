"""What a subscriber may ask for: filters and the id to go on behind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from api.classification_filters import class_named
from api.cursor import Cursor, Kind
from api.errors import Refusal
from api.filters import address
from api.subscription import Filter
from schemas.enums import AnomalyType, Severity

MAX_VALUES = 64
"""Values of one filter at most."""

_CAPTURE = re.compile(r"[0-9A-Za-z_-]{1,64}")


def cursor_of(text: str | None) -> Cursor | None:
    """Return the cursor that a client names; None when it names none.

    Raises
    ------
    Refusal
        400 when it is none of ours.
    """
    if not text:
        return None
    try:
        return Cursor.parse(text)
    except ValueError as error:
        raise Refusal(400, "Bad Request", f"last_event_id: {error}") from error


def filter_of(asked: Iterable[tuple[str, str]]) -> Filter:
    """Return the filter of a query; a name may be repeated, or its values stand with commas between them.

    Raises
    ------
    Refusal
        400 for a name that is not known or a value that cannot be.
    """
    values: dict[str, set[str]] = {name: set() for name in _CHECKS}
    for name, text in asked:
        if name == "last_event_id":
            continue
        if name not in _CHECKS:
            raise Refusal(400, "Bad Request", f"{name[:40]} is no filter; there are {', '.join(_CHECKS)}.")
        values[name] |= {_CHECKS[name](part.strip()) for part in text.split(",") if part.strip()}
        if len(values[name]) > MAX_VALUES:
            raise Refusal(400, "Bad Request", f"{name}: {MAX_VALUES} values are the most.")
    return Filter(
        kinds=frozenset(kind for kind in Kind if kind.plural in values["kinds"]) or frozenset(Kind),
        types=frozenset(values["type"]),
        severities=frozenset(values["severity"]),
        source_ips=frozenset(values["source_ip"]),
        captures=frozenset(values["capture"]),
        classes=frozenset(values["class"]),
    )


def _one_of(name: str, allowed: Iterable[str]) -> Callable[[str], str]:
    known = list(allowed)

    def check(value: str) -> str:
        if value not in known:
            raise Refusal(400, "Bad Request", f"{name}: it is one of {', '.join(known)}.")
        return value

    return check


def _capture(value: str) -> str:
    if not _CAPTURE.fullmatch(value):
        raise Refusal(400, "Bad Request", "capture: it is not a capture id.")
    return value


_CHECKS: dict[str, Callable[[str], str]] = {
    "kinds": _one_of("kinds", (kind.plural for kind in Kind)),
    "type": _one_of("type", list(AnomalyType)),
    "severity": _one_of("severity", list(Severity)),
    "source_ip": lambda value: address(value, "source_ip"),
    "capture": _capture,
    "class": class_named,
}
