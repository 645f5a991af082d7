"""``/api/metrics``: the windows of a capture, their summary, and computing a file."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException

from api import queries
from api.access import Scope, needs
from api.body import documented_body, json_body
from api.capture_answers import window_size_of
from api.compute import Computed
from api.errors import ErrorAnswer, FailureAnswer, Refusal, WindowNotFoundAnswer, documented, failure, iso_now
from api.files import find_capture_file
from api.filters import NS_PER_S, Times
from api.metrics_answers import ComputedAnswer, SummaryAnswer, WindowsAnswer
from api.pages import Page, PageCursor, page_of
from api.parameters import Capture, ComputeBody, WindowId
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


def window_not_found(store: Store, current: CaptureNow | None, window_id: int) -> Refusal:
    """Return the documented 404 of a window that the capture does not have."""
    total = queries.window_count(store, current.capture_id) if current else 0
    sentence = f"The capture has {total} windows, numbered from 0."
    return Refusal(404, "Window not found", sentence, window_id=window_id, total_windows=total)


@router.get("/", response_model=WindowsAnswer, responses=documented(400, 404), summary="List windows")
def list_windows(
    services: Shared, page: Annotated[Page, Depends(page_of(50))], times: Times, capture: Capture = None
) -> WindowsAnswer:
    """List the windows of the newest capture, or of the one named, in order.

    With `cursor`, the page follows the one it comes from, in that one's capture.
    """
    store, cursor = services.store, page.cursor("w")
    current = chosen_capture(store, cursor.capture_id if cursor else capture)
    first = cursor.number + 1 if cursor else 0
    found = (
        queries.windows(store, current.capture_id, page.limit + 1, page.offset, first=max(first, 0), times=times)
        if current
        else []
    )
    rows = found[: page.limit]
    following = None
    if current is not None and len(found) > page.limit:
        following = str(PageCursor("w", current.capture_id, rows[-1].window_id))
    return WindowsAnswer(
        count=len(rows),
        total=queries.window_count(store, current.capture_id, times) if current else 0,
        offset=page.offset,
        limit=page.limit,
        capture_id=current.capture_id if current else None,
        next_cursor=following,
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
        raise window_not_found(services.store, current, window_id)
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
@needs(Scope.CAPTURE)
async def compute_windows(
    services: Shared, body: Annotated[ComputeBody, Depends(json_body(ComputeBody))]
) -> ComputedAnswer:
    """Run a capture file through the broker and the agents; answer when its windows are in the store.

    The same file, size, time of change and window size computed before are answered from the store unless
    `force` is set. While a file is being computed, a second request for it gets 409. With `source: "live"`, the
    answer is about the newest live capture, whose windows are in the store as they close.
    """
    began_s = time.perf_counter()
    if body.source == "live":
        done = await asyncio.to_thread(computed_live, services.store, body)
    else:
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


def computed_live(store: Store, body: ComputeBody) -> Computed:
    """Return the newest live capture with the windows that it has so far: they are computed as packets come.

    Raises
    ------
    Refusal
        400 when there is no live capture, or its windows have another size than the one asked for.
    """
    capture = queries.newest_live_capture(store)
    if capture is None:
        raise failure(400, "There is no live capture to compute. POST /api/control/capture/start begins one.")
    size_s = capture.window_ns / NS_PER_S
    if body.window_size not in (None, size_s):
        sentence = f"The live capture has windows of {size_s:g} s. Compute its output file for another size."
        raise failure(400, sentence)
    count = queries.window_count(store, capture.capture_id)
    return Computed(capture=capture, window_count=count, from_cache=True)
