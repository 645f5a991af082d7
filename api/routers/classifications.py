"""``/api/classifications``: what the classifier says of a capture's flows."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from api import queries_classifications
from api.classification_answers import ClassificationAnswer, ClassificationsAnswer
from api.classification_filters import WantedVerdicts
from api.classification_summary import VerdictsSummaryAnswer
from api.errors import documented
from api.pages import Page, page_of
from api.parameters import Capture
from api.routers.metrics import chosen_capture
from api.services import Shared

router = APIRouter(prefix="/api/classifications", tags=["classifications"])

VerdictOrder = Annotated[
    Literal["newest", "oldest", "confidence", "attack_probability", "packets"],
    Query(description="Which come first: those on flows that began last or first, or those with most."),
]


@router.get("/", response_model=ClassificationsAnswer, responses=documented(400, 404), summary="List verdicts")
def list_classifications(
    services: Shared,
    wanted: WantedVerdicts,
    page: Annotated[Page, Depends(page_of(100))],
    capture: Capture = None,
    order: VerdictOrder = "newest",
) -> ClassificationsAnswer:
    """List the verdicts on the flows of the newest capture, or of the one named: on each flow the newest.

    With `cursor`, the page follows the one it comes from in that one's capture and order; the filters are those of
    this request. `from` and `to` let those through whose flows had a packet in between.
    """
    store = services.store
    cursor = page.cursor(queries_classifications.ORDERS.letters)
    current = chosen_capture(store, cursor.capture_id if cursor else capture)
    if current is None:
        return ClassificationsAnswer(
            count=0,
            total=0,
            offset=page.offset,
            limit=page.limit,
            capture_id=None,
            next_cursor=None,
            classifications=[],
        )
    behind = queries_classifications.ORDERS.behind(order, cursor)
    rows = queries_classifications.verdicts(store, current.capture_id, wanted, behind, page.limit + 1, page.offset)
    shown = rows[: page.limit]
    return ClassificationsAnswer(
        count=len(shown),
        total=queries_classifications.verdict_count(store, current.capture_id, wanted),
        offset=page.offset,
        limit=page.limit,
        capture_id=current.capture_id,
        next_cursor=queries_classifications.ORDERS.next_cursor(behind, current.capture_id, rows, page.limit),
        classifications=[ClassificationAnswer.of(row) for row in shown],
    )


@router.get(
    "/summary", response_model=VerdictsSummaryAnswer, responses=documented(400, 404), summary="Verdicts by class"
)
def summarise(services: Shared, wanted: WantedVerdicts, capture: Capture = None) -> VerdictsSummaryAnswer:
    """Count the verdicts on the flows of the newest capture, or of the one named, by class; filters as of the list."""
    store, current = services.store, chosen_capture(services.store, capture)
    if current is None:
        return VerdictsSummaryAnswer.of(None, wanted.role, [], [])
    rows = queries_classifications.classes(store, current.capture_id, wanted)
    models = queries_classifications.models(store, current.capture_id, wanted)
    return VerdictsSummaryAnswer.of(current.capture_id, wanted.role, models, rows)
