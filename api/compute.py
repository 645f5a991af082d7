"""Computing a file: ask for it to be read, wait until its windows are in the store, never the same one twice.

The API computes nothing itself: it puts a request on the broker and watches the store.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from api import queries
from api.deletions import Deletions
from api.errors import failure
from api.files import NamedFile
from api.rows import CaptureNow, Progress
from infra.store import Store
from schemas.captures import CaptureRequest
from schemas.enums import CaptureState
from schemas.errors import SpanwatchError

log = logging.getLogger(__name__)

RequestCapture = Callable[[CaptureRequest], None]
"""Hands a request to whoever reads files; returns when it is safe, raises BrokerError when it is not."""

STALL_S = 60.0
"""Without any progress for so long, a compute is given up (503)."""

_POLL_S = 0.02
"""Pause between two looks at the store at first, and again once the file is read: soon all of it is stored."""
_POLL_GROWTH = 1.05
"""By how much each pause is longer than the one before: an answer comes late by no more than some hundredths."""
_POLL_MAX_S = 0.25
_PROGRESS_S = 5.0
"""Pause between two counts of stored rows: several times as dear as the look at the capture's state."""

_ENDED = (CaptureState.COMPLETE, CaptureState.FAILED)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: URL-safe, sorts like the numbers written in it."""
_TIME_CHARACTERS = 9
"""45 bits of milliseconds last until the year 3084."""
_RANDOM_CHARACTERS = 6


def new_capture_id() -> str:
    """Return a capture id: 15 characters, URL-safe, later ones sort behind earlier ones (to the ms)."""
    now_ms = time.time_ns() // 1_000_000
    digits = [_ALPHABET[(now_ms >> (5 * place)) & 31] for place in reversed(range(_TIME_CHARACTERS))]
    return "".join(digits) + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))


@dataclass(frozen=True)
class Computed:
    """The outcome of a compute.

    Parameters
    ----------
    capture : CaptureNow
        The complete capture.
    window_count : int
        Its windows.
    from_cache : bool
        Whether it was complete before this request.
    """

    capture: CaptureNow
    window_count: int
    from_cache: bool


@dataclass(frozen=True)
class Begun:
    """A compute that was asked for.

    Parameters
    ----------
    capture_id : str
        Where it will appear in the store; or is, when it was complete before.
    from_cache : bool
        Whether it was complete before.
    """

    capture_id: str
    from_cache: bool


class Computations:
    """The computes of one process; at most one at a time per file and window size.

    Parameters
    ----------
    store : Store
        Where results appear.
    request_capture : RequestCapture
        Called in a thread.
    stall_s : float
        See ``STALL_S``.
    """

    def __init__(self, store: Store, request_capture: RequestCapture, stall_s: float = STALL_S) -> None:
        self._store = store
        self._request_capture = request_capture
        self._stall_s = stall_s
        self._busy: dict[str, str] = {}
        self._followed: set[asyncio.Task[None]] = set()
        self._deletions = Deletions(store)

    async def compute(self, file: NamedFile, window_s: float, *, force: bool) -> Computed:
        """Return the computed file, from the store when it is there and ``force`` is not set.

        Raises
        ------
        Refusal
            400 when the file is not a capture, 409 when it is being computed, 503 when nothing moves.
        StoreError, BrokerError
            A part of the service does not answer.
        """
        fingerprint = await asyncio.to_thread(file.fingerprint, window_s)
        if fingerprint in self._busy:
            raise failure(409, "This file is being computed already. Wait for its answer, then ask again.")
        self._busy[fingerprint] = capture_id = new_capture_id()
        try:
            older = await asyncio.to_thread(queries.complete_captures, self._store, fingerprint)
            if older and not force:
                return await self._computed(older[0], from_cache=True)
            await self._ask(file, fingerprint, capture_id, window_s)
            done = await self._wait_for(capture_id)
            # Only now: until the new capture is complete, readers still have the older one.
            self._deletions.add(capture.capture_id for capture in older)
            return await self._computed(done, from_cache=False)
        finally:
            self._busy.pop(fingerprint, None)

    async def begin(self, file: NamedFile, window_s: float) -> Begun:
        """Have a file computed unless it is in the store, and return without waiting for it.

        Raises
        ------
        Refusal
            400 when the file has gone.
        StoreError, BrokerError
            A part of the service does not answer.
        """
        fingerprint = await asyncio.to_thread(file.fingerprint, window_s)
        if fingerprint in self._busy:
            return Begun(self._busy[fingerprint], from_cache=False)
        self._busy[fingerprint] = capture_id = new_capture_id()
        try:
            older = await asyncio.to_thread(queries.complete_captures, self._store, fingerprint)
            if not older:
                await self._ask(file, fingerprint, capture_id, window_s)
        except BaseException:
            self._busy.pop(fingerprint, None)
            raise
        if older:
            self._busy.pop(fingerprint, None)
            return Begun(older[0].capture_id, from_cache=True)
        following = asyncio.create_task(self._follow(fingerprint, capture_id))
        # The loop keeps no strong reference to a task.
        self._followed.add(following)
        following.add_done_callback(self._followed.discard)
        return Begun(capture_id, from_cache=False)

    async def _follow(self, fingerprint: str, capture_id: str) -> None:
        """Keep a file from being asked for twice until it is computed, or is not going to be."""
        try:
            await self._wait_for(capture_id)
        except SpanwatchError as error:
            log.warning("An uploaded file was not computed: %s", error, extra={"capture_id": capture_id})
        finally:
            self._busy.pop(fingerprint, None)

    async def _computed(self, capture: CaptureNow, *, from_cache: bool) -> Computed:
        count = await asyncio.to_thread(queries.window_count, self._store, capture.capture_id)
        if not from_cache:
            log.info("Metrics computed: %d windows", count, extra={"capture_id": capture.capture_id})
        return Computed(capture=capture, window_count=count, from_cache=from_cache)

    async def _ask(self, file: NamedFile, fingerprint: str, capture_id: str, window_s: float) -> None:
        request = CaptureRequest(
            capture_id=capture_id,
            path=str(file.path),
            name=file.name,
            fingerprint=fingerprint,
            window_s=window_s,
        )
        await asyncio.to_thread(self._request_capture, request)

    async def _wait_for(self, capture_id: str) -> CaptureNow:
        """Look at the store until the capture is complete, has failed or does not move any more."""
        pause_s = _POLL_S
        is_read, lines = False, -1
        seen: Progress | None = None
        moved_at = counted_at = time.monotonic()
        while True:
            # The whole row is dearer than all else in here. While the file is read its state is enough; from then on
            # it is worth a look when the ledger has more lines than at the look before.
            capture = None
            if not is_read and await asyncio.to_thread(queries.capture_state, self._store, capture_id) in _ENDED:
                is_read, pause_s = True, _POLL_S
            if is_read:
                before, lines = lines, await asyncio.to_thread(queries.ledger_lines, self._store, capture_id)
                if lines != before:
                    capture = await asyncio.to_thread(queries.capture, self._store, capture_id)
            if capture is not None and capture.is_stored:
                return capture
            if capture is not None and capture.state is CaptureState.FAILED:
                raise failure(400, f"The capture could not be read: {capture.error}")
            now = time.monotonic()
            # Counted once more before it is given up: it may have moved since the last count.
            if now - counted_at >= min(_PROGRESS_S, self._stall_s / 2) or now - moved_at >= self._stall_s:
                counted_at = now
                figures = await asyncio.to_thread(queries.progress, self._store, capture_id)
                seen, moved_at = figures, moved_at if figures == seen else now
            if now - moved_at >= self._stall_s:
                raise failure(503, f"Nothing has moved for {self._stall_s:g} s: no worker reads captures.")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * _POLL_GROWTH, _POLL_MAX_S)
