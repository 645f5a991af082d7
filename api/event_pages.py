"""Pages of events, newest first: of all, of the benign ones, of the suspicious and of the malicious ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from api.event_filters import EventFilter
from api.event_verdicts import About, EventRow, about, with_verdicts
from api.queries_event_benign import ReadAhead, benign_packets, has_ends
from api.queries_event_threats import THREAT_PACKETS, threats_of
from api.queries_events import EventsBehind, Row, Stretch, packets, stretches, together, united
from infra.store import Store
from schemas.enums import Threat
from schemas.verdicts import SUSPICIOUS_FROM


def events(store: Store, wanted: EventFilter, limit: int, behind: EventsBehind | None = None) -> list[EventRow]:
    """Return the newest events that the filters let through, newest first.

    Parameters
    ----------
    limit : int
        Most events.
    behind : EventsBehind or None
        The last event of the page before.
    """
    place = behind or EventsBehind()
    if wanted.threat in (Threat.SUSPICIOUS, Threat.MALICIOUS):
        return _threats(store, wanted, limit, place)
    if wanted.threat is None:
        return with_verdicts(store, _newest(store, stretches(store, wanted, place), wanted, place, limit))
    return _benign(store, wanted, limit, place)


def _benign(store: Store, wanted: EventFilter, limit: int, place: EventsBehind) -> list[EventRow]:
    """Return the newest benign events: they are among the newest, or few among many threats."""
    captures = stretches(store, wanted, place)
    # Packets of a host lie far apart: each one more takes long to find.
    size = limit + limit // 2 if has_ends(wanted) else 2 * limit
    page = _newest(store, captures, wanted, place, size)
    known = about(store, page)
    if len(page) < size:
        return _among(store, page, known)[:limit]
    behind = EventsBehind(int(str(page[-1]["ts_ns"])), int(str(page[-1]["event_id"])))
    with ReadAhead(store, wanted) as ahead:
        if _are_mostly_threats(known.records):
            ahead.begin(next(together(captures)), behind)
        found = _among(store, page, known)
        if len(found) < limit:
            of_benign = partial(benign_packets, ahead)
            found += with_verdicts(store, _newest(store, captures, wanted, behind, limit - len(found), of_benign))
    return found[:limit]


def _among(store: Store, page: list[Row], known: About) -> list[EventRow]:
    """Return the benign events of a page, with what is known about them."""
    return [event for event in with_verdicts(store, page, known) if event.threat == Threat.BENIGN]


def _are_mostly_threats(rows: list[Row]) -> bool:
    """Return whether the classifier takes most records for threats: then a page likely has too few benign events."""
    threats = sum(100 * float(str(row["attack_probability"])) >= SUSPICIOUS_FROM for row in rows)
    return 2 * threats > len(rows)


Find = Callable[[Store, EventFilter, Stretch, EventsBehind, int], list[Row]]


def _newest(
    store: Store, rest: list[Stretch], wanted: EventFilter, place: EventsBehind, limit: int, find: Find = packets
) -> list[Row]:
    """Return the newest packets that the filters let through, of any threat unless ``find`` says otherwise."""
    found: list[Row] = []
    for group in together(rest):
        found = _merged(found, find(store, wanted, group, place, limit), limit)
        rest = rest[len(group.captures) :]
        if len(found) >= limit:  # only what is newer than the last of them can still count
            since_ns = int(str(found[-1]["ts_ns"]))
            later = [replace(one, first_ns=since_ns) for one in rest if one.last_ns >= since_ns]
            return _merged(found, find(store, wanted, united(later), place, limit), limit) if later else found
    return found


def _merged(some: list[Row], others: list[Row], limit: int) -> list[Row]:
    return sorted([*some, *others], key=lambda row: (row["ts_ns"], row["event_id"]), reverse=True)[:limit]


def _threats(store: Store, wanted: EventFilter, limit: int, place: EventsBehind) -> list[EventRow]:
    found: list[EventRow] = []
    for group in together(stretches(store, wanted, place), THREAT_PACKETS):
        since_ns = found[-1].ts_ns if len(found) >= limit else group.first_ns
        if group.last_ns >= since_ns:
            newer = replace(group, first_ns=max(group.first_ns, since_ns))
            found += threats_of(store, wanted, newer, place, limit)
            found = sorted(found, key=lambda event: (event.ts_ns, event.event_id), reverse=True)[:limit]
    return found
