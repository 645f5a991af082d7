"""``/api/baselines``: what is usual, how it came to be, and learning it again."""

from __future__ import annotations

import asyncio
import time
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Query

from api import queries_baselines, queries_runs
from api.access import Scope, needs
from api.analysis import Order, generated_of, source_of
from api.analysis_rows import BaselineRow, RunNow, WindowSpan
from api.baseline_answers import BaselineAnswer, BaselineFigures, BaselineNotFoundAnswer, BaselinesAnswer
from api.baseline_page_answers import (
    BaselineHistoryAnswer,
    GeneratedAnswer,
    HostAnswer,
    HostsAnswer,
    VersionAnswer,
)
from api.baseline_stats_answers import BaselineStats, BaselineStatsAnswer
from api.body import documented_body, json_body
from api.errors import ErrorAnswer, FailureAnswer, Refusal, documented, failure, iso_now
from api.filters import EVER_NS, MAX_WINDOW_ID, address
from api.pages import Page, PageCursor, page_of
from api.parameters import Capture, GenerateBody, Limit, Offset
from api.routers.detect import NO_METRICS
from api.routers.metrics import chosen_capture
from api.rows import CaptureNow
from api.services import Shared
from infra.store import Store
from schemas.enums import BaselineKind, RunKind

router = APIRouter(prefix="/api/baselines", tags=["baselines"])

Source = Annotated[
    str | None,
    Query(
        description="What was learnt from: `sensor/interface` of a port, or the capture id of a file; "
        "by default that of the capture.",
        min_length=1,
        max_length=320,
        examples=["probe-1/eth0"],
    ),
]
KindText = Annotated[
    str, Path(max_length=32, description="bandwidth, latency, protocol or connection.", examples=["bandwidth"])
]


def chosen_source(store: Store, capture_id: str | None, source: str | None) -> str | None:
    """Return whose baselines a request speaks of: the source named, else that of the capture; None without one.

    Raises
    ------
    Refusal
        404 when the capture named does not exist.
    """
    if source is not None:
        return source
    capture = chosen_capture(store, capture_id)
    return None if capture is None else source_of(capture)


def _scope(services: Shared, capture: Capture = None, source: Source = None) -> str | None:
    return chosen_source(services.store, capture, source)


OfSource = Annotated[str | None, Depends(_scope)]
"""Whose baselines a request speaks of."""


def _not_found(kind: str) -> Refusal:
    known = ", ".join(BaselineKind)
    sentence = f"Nothing was learnt yet; POST {router.prefix}/generate learns from stored windows."
    if kind not in list(BaselineKind):
        sentence = f"There are {known}."
    return Refusal(404, "Baseline not found", sentence, type=kind)


def _known(kind: str) -> BaselineKind:
    try:
        return BaselineKind(kind)
    except ValueError as error:
        raise _not_found(kind) from error


def _by_kind(rows: list[BaselineRow]) -> dict[BaselineKind, BaselineFigures]:
    found = {row.kind: BaselineFigures.of(row) for row in rows}
    return {kind: found[kind] for kind in BaselineKind if kind in found}


@router.get("/", response_model=BaselinesAnswer, responses=documented(400, 404), summary="List baselines")
def list_baselines(services: Shared, source: OfSource) -> BaselinesAnswer:
    """List what is usual on the current capture's port or file, or on the one named."""
    rows = [] if source is None else queries_baselines.baselines(services.store, source)
    return BaselinesAnswer(available=len(rows), baselines=_by_kind(rows), timestamp=iso_now(), source=source)


@router.get("/stats", response_model=BaselineStatsAnswer, responses=documented(400, 404), summary="Key statistics")
def read_stats(services: Shared, source: OfSource) -> BaselineStatsAnswer:
    """Return the key statistics of all baselines; null for one that was not learnt yet."""
    rows = [] if source is None else queries_baselines.baselines(services.store, source)
    return BaselineStatsAnswer(baseline_stats=BaselineStats.of(rows), timestamp=iso_now(), source=source)


@router.get("/hosts", response_model=HostsAnswer, responses=documented(400, 404), summary="List hosts")
def list_hosts(services: Shared, source: OfSource, limit: Limit = 50, offset: Offset = 0) -> HostsAnswer:
    """List hosts that have baselines of their own, those learnt from most windows first."""
    rows = [] if source is None else queries_baselines.host_baselines(services.store, source, limit, offset)
    hosts = [
        HostAnswer(ip=ip, source=source or "", baselines=_by_kind(list(of_host)))
        for ip, of_host in groupby(rows, key=lambda row: row.subject)
    ]
    return HostsAnswer(
        count=len(hosts),
        total=0 if source is None else queries_baselines.host_count(services.store, source),
        offset=offset,
        limit=limit,
        source=source,
        hosts=hosts,
    )


@router.get("/hosts/{ip}", response_model=HostAnswer, responses=documented(400, 404), summary="Read a host's baselines")
def read_host(
    services: Shared,
    source: OfSource,
    ip: Annotated[str, Path(max_length=64, description="IP address.", examples=["10.0.15.35"])],
) -> HostAnswer:
    """Return what is usual for one host."""
    known = address(ip, "ip")
    rows = [] if source is None else queries_baselines.baselines(services.store, source, known)
    if not rows:
        raise Refusal(404, "Baseline not found", "Nothing was learnt of this host.", ip=known)
    return HostAnswer(ip=known, source=rows[0].source, baselines=_by_kind(rows))


