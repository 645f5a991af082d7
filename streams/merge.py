"""Merges the partial windows of all partitions of a capture into its windows."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from streams.partials import (
    PARTIAL_SCHEMA,
    PartialWindow,
    empty_partial,
    merge_partials,
    partials_from_arrow,
    partials_to_arrow,
)
from streams.wire import decode_table, encode_table

MAX_EMPTY_RUN = 8_640
"""Empty windows in a row that are reported (a day of 10 s windows): a jump of the capture's clock
must not fill the store."""

HOT_WINDOWS = 128
"""Merged windows kept in memory for late corrections; older ones wait in a temporary file."""


class WindowArchive:
    """Merged windows by number: the newest in memory, the others in a temporary file."""

    def __init__(self, hot_windows: int = HOT_WINDOWS) -> None:
        self._hot_windows = hot_windows
        self._hot: dict[int, PartialWindow] = {}
        self._cold = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._cold.execute("CREATE TABLE windows (window_id INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    def get(self, window_id: int) -> PartialWindow | None:
        """Return a window as merged so far, or None."""
        if window_id in self._hot:
            return self._hot[window_id]
        row = self._cold.execute("SELECT body FROM windows WHERE window_id = ?", (window_id,)).fetchone()
        return partials_from_arrow(decode_table(row[0], PARTIAL_SCHEMA))[0] if row else None

    def put(self, partial: PartialWindow) -> None:
        """Keep a window, replacing what was known of it."""
        self._hot.pop(partial.window_id, None)
        self._hot[partial.window_id] = partial
        if len(self._hot) > self._hot_windows:
            self._spill(self._hot.pop(next(iter(self._hot))))

    def close(self) -> None:
        """Forget everything."""
        self._hot.clear()
        self._cold.close()

    def _spill(self, partial: PartialWindow) -> None:
        body = encode_table(partials_to_arrow([partial]))
        self._cold.execute("INSERT OR REPLACE INTO windows VALUES (?, ?)", (partial.window_id, body))


class WindowMerger:
    """The windows of one capture.

    A window is emitted once every partition has closed it, and again, with more packets, after
    each late correction.

    Parameters
    ----------
    partitions : int
        Partitions that the capture is spread over.
    """

    def __init__(self, partitions: int) -> None:
        self.emitted_through = 0
        """Windows below this number have been emitted."""
        self.records = 0
        """Packets in all partial windows so far."""
        self._after_last_full = 0
        self._closed_through = [0] * partitions
        self._pending: set[int] = set()
        self._archive = WindowArchive()

    def feed(self, partition: int, closed_through: int, partials: Sequence[PartialWindow]) -> list[PartialWindow]:
        """Take partial windows of one partition in; return the merged windows they complete or correct.

        Parameters
        ----------
        closed_through : int
            The partition has closed all windows below this number.
        """
        corrected: set[int] = set()
        for partial in partials:
            self.records += partial.records
            known = self._archive.get(partial.window_id)
            self._archive.put(merge_partials([known, partial] if known else [partial]))
            is_late = partial.window_id < self.emitted_through
            (corrected if is_late else self._pending).add(partial.window_id)
        self._closed_through[partition] = max(self._closed_through[partition], closed_through)
        return [self._merged(number) for number in sorted(corrected)] + self._advance(min(self._closed_through))

    def finish(self) -> list[PartialWindow]:
        """Return what is still pending, and forget everything: the capture is over."""
        rest = self._advance(max(self._pending, default=self.emitted_through - 1) + 1)
        self._archive.close()
        return rest

    def _advance(self, through: int) -> list[PartialWindow]:
        windows = []
        for number in sorted(number for number in self._pending if number < through):
            windows += self._empty_through(number)
            windows.append(self._merged(number))
            self._pending.discard(number)
            self.emitted_through = self._after_last_full = number + 1
        windows += self._empty_through(through)
        return windows

    def _empty_through(self, through: int) -> list[PartialWindow]:
        """Return the empty windows up to ``through`` that have not been emitted and are reported at all."""
        last = min(through, self._after_last_full + MAX_EMPTY_RUN)
        empty = [empty_partial(number) for number in range(self.emitted_through, last)]
        self.emitted_through = max(self.emitted_through, through)
        return empty

    def _merged(self, number: int) -> PartialWindow:
        merged = self._archive.get(number)
        if merged is None:
            raise KeyError(f"window {number} is neither pending nor archived")
        return merged
