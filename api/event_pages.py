"""Pages of events, newest first: of all, of the benign ones, of the suspicious and of the malicious ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from api.event_filters import EventFilter
from api.queries_event_threats import threats_of
from api.queries_events import (
    MAX_PAGE,
    EventRow,
    EventsBehind,
    Row,
    Stretch,
    packets,
    stretches,
    together,
    united,
    with_verdicts,
)
from infra.store import Store
from schemas.enums import Threat


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
        return with_verdicts(store, _newest(store, wanted, place, limit))
    found: list[EventRow] = []
    for page in _pages(store, wanted, place, limit):
        found += [event for event in with_verdicts(store, page) if event.threat == wanted.threat]
        if len(found) >= limit:
            break
    return found[:limit]


def _pages(store: Store, wanted: EventFilter, place: EventsBehind, limit: int) -> Iterator[list[Row]]:
    """Yield packets page by page, newest first; each page is longer than the one before."""
    size = 2 * limit
    while True:
        page = _newest(store, wanted, place, size)
        yield page
        if len(page) < size:
            return
        place = EventsBehind(int(str(page[-1]["ts_ns"])), int(str(page[-1]["event_id"])))
        size = max(size, min(4 * size, MAX_PAGE))


def _newest(store: Store, wanted: EventFilter, place: EventsBehind, limit: int) -> list[Row]:
    """Return the newest packets that the filters let through, of any threat."""
    found: list[Row] = []
    rest = stretches(store, wanted, place)
    while rest:
        if len(found) >= limit:  # only what is newer than the last of them can still count
            since_ns = int(str(found[-1]["ts_ns"]))
            later = [replace(one, first_ns=since_ns) for one in rest if one.last_ns >= since_ns]
            return _merged(found, packets(store, wanted, united(later), place, limit), limit) if later else found
        group = next(together(rest))
        rest = rest[len(group.captures) :]
        found = _merged(found, packets(store, wanted, group, place, limit), limit)
    return found


def _merged(some: list[Row], others: list[Row], limit: int) -> list[Row]:
    return sorted([*some, *others], key=lambda row: (row["ts_ns"], row["event_id"]), reverse=True)[:limit]


def _threats(store: Store, wanted: EventFilter, limit: int, place: EventsBehind) -> list[EventRow]:
    found: list[EventRow] = []
    for capture in stretches(store, wanted, place):
        since_ns = found[-1].ts_ns if len(found) >= limit else capture.first_ns
        if capture.last_ns >= since_ns:
            newer = Stretch(capture.captures, max(capture.first_ns, since_ns), capture.last_ns, capture.packets)
            found += threats_of(store, wanted, newer, place, limit)
            found = sorted(found, key=lambda event: (event.ts_ns, event.event_id), reverse=True)[:limit]
    return found
