"""What a stage keeps of each capture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_ENDED = 1000
"""Captures remembered after their end, on each partition."""


class OpenCaptures(Generic[T]):
    """What a stage keeps of each capture on each partition, until the capture ends there.

    A request that two workers read after a rebalance is sent twice; the slower one's tail comes after the
    end and must not open the capture again, so the newest ``MAX_ENDED`` ends are remembered.
    """

    def __init__(self) -> None:
        self._open: dict[int, dict[str, T]] = {}
        self._ended: dict[int, dict[str, None]] = {}

    def get(self, partition: int, capture_id: str, make: Callable[[], T]) -> T | None:
        """Return what is kept of a capture, made when it is new, or None when it has ended."""
        if capture_id in self._ended.get(partition, ()):
            return None
        opened = self._open.setdefault(partition, {})
        if capture_id not in opened:
            opened[capture_id] = make()
        return opened[capture_id]

    def end(self, partition: int, capture_id: str) -> None:
        """Forget what is kept of a capture, and remember that it has ended."""
        self._open.get(partition, {}).pop(capture_id, None)
        ended = self._ended.setdefault(partition, {})
        ended[capture_id] = None
        if len(ended) > MAX_ENDED:
            del ended[next(iter(ended))]

    def is_idle(self, partition: int) -> bool:
        """Whether no capture is open on a partition."""
        return not self._open.get(partition)

    def drop(self, partitions: Iterable[int]) -> None:
        """Forget partitions that another worker has now."""
        for partition in partitions:
            self._open.pop(partition, None)
            self._ended.pop(partition, None)

    def open_on(self, partition: int) -> dict[str, T]:
        """Return what is kept of the captures that are open on a partition, by capture id."""
        return dict(self._open.get(partition, {}))

    def ended_on(self, partition: int) -> list[str]:
        """Return the captures that are remembered to have ended on a partition, oldest first."""
        return list(self._ended.get(partition, ()))

    def restore(self, partition: int, opened: dict[str, T], ended: Iterable[str]) -> None:
        """Take over what ``open_on`` and ``ended_on`` returned."""
        self._open[partition] = dict(opened)
        self._ended[partition] = dict.fromkeys(ended)
