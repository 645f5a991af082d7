"""``/api/anomalies``: what was found, what it comes to, and why."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query

from api import queries, queries_anomalies
from api.anomaly_answers import AnomaliesAnswer, AnomalyAnswer, ByTypeAnswer, WindowAnomaliesAnswer
from api.errors import Refusal, WindowNotFoundAnswer, documented
from api.evidence_answers import AnomalyDetailAnswer
from api.filters import AnomalyFilter, Wanted
from api.incident_answers import IncidentAnswer, IncidentsAnswer, TopAnomaliesAnswer, TopAnswer
from api.pages import Page, PageCursor, page_of
from api.parameters import AnomalyId, Capture, Limit, Offset, Order, WindowId
from api.queries_anomalies import Behind
from api.queries_picture import picture
from api.routers.metrics import chosen_capture, window_not_found
from api.services import Shared
from infra.store import Store

router = APIRouter(prefix="/api/anomalies", tags=["anomalies"])

EVERY = "all"
"""As a capture id: every capture. No capture has it, ids are longer."""

BEFORE, AFTER = 30, 10
"""Windows shown before and after an anomaly's own."""

_LETTERS = {"newest": "n", "oldest": "o"}
"""What a cursor says of the order."""


def _scope(store: Store, capture_id: str | None) -> str | None:
    """Return the capture that a list is of, empty for every capture; None while there is none."""
    if capture_id == EVERY:
        return ""
    current = chosen_capture(store, capture_id)
    return None if current is None else current.capture_id


@router.get("/", response_model=AnomaliesAnswer, responses=documented(400, 404), summary="List anomalies")
def list_anomalies(
    services: Shared,
    wanted: Wanted,
    page: Annotated[Page, Depends(page_of(100))],
    order: Order = "newest",
) -> AnomaliesAnswer:
    """List the anomalies of the newest capture, of the one named, or of all of them (`capture=all`).

    With `cursor`, the page follows the one it comes from in that one's capture and order, whatever has been found
    since; the filters are those of this request.
    """
    store = services.store
    cursor = page.cursor("no")
    letter = cursor.order if cursor else _LETTERS[order]
    scope = cursor.capture_id if cursor else _scope(store, wanted.capture_id)
    if scope is None:
        return _page(page, wanted, None, [], 0)
    behind = Behind(letter == "n", cursor.number if cursor else None, cursor.text if cursor else "")
    rows = queries_anomalies.anomalies(store, scope, wanted, behind, page.limit + 1, page.offset)
    total = queries_anomalies.anomaly_count(store, scope, wanted)
    shown = rows[: page.limit]
    last = shown[-1] if len(rows) > page.limit else None
    following = None if last is None else PageCursor(letter, scope, last.window_start_ns, last.anomaly_id)
    return _page(page, wanted, scope, [AnomalyAnswer.of(row) for row in shown], total, following)


def _page(
    page: Page,
    wanted: AnomalyFilter,
    scope: str | None,
    shown: list[AnomalyAnswer],
    total: int,
    following: PageCursor | None = None,
) -> AnomaliesAnswer:
    return AnomaliesAnswer(
        count=len(shown),
        total=total,
        offset=page.offset,
        limit=page.limit,
        filters=wanted.shown(),
        capture_id=scope or None,
        next_cursor=str(following) if following else None,
        anomalies=shown,
    )


@router.get("/by-type", response_model=ByTypeAnswer, responses=documented(400, 404), summary="Count by type")
def count_by_type(services: Shared, wanted: Wanted) -> ByTypeAnswer:
    """Count anomalies by type, and each type by severity."""
    scope = _scope(services.store, wanted.capture_id)
    rows = [] if scope is None else queries_anomalies.anomaly_types(services.store, scope, wanted)
    return ByTypeAnswer.of(scope or None, rows)


@router.get("/top", response_model=TopAnomaliesAnswer, responses=documented(400, 404), summary="Most frequent")
def list_top(services: Shared, wanted: Wanted, limit: Limit = 10) -> TopAnomaliesAnswer:
    """List what is found most often: anomalies of the same type, signal and subject are counted together."""
    scope = _scope(services.store, wanted.capture_id)
    rows = [] if scope is None else queries_anomalies.top_anomalies(services.store, scope, wanted, limit)
    return TopAnomaliesAnswer(top=[TopAnswer.of(row) for row in rows], capture_id=scope or None)


@router.get("/incidents", response_model=IncidentsAnswer, responses=documented(400, 404), summary="List incidents")
def list_incidents(services: Shared, wanted: Wanted, limit: Limit = 50, offset: Offset = 0) -> IncidentsAnswer:
    """List incidents, those seen last first: a storm of anomalies about the same is one of them, with a count."""
    store = services.store
    scope = _scope(store, wanted.capture_id)
    rows = [] if scope is None else queries_anomalies.incidents(store, scope, wanted, limit, offset)
    return IncidentsAnswer(
        count=len(rows),
        total=0 if scope is None else queries_anomalies.incident_count(store, scope, wanted),
        offset=offset,
        limit=limit,
        filters=wanted.shown(),
        capture_id=scope or None,
        incidents=[IncidentAnswer.of(row) for row in rows],
    )


@router.get(
    "/window/{window_id}",
    response_model=WindowAnomaliesAnswer,
    responses={**documented(400), **documented(404, model=WindowNotFoundAnswer)},
    summary="Anomalies of a window",
)
def list_of_window(services: Shared, window_id: WindowId, capture: Capture = None) -> WindowAnomaliesAnswer:
    """List the anomalies of one window, the bad ones first."""
    store = services.store
    current = chosen_capture(store, capture)
    if current is None or queries.window(store, current.capture_id, window_id) is None:
        raise window_not_found(store, current, window_id)
    rows = queries_anomalies.anomalies_of_window(store, current.capture_id, window_id)
    return WindowAnomaliesAnswer(
        window_id=window_id,
        count=len(rows),
        capture_id=current.capture_id,
        anomalies=[AnomalyAnswer.of(row) for row in rows],
    )


@router.get("/detect", include_in_schema=False)
def refuse_get_detect() -> None:
    """Refuse: without this, GET would take ``detect`` for the id of an anomaly."""
    raise HTTPException(405, headers={"Allow": "POST"})


@router.get(
    "/{anomaly_id}",
    response_model=AnomalyDetailAnswer,
    responses=documented(400, 404),
    summary="Read one anomaly",
)
def read_anomaly(
    services: Shared,
    anomaly_id: AnomalyId,
    before: Annotated[int, Query(ge=0, le=1000, description="Windows shown before it.")] = BEFORE,
    after: Annotated[int, Query(ge=0, le=1000, description="Windows shown after it.")] = AFTER,
) -> AnomalyDetailAnswer:
    """Say why something is an anomaly, who took part, and what is usual there; also of a dry run's anomaly."""
    store = services.store
    row = queries_anomalies.anomaly(store, anomaly_id)
    if row is None:
        raise Refusal(404, "Anomaly not found", anomaly_id=anomaly_id)
    of_incident = AnomalyFilter(incident_id=row.incident_id)
    found = queries_anomalies.incidents(store, row.capture_id, of_incident, 1, 0)
    return AnomalyDetailAnswer.with_evidence(
        row,
        picture(store, row, before, after),
        IncidentAnswer.of(found[0]) if found else None,
        is_current=queries_anomalies.is_current(store, row),
    )
