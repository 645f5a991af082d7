from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from api.deletions import Deletions
from infra.store import Store
from tests.api.stack import capture_row, insert_captures, until


def test_what_is_added_goes_and_the_rest_stays(store: Store) -> None:
    names = [f"replaced-{number}" for number in range(12)]
    for name in (*names, "kept"):
        insert_captures(store, capture_row(name))

    def left() -> set[object]:
        condition = "startsWith(capture_id, 'replaced-') OR capture_id = 'kept'"
        rows = store.query(f"SELECT capture_id FROM captures WHERE {condition}")
        return {row["capture_id"] for row in rows}

    async def add_one_by_one() -> None:
        deletions = Deletions(store)
        for name in names:
            deletions.add([name])
            await asyncio.sleep(0.01)
        # A stop forgets what is not noted yet, so the loop lives until all are gone.
        await asyncio.to_thread(until, lambda: left() == {"kept"})

    assert left() == {*names, "kept"}
    asyncio.run(add_one_by_one())
    assert left() == {"kept"}


class CountingPool(ThreadPoolExecutor):
    """Knows how many calls were under way at the same time."""

    def __init__(self) -> None:
        super().__init__(4)
        self.under_way = self.most = 0

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        future = super().submit(call, *arguments, **named)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: Future[Any]) -> None:
        self.under_way -= 1


def test_many_removals_leave_threads_for_others(store: Store) -> None:
    """Each in a thread of its own once left a compute none to look at its capture from, for seconds."""
    pool = CountingPool()

    async def add_many() -> None:
        asyncio.get_running_loop().set_default_executor(pool)
        deletions = Deletions(store)
        for number in range(20):
            deletions.add([f"nobody-{number}"])
            await asyncio.sleep(0)

    asyncio.run(add_many())
    assert pool.most == 1
