"""``POST /api/anomalies/detect``: judging stored windows again."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends

from api import queries_anomalies, queries_runs
from api.access import Scope, needs
from api.analysis import Order, source_of
from api.analysis_rows import RunNow, TypeCount, WindowSpan
from api.anomaly_answers import AnomalyAnswer, by_severity, by_type
from api.body import documented_body, json_body
from api.detect_answers import ChangesAnswer, DetectedAnswer, DetectSummary
from api.errors import ErrorAnswer, FailureAnswer, documented, failure, iso_now
from api.filters import EVER_NS, MAX_WINDOW_ID, AnomalyFilter, time_ns
from api.parameters import DetectBody
from api.routers.anomalies import router as anomalies
from api.routers.metrics import chosen_capture
from api.rows import CaptureNow
from api.services import Services, Shared
from infra.store import Store
from schemas.enums import RunKind
from schemas.errors import SettingsError

router = APIRouter(prefix=anomalies.prefix, tags=["anomalies"])

NO_METRICS = "Metrics not found. Run /api/metrics/compute first."
"""The documented sentence."""

MAX_NUMBER = 10_000_000
"""A whole number below it is the number of a window, not a moment: as one, it would lie in the spring of 1970."""

SHOWN = 100
"""Anomalies of each kind of change that a dry run's answer shows."""


def windows_to_judge(store: Store, body: DetectBody) -> tuple[CaptureNow, WindowSpan]:
    """Return the capture that a request means and its windows within the limits.

    Raises
    ------
    Refusal
        400 when there are none, 404 when there is no such capture.
    """
    capture = chosen_capture(store, body.capture)
    if capture is None:
        raise failure(400, NO_METRICS)
    first, from_ns = _limit(body.window_start, "window_start")
    last, to_ns = _limit(body.window_end, "window_end")
    span = queries_runs.window_span(
        store,
        capture.capture_id,
        first=first or 0,
        last=MAX_WINDOW_ID if last is None else last,
        from_ns=-EVER_NS if from_ns is None else from_ns,
        to_ns=EVER_NS if to_ns is None else to_ns,
    )
    if span.windows == 0:
        is_limited = body.window_start is not None or body.window_end is not None
        raise failure(400, "No window lies between window_start and window_end." if is_limited else NO_METRICS)
    return capture, span


def _limit(value: float | str | None, name: str) -> tuple[int | None, int | None]:
    """Return a limit as the number of a window or as a moment, ns since the epoch."""
    if value is None:
        return None, None
    if isinstance(value, float | int) and value == int(value) and 0 <= value < MAX_NUMBER:
        return int(value), None
    return None, time_ns(str(value), name)


@router.post(
    "/detect",
    response_model=DetectedAnswer,
    responses={
        **documented(400, 404, 409, 503, model=FailureAnswer),
        413: {"model": ErrorAnswer, "description": "The body is too long."},
        415: {"model": ErrorAnswer, "description": "The body is not JSON."},
    },
    openapi_extra=documented_body(DetectBody),
    summary="Judge windows again",
)
@needs(Scope.CAPTURE)
async def detect_anomalies(
    services: Shared, body: Annotated[DetectBody, Depends(json_body(DetectBody))]
) -> DetectedAnswer:
    """Judge the stored windows; answer when what was found is in the store.

    Windows are judged as they close, so without `force` the anomalies that are there already are the answer.
    `force`, `thresholds` or `dry_run` has the windows judged again, from what came before them. A dry run leaves the
    capture's anomalies as they are and says which would be added, removed or kept.
    """
    began_s = time.perf_counter()
    capture, span = await asyncio.to_thread(windows_to_judge, services.store, body)
    _check_thresholds(services, body)
    run: RunNow | None = None
    is_asked = body.force or body.dry_run or bool(body.thresholds)
    if is_asked or not await asyncio.to_thread(queries_runs.is_judged, services.store, capture.capture_id):
        order = Order(
            kind=RunKind.DETECT,
            capture=capture,
            source=source_of(capture),
            span=span,
            is_dry_run=body.dry_run,
            thresholds=body.thresholds,
        )
        run = await services.analyses.run(order)
    counts, changes = await asyncio.to_thread(_found, services.store, capture, span, run)
    return DetectedAnswer(
        success=True,
        message="Anomaly detection completed",
        anomalies_file=f"{router.prefix}/?capture={capture.capture_id}",
        anomaly_count=sum(row.anomalies for row in counts),
        detection_time=time.perf_counter() - began_s,
        summary=DetectSummary(by_type=by_type(counts), by_severity=by_severity(counts)),
        timestamp=iso_now(),
        capture_id=capture.capture_id,
        window_count=span.windows,
        from_cache=run is None,
        dry_run=body.dry_run,
        run_id=run.run_id if run else None,
        changes=changes,
    )


def _check_thresholds(services: Services, body: DetectBody) -> None:
    try:
        services.settings.thresholds.with_overrides(body.thresholds)
    except SettingsError as error:
        raise failure(400, str(error)) from error


def _found(
    store: Store, capture: CaptureNow, span: WindowSpan, run: RunNow | None
) -> tuple[list[TypeCount], ChangesAnswer | None]:
    """Return the counts of what a run found, or of what was there, and what a dry run would change."""
    if run is None:
        wanted = AnomalyFilter(first_window_id=span.first_window_id, last_window_id=span.last_window_id)
        return queries_anomalies.anomaly_types(store, capture.capture_id, wanted), None
    counts = queries_runs.run_types(store, run)
    if not run.is_dry_run:
        return counts, None
    shown = {
        change: [AnomalyAnswer.of(row) for row in queries_runs.changes(store, run, change, SHOWN)]
        for change in queries_runs.CHANGES
    }
    totals = {f"{change}_count": queries_runs.change_count(store, run, change) for change in shown}
    return counts, ChangesAnswer.model_validate({**shown, **totals})
