"""``/api/honeypots``: what honeypots logged."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends

from api import queries_honeypots
from api.errors import documented
from api.flow_rows import hex_id
from api.honeypot_answers import (
    DeadLetterAnswer,
    DeadLettersAnswer,
    HoneypotAnswer,
    HoneypotLogAnswer,
    HoneypotLogsAnswer,
    HoneypotsAnswer,
)
from api.honeypot_filters import Reading, WantedLines
from api.pages import Page, PageCursor, page_of
from api.parameters import Order
from api.services import Shared

router = APIRouter(prefix="/api/honeypots", tags=["honeypots"])


def _place(cursor: PageCursor | None) -> tuple[int, int] | None:
    return (cursor.number, int(cursor.text or "0", 16)) if cursor else None


@router.get("/", response_model=HoneypotsAnswer, summary="List the types of honeypots")
def list_honeypots(services: Shared) -> HoneypotsAnswer:
    """List the types of honeypots that have been heard from, with what they told of the last 24 hours."""
    rows = queries_honeypots.honeypots(services.store, time.time_ns())
    return HoneypotsAnswer(
        count=len(rows),
        active=sum(row.lines_24h > 0 for row in rows),
        honeypots=[HoneypotAnswer.of(row) for row in rows],
        dead_letters=queries_honeypots.dead_letter_count(services.store),
    )


@router.get("/logs", response_model=HoneypotLogsAnswer, responses=documented(400), summary="List honeypots' lines")
def list_logs(
    services: Shared, wanted: WantedLines, page: Annotated[Page, Depends(page_of(100))], order: Order = "newest"
) -> HoneypotLogsAnswer:
    """List what honeypots logged, all types together, by the time of the lines.

    With `cursor`, the page follows the one it comes from in that one's order; the filters are those of this request.
    """
    cursor = page.cursor("no")
    letter = cursor.order if cursor else order[0]
    rows = queries_honeypots.logs(
        services.store,
        wanted,
        page.limit + 1,
        page.offset,
        is_newest_first=letter == "n",
        behind=_place(cursor),
    )
    shown = rows[: page.limit]
    following = None
    if len(rows) > page.limit:
        following = str(PageCursor(letter, "", shown[-1].ts_ns, hex_id(shown[-1].log_id)))
    by_type = queries_honeypots.log_counts(services.store, wanted)
    return HoneypotLogsAnswer(
        count=len(shown),
        total=sum(by_type.values()),
        total_by_type=by_type,
        offset=page.offset,
        limit=page.limit,
        next_cursor=following,
        logs=[HoneypotLogAnswer.of(row) for row in shown],
    )


@router.get(
    "/dead-letters", response_model=DeadLettersAnswer, responses=documented(400), summary="List malformed lines"
)
def list_dead_letters(
    services: Shared, page: Annotated[Page, Depends(page_of(100))], read_id: Reading = None
) -> DeadLettersAnswer:
    """List the lines that could not be understood, with the reason, those read last first."""
    store = services.store
    behind = _place(page.cursor("d"))
    rows = queries_honeypots.dead_letters(store, page.limit + 1, page.offset, read_id=read_id or "", behind=behind)
    shown = rows[: page.limit]
    following = None
    if len(rows) > page.limit:
        following = str(PageCursor("d", "", shown[-1].read_ns, hex_id(shown[-1].letter_id)))
    return DeadLettersAnswer(
        count=len(shown),
        total=queries_honeypots.dead_letter_count(store, read_id or ""),
        offset=page.offset,
        limit=page.limit,
        next_cursor=following,
        dead_letters=[DeadLetterAnswer.of(row) for row in shown],
    )
