"""The audit of what acts: rows on their way to the store, one after the other.

A row of something that was done is in the store before its caller has the answer. Refused calls are only handed
over: whoever is refused a thousand times a second makes five inserts a second, not a thousand.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from infra.audit import write_audit
from infra.store import Store
from schemas.audit import AuditEntry, AuditOutcome
from schemas.errors import SpanwatchError

logger = logging.getLogger(__name__)

LINGER_S = 0.2
"""How long refused calls wait for more of their kind."""

MAX_WAITING = 10_000
"""Refused calls that may wait; more are left out."""


@dataclass
class _Waiting:
    entry: AuditEntry
    written: Future[None] = field(default_factory=Future)


class AuditTrail:
    """Writes the audit; a thread of its own, started with the first row.

    Parameters
    ----------
    store : Store
        Where.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    async def write(self, entry: AuditEntry) -> None:
        """Write a row, or hand it over when the call was refused; what cannot be written is in the log."""
        waiting = self._hand_over(entry)
        if waiting is not None and entry.outcome is not AuditOutcome.REFUSED:
            # Shielded: who asked may go, the row is written all the same.
            await asyncio.shield(asyncio.wrap_future(waiting.written))

    def _hand_over(self, entry: AuditEntry) -> _Waiting | None:
        logger.info(
            "%s %s by %s: %s",
            entry.action,
            entry.target,
            entry.who,
            entry.outcome.value,
            extra={"key_id": entry.key_id},
        )
        if entry.outcome is AuditOutcome.REFUSED and self._waiting.qsize() >= MAX_WAITING:
            return None
        waiting = _Waiting(entry)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()
        self._waiting.put(waiting)
        return waiting

    def close(self) -> None:
        """Write what waits, then stop."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, is_last = self._gathered(first)
            try:
                write_audit(self._store, *(waiting.entry for waiting in batch))
            except SpanwatchError:
                logger.exception("%d rows of the audit could not be written", len(batch))
                _log(batch)
            for waiting in batch:
                waiting.written.set_result(None)
            if is_last:
                return

    def _gathered(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """Return what waits behind a row, and whether there will be no more; a row that is waited for goes at once."""
        batch = [first]
        while True:
            is_waited_for = any(waiting.entry.outcome is not AuditOutcome.REFUSED for waiting in batch)
            try:
                found = self._waiting.get(block=not is_waited_for, timeout=LINGER_S)
            except queue.Empty:
                return batch, False
            if found is None:
                return batch, True
            batch.append(found)


def _log(batch: list[_Waiting]) -> None:
    for waiting in batch:
        logger.error("not in the audit: %r", waiting.entry)
