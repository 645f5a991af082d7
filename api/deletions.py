"""Removing captures that a newer one has replaced, without keeping anybody waiting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from infra.store import Store
from schemas.errors import StoreError

log = logging.getLogger(__name__)


class Deletions:
    """What is to be removed from a store, one removal at a time.

    A removal takes seconds, and would hold one of the few threads that the store is asked from: some at the same time
    left none for a compute. So the store only notes what to remove, and what comes meanwhile goes with the next note.

    Parameters
    ----------
    store : Store
        Where the captures are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[str] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, capture_ids: Iterable[str]) -> None:
        """Have captures removed soon; what a stop leaves is removed when their file is computed again."""
        self._waiting += capture_ids
        if self._waiting and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._remove())

    async def _remove(self) -> None:
        while self._waiting:
            capture_ids, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._store.delete_captures, capture_ids, wait=False)
            except StoreError as error:
                log.warning("older captures are not deleted yet: %s", error)
