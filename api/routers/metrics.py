"""``/api/metrics``: the windows of a capture, their summary, and computing a file."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException

from api import queries
from api.body import documented_body, json_body
from api.capture_answers import window_size_of
from api.errors import ErrorAnswer, FailureAnswer, Refusal, WindowNotFoundAnswer, documented, failure, iso_now
from api.files import find_capture_file
from api.metrics_answers import ComputedAnswer, SummaryAnswer, WindowsAnswer
from api.parameters import Capture, ComputeBody, Limit, Offset, WindowId
from api.rows import CaptureNow
from api.services import Shared
from api.window_answers import WindowAnswer
from infra.store import Store

router = APIRouter(prefix="/api/metrics", tags=["metrics"])


def chosen_capture(store: Store, capture_id: str | None) -> CaptureNow | None:
    """Return the capture that a request speaks of: the one named, else the newest; None while there is none.

    Raises
    ------
    Refusal
        404 when the one named does not exist.
    """
    if capture_id is None:
        return queries.current_capture(store)
    named = queries.capture(store, capture_id)
    if named is None:
        raise Refusal(404, "Capture not found", capture_id=capture_id)
    return named


@router.get("/", response_model=WindowsAnswer, responses=documented(400, 404), summary="List windows")
def list_windows(services: Shared, limit: Limit = 50, offset: Offset = 0, capture: Capture = None) -> WindowsAnswer:
    """List the windows of the newest capture, or of the one named, in order."""
    current = chosen_capture(services.store, capture)
    if current is None:
        return WindowsAnswer(count=0, total=0, offset=offset, limit=limit, capture_id=None, metrics=[])
    rows = queries.windows(services.store, current.capture_id, limit, offset)
    return WindowsAnswer(
        count=len(rows),
        total=queries.window_count(services.store, current.capture_id),
        offset=offset,
        limit=limit,
        capture_id=current.capture_id,
        metrics=[WindowAnswer.of(row) for row in rows],
    )


@router.get("/summary", response_model=SummaryAnswer, responses=documented(400, 404), summary="Summarise windows")
def summarise_windows(services: Shared, capture: Capture = None) -> SummaryAnswer:
    """Summarise all windows of the newest capture, or of the one named."""
    current = chosen_capture(services.store, capture)
    summary = queries.summary(services.store, current.capture_id) if current else None
    if current is None or summary is None:
        raise Refusal(404, "No metrics found", "There are no windows yet. Run /api/metrics/compute first.")
    return SummaryAnswer.of(current.capture_id, summary)


@router.get("/compute", include_in_schema=False)
def refuse_get_compute() -> None:
    """Refuse: without this, GET would take ``compute`` for the number of a window."""
    raise HTTPException(405, headers={"Allow": "POST"})


@router.get(
    "/{window_id}",
    response_model=WindowAnswer,
    responses={**documented(400), **documented(404, model=WindowNotFoundAnswer)},
    summary="Read one window",
)
def read_window(services: Shared, window_id: WindowId, capture: Capture = None) -> WindowAnswer:
    """Return one window of the newest capture, or of the one named."""
    current = chosen_capture(services.store, capture)
    row = queries.window(services.store, current.capture_id, window_id) if current else None
    if row is None:
        total = queries.window_count(services.store, current.capture_id) if current else 0
        sentence = f"The capture has {total} windows, numbered from 0."
        raise Refusal(404, "Window not found", sentence, window_id=window_id, total_windows=total)
    return WindowAnswer.of(row)


@router.post(
    "/compute",
    response_model=ComputedAnswer,
    responses={
        **documented(400, 409, 503, model=FailureAnswer),
        413: {"model": ErrorAnswer, "description": "The body is too long."},
        415: {"model": ErrorAnswer, "description": "The body is not JSON."},
    },
    openapi_extra=documented_body(ComputeBody),
    summary="Compute a capture file",
)
async def compute_windows(
    services: Shared, body: Annotated[ComputeBody, Depends(json_body(ComputeBody))]
) -> ComputedAnswer:
    """Run a capture file through the broker and the agents; answer when its windows are in the store.

    The same file, size, time of change and window size computed before are answered from the store unless
    `force` is set. While a file is being computed, a second request for it gets 409.
    """
    began_s = time.perf_counter()
    if body.source == "live":
        raise failure(400, "There is no live capture to compute. Name a PCAP file instead.")
    file = await asyncio.to_thread(find_capture_file, body.pcap_file, services.settings)
    window_s = body.window_size or services.settings.window_s
    done = await services.computations.compute(file, window_s, force=body.force)
    capture_id = done.capture.capture_id
    return ComputedAnswer(
        success=True,
        message="Metrics computed successfully",
        metrics_file=f"{router.prefix}/?capture={capture_id}",
        window_count=done.window_count,
        window_size=window_size_of(done.capture.window_ns),
        computation_time=time.perf_counter() - began_s,
        timestamp=iso_now(),
        capture_id=capture_id,
        from_cache=done.from_cache,
        packets=done.capture.packets,
    )
