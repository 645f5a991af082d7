"""PhantomNet's view of the packets: ``/analyze-traffic``, ``/api/stats`` and ``/api/events``."""

from __future__ import annotations

import re
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api import event_pages, queries_honeypots
from api.errors import Refusal, documented
from api.event_answers import EventAnswer, EventsAnswer, LiveAnswer, LiveEvent, StatsAnswer
from api.event_filters import OfCapture, WantedEvents
from api.event_verdicts import EventRow
from api.parameters import Limit
from api.queries_events import EventsBehind
from api.services import Shared

router = APIRouter(tags=["events"])

NEXT_CURSOR = "X-Next-Cursor"
"""Header with the cursor of the next page: the documented answer is a bare list."""

_CURSOR = re.compile(r"(-?[0-9]{1,19})\.([0-9]{1,16})")

CursorText = Annotated[
    str | None,
    Query(
        description="`X-Next-Cursor` of the page before: what is older than its last event.",
        max_length=40,
        examples=["1767622353250000000.230854516543"],
    ),
]


def _behind(cursor: str | None) -> EventsBehind | None:
    if cursor is None:
        return None
    match = _CURSOR.fullmatch(cursor)
    if match is None or abs(int(match[1])) >= 2**63:
        raise Refusal(422, "Unprocessable Content", "cursor: it is not the X-Next-Cursor of an answer of this list.")
    return EventsBehind(int(match[1]), int(match[2]))


def _tell_next(request: Request, response: Response, rows: list[EventRow]) -> None:
    """Say where the next page begins, in a header of ours and as RFC 8288 has it."""
    cursor = f"{rows[-1].ts_ns}.{rows[-1].event_id}"
    response.headers[NEXT_CURSOR] = cursor
    response.headers["Link"] = f'<{request.url.include_query_params(cursor=cursor)}>; rel="next"'


@router.get("/api/events", response_model=EventsAnswer, responses=documented(400, 422), summary="List events")
def list_events(
    request: Request,
    response: Response,
    services: Shared,
    wanted: WantedEvents,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> EventsAnswer:
    """List packets with what they are taken for, newest first.

    Where there are more, the header `X-Next-Cursor` says how to go on.
    """
    rows = event_pages.events(services.store, wanted, limit + 1, _behind(cursor))
    shown = rows[:limit]
    if len(rows) > limit:
        _tell_next(request, response, shown)
    return EventsAnswer(EventAnswer.of(shown))


@router.get("/analyze-traffic", response_model=LiveAnswer, responses=documented(400, 422), summary="Live traffic")
def analyze_traffic(services: Shared, wanted: WantedEvents, limit: Limit = 50) -> LiveAnswer:
    """Show the newest packets with what they are taken for; filters as for `/api/events`."""
    rows = event_pages.events(services.store, wanted, limit)
    return LiveAnswer(count=len(rows), data=LiveEvent.of(rows))


@router.get("/api/stats", response_model=StatsAnswer, responses=documented(422), summary="Dashboard figures")
def read_stats(services: Shared, capture: OfCapture = None) -> StatsAnswer:
    """Return figures over everything stored, or over one capture."""
    honeypots = queries_honeypots.active_honeypots(services.store, time.time_ns())
    return StatsAnswer.of(services.figures.of(capture or ""), len(honeypots))
