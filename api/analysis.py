"""Judging and learning again: send stored windows to the worker, wait for the run that comes of them.

As with ``api.compute``, the API computes nothing itself: it puts a request on the broker and watches the store.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from api import queries_baselines, queries_runs
from api.analysis_rows import RunNow, WindowSpan
from api.compute import STALL_S, new_capture_id
from api.errors import failure
from api.rows import CaptureNow
from infra.arrow import encode_table
from infra.store import Store
from schemas.analysis import AnalysisRequest, Generated
from schemas.enums import BaselineKind, RunKind, RunState

SendWindows = Callable[[AnalysisRequest, bytes], None]
"""Hands a part of a request to the worker; returns when it is safe, raises BrokerError when it is not."""

MAX_PART_BYTES = 8 * 1024 * 1024
"""Largest body of a message: far below what a topic takes, and a second's work for the worker."""

PART_WINDOWS = 128
"""Windows read from the store at once: 20 MB when each of them has all the evidence it may have."""

MAX_HISTORY = 8_640
"""Windows before the first one to be judged that are sent along to be learnt from: a day of 10 s windows."""

MAX_WINDOWS = 100_000
"""Windows that one request may judge: eleven days of 10 s windows."""

_POLL_S = 0.05
_POLL_MAX_S = 0.25


@dataclass(frozen=True)
class Order:
    """What is to be done with which windows.

    Parameters
    ----------
    kind : RunKind
        Judge or learn.
    capture : CaptureNow
        Whose windows.
    source : str
        What is learnt from; see ``schemas.baselines``.
    span : WindowSpan
        The windows wanted.
    is_dry_run : bool
        Whether the anomalies are only shown.
    thresholds : dict
        Overrides by name.
    kinds : list of BaselineKind
        What to learn.
    """

    kind: RunKind
    capture: CaptureNow
    source: str
    span: WindowSpan
    is_dry_run: bool = False
    thresholds: dict[str, float] = field(default_factory=dict)
    kinds: list[BaselineKind] = field(default_factory=list)


class Analyses:
    """The runs of one process; at most one at a time per capture and kind.

    Parameters
    ----------
    store : Store
        Where windows are and results appear.
    send_windows : SendWindows
        Called in a thread.
    stall_s : float
        A run that says nothing for so long is given up.
    """

    def __init__(self, store: Store, send_windows: SendWindows, stall_s: float = STALL_S) -> None:
        self._store = store
        self._send_windows = send_windows
        self._stall_s = stall_s
        self._busy: set[tuple[RunKind, str]] = set()

    async def run(self, order: Order) -> RunNow:
        """Have windows judged or learnt again; return the run when all that it found is in the store.

        Raises
        ------
        Refusal
            400 for too many windows or a run that failed, 409 while one of the same kind and capture is under way,
            503 when no worker answers.
        StoreError, BrokerError
            A part of the service does not answer.
        """
        if order.span.last_window_id - order.span.first_window_id >= MAX_WINDOWS:
            raise failure(400, f"That are more than {MAX_WINDOWS:,} windows. Name window_start and window_end.")
        key = (order.kind, order.capture.capture_id)
        if key in self._busy:
            raise failure(409, f"A {order.kind.value} run of this capture is under way. Wait for its answer.")
        self._busy.add(key)
        try:
            request = _request_of(order)
            before = await asyncio.to_thread(queries_baselines.newest_version, self._store, order.source)
            await asyncio.to_thread(self._send, request, _history_of(order))
            return await self._wait_for(request, before)
        finally:
            self._busy.discard(key)

    def _send(self, request: AnalysisRequest, first_window_id: int) -> None:
        """Send the windows in parts; the last one says that it is the last."""
        bodies = self._bodies(request.capture_id, first_window_id, request.last_window_id)
        part, body = 0, next(bodies)
        for following in bodies:
            self._send_windows(request.model_copy(update={"part": part, "is_last": False}), body)
            part, body = part + 1, following
        self._send_windows(request.model_copy(update={"part": part, "is_last": True}), body)

    def _bodies(self, capture_id: str, first: int, last: int) -> Iterator[bytes]:
        for start in range(first, last + 1, PART_WINDOWS):
            end = min(start + PART_WINDOWS - 1, last)
            yield from parts_of(queries_runs.windows_table(self._store, capture_id, start, end))

    async def _wait_for(self, request: AnalysisRequest, before: int) -> RunNow:
        """Look at the store until the run is over and what it found is there, too."""
        pause_s, moved_at = _POLL_S, time.monotonic()
        seen: tuple[RunNow | None, bool] | None = None
        while True:
            now = await asyncio.to_thread(queries_runs.run, self._store, request.run_id)
            if now is not None and now.state is RunState.FAILED:
                raise failure(400, now.error or "The run failed; the analysis log says why.")
            is_over = now is not None and now.state is RunState.COMPLETE
            if now is not None and is_over and await asyncio.to_thread(self._is_stored, request, now, before):
                return now
            if (now, is_over) != seen:
                seen, moved_at = (now, is_over), time.monotonic()
            if time.monotonic() - moved_at >= self._stall_s:
                raise failure(503, f"Nothing has moved for {self._stall_s:g} s: no worker judges windows.")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.2, _POLL_MAX_S)

    def _is_stored(self, request: AnalysisRequest, now: RunNow, before: int) -> bool:
        """Whether what a complete run says it found is in the store: it travels on topics of its own."""
        if now.kind is RunKind.DETECT:
            found = queries_runs.stored_anomalies(self._store, now.capture_id, now.run_id)
            return found >= now.anomalies
        learnt = [kind.value for kind, is_new in generated_of(now).generated.items() if is_new]
        return queries_baselines.generated_count(self._store, request.source, learnt, before) == len(learnt)


def _request_of(order: Order) -> AnalysisRequest:
    return AnalysisRequest(
        run_id=new_capture_id(),
        kind=order.kind,
        capture_id=order.capture.capture_id,
        source=order.source,
        first_window_id=order.span.first_window_id,
        last_window_id=order.span.last_window_id,
        is_dry_run=order.is_dry_run,
        thresholds=order.thresholds,
        kinds=order.kinds,
        started_ns=time.time_ns(),
    )


def _history_of(order: Order) -> int:
    """Return the first window to send: judging needs what was learnt before."""
    first = order.span.first_window_id
    return first if order.kind is RunKind.GENERATE else max(0, first - MAX_HISTORY)


def parts_of(rows: pa.Table) -> Iterator[bytes]:
    """Yield rows as Arrow IPC streams of ``MAX_PART_BYTES`` at most, unless a single row is larger."""
    if rows.num_rows == 0:
        return
    body = encode_table(rows)
    if len(body) <= MAX_PART_BYTES or rows.num_rows == 1:
        yield body
        return
    half = rows.num_rows // 2
    yield from parts_of(rows.slice(0, half))
    yield from parts_of(rows.slice(half))


def generated_of(run: RunNow) -> Generated:
    """Return what a complete run of kind generate learnt."""
    return Generated.model_validate_json(run.result)


def source_of(capture: CaptureNow) -> str:
    """Return what a capture's windows are learnt into: the port across captures, or the file alone."""
    return f"{capture.sensor}/{capture.name}" if capture.source == "live" else capture.capture_id