@router.get("/generate", include_in_schema=False)
def refuse_get_generate() -> None:
    """Refuse: without this, GET would take ``generate`` for the type of a baseline."""
    raise HTTPException(405, headers={"Allow": "POST"})


@router.get(
    "/{type}",
    response_model=BaselineAnswer,
    responses={**documented(400), **documented(404, model=BaselineNotFoundAnswer)},
    summary="Read one baseline",
)
def read_baseline(services: Shared, source: OfSource, type: KindText) -> BaselineAnswer:
    """Return one baseline, in its newest version."""
    kind = _known(type)
    rows = [] if source is None else queries_baselines.baselines(services.store, source)
    found = _by_kind(rows).get(kind)
    if found is None:
        raise _not_found(type)
    return BaselineAnswer(type=kind, baseline=found, timestamp=iso_now())


@router.get(
    "/{type}/history",
    response_model=BaselineHistoryAnswer,
    responses={**documented(400), **documented(404, model=BaselineNotFoundAnswer)},
    summary="Versions of a baseline",
)
def list_history(
    services: Shared, source: OfSource, type: KindText, page: Annotated[Page, Depends(page_of(100))]
) -> BaselineHistoryAnswer:
    """List how a baseline stood after each window that it was learnt from, newest first."""
    kind, store, cursor = _known(type), services.store, page.cursor("b")
    total = 0 if source is None else queries_baselines.version_count(store, source, kind)
    if source is None or total == 0:
        raise _not_found(type)
    before = queries_baselines.NEWEST if cursor is None else max(cursor.number, 0)
    rows = queries_baselines.history(store, source, kind, page.limit + 1, page.offset, before=before)
    shown = rows[: page.limit]
    following = PageCursor("b", "", shown[-1].version) if len(rows) > page.limit else None
    return BaselineHistoryAnswer(
        type=kind,
        source=source,
        count=len(shown),
        total=total,
        offset=page.offset,
        limit=page.limit,
        next_cursor=str(following) if following else None,
        history=[VersionAnswer.of(row) for row in shown],
    )


@router.post(
    "/generate",
    response_model=GeneratedAnswer,
    responses={
        **documented(400, 404, 409, 503, model=FailureAnswer),
        413: {"model": ErrorAnswer, "description": "The body is too long."},
        415: {"model": ErrorAnswer, "description": "The body is not JSON."},
    },
    openapi_extra=documented_body(GenerateBody),
    summary="Learn baselines again",
)
@needs(Scope.CAPTURE)
async def generate_baselines(
    services: Shared, body: Annotated[GenerateBody, Depends(json_body(GenerateBody))]
) -> GeneratedAnswer:
    """Learn baselines from the stored windows and make them those of the capture's port or file.

    Answers when they are in the store, also for a type of which too few windows tell anything: that one is `false`,
    and `reasons` says why. Without `force`, what was generated from the same windows before is the answer.
    """
    began_s = time.perf_counter()
    capture, span = await asyncio.to_thread(_windows_to_learn, services.store, body)
    kinds = [kind for kind in BaselineKind if kind in body.types]
    run = None if body.force else await asyncio.to_thread(_generated_before, services.store, capture, span, kinds)
    is_cached = run is not None
    if run is None:
        order = Order(kind=RunKind.GENERATE, capture=capture, source=source_of(capture), span=span, kinds=kinds)
        run = await services.analyses.run(order)
    learnt = generated_of(run)
    return GeneratedAnswer(
        success=True,
        message=_message(learnt.generated),
        baselines_dir=services.folder,
        generated={kind: learnt.generated.get(kind, False) for kind in kinds},
        reasons={kind: why for kind, why in learnt.reasons.items() if kind in kinds},
        generation_time=time.perf_counter() - began_s,
        timestamp=iso_now(),
        capture_id=capture.capture_id,
        source=source_of(capture),
        window_count=span.windows,
        from_cache=is_cached,
        run_id=run.run_id,
    )


def _message(generated: dict[BaselineKind, bool]) -> str:
    if all(generated.values()):
        return "Baselines generated successfully"
    return "Some baselines were not generated" if any(generated.values()) else "No baseline was generated"


def _windows_to_learn(store: Store, body: GenerateBody) -> tuple[CaptureNow, WindowSpan]:
    capture = chosen_capture(store, body.capture)
    if capture is None:
        raise failure(400, NO_METRICS)
    span = queries_runs.window_span(store, capture.capture_id, 0, MAX_WINDOW_ID, -EVER_NS, EVER_NS)
    if span.windows == 0:
        raise failure(400, NO_METRICS)
    return capture, span


def _generated_before(store: Store, capture: CaptureNow, span: WindowSpan, kinds: list[BaselineKind]) -> RunNow | None:
    """Return the newest run if it learnt these kinds from these windows."""
    run = queries_runs.newest_run(store, capture.capture_id, RunKind.GENERATE)
    if run is None or (run.windows, run.last_window_id) != (span.windows, span.last_window_id):
        return None
    return run if generated_of(run).generated.keys() >= set(kinds) else None
