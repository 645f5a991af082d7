"""Merges the partial windows of all partitions of a capture into its windows."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from streams.partials import (
    PARTIAL_SCHEMA,
    PartialWindow,
    empty_partial,
    merge_partials,
    partials_from_arrow,
    partials_to_arrow,
)
from streams.snapshots import Snapshot, Value
from streams.wire import decode_table, encode_table

MAX_EMPTY_RUN = 8_640
"""Empty windows in a row that are reported (a day of 10 s windows): a jump of the capture's clock
must not fill the store."""

HOT_WINDOWS = 128
"""Merged windows kept in memory for late corrections; older ones wait in a temporary file."""

HOT_ROWS = 500_000
"""Rows (see ``PartialWindow.rows``) of the windows kept in memory, the newest one not counted: 64 MB."""


_KIND = "window merger 1"
_VALUES = ("keep_windows", "emitted_through", "records", "too_late")


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
        return _decode(row[0]) if row else None

    def put(self, partial: PartialWindow) -> None:
        """Keep a window, replacing what was known of it."""
        self._hot.pop(partial.window_id, None)
        self._hot[partial.window_id] = partial
        while len(self._hot) > self._hot_windows or sum(hot.rows for hot in self._older()) > HOT_ROWS:
            self._spill(self._hot.pop(next(iter(self._hot))))

    def forget_below(self, window_id: int) -> None:
        """Forget the windows with lower numbers."""
        for number in [number for number in self._hot if number < window_id]:
            del self._hot[number]
        self._cold.execute("DELETE FROM windows WHERE window_id < ?", (window_id,))

    def bodies(self) -> list[bytes]:
        """Return every window as an Arrow stream of one row, in order of numbers."""
        found: dict[int, bytes] = dict(self._cold.execute("SELECT window_id, body FROM windows"))
        found |= {number: _encode(partial) for number, partial in self._hot.items()}
        return [found[number] for number in sorted(found)]

    def close(self) -> None:
        """Forget everything."""
        self._hot.clear()
        self._cold.close()

    def _older(self) -> list[PartialWindow]:
        return list(self._hot.values())[:-1]

    def _spill(self, partial: PartialWindow) -> None:
        self._cold.execute("INSERT OR REPLACE INTO windows VALUES (?, ?)", (partial.window_id, _encode(partial)))


def _encode(partial: PartialWindow) -> bytes:
    return encode_table(partials_to_arrow([partial]))


def _decode(body: bytes) -> PartialWindow:
    return partials_from_arrow(decode_table(body, PARTIAL_SCHEMA))[0]


class WindowMerger:
    """The windows of one capture.

    A window is emitted once every partition has closed it, and again, with more packets, after
    each late correction.

    Parameters
    ----------
    partitions : int
        Partitions that the capture is spread over.
    keep_windows : int or None
        The newest emitted windows that can still be corrected; what comes for older ones is counted in ``too_late``
        and goes nowhere else. None keeps all, as a capture file asks for.
    """

    def __init__(self, partitions: int, keep_windows: int | None = None) -> None:
        self.keep_windows = keep_windows
        self.too_late = 0
        """Packets that came for a window that was no longer kept."""
        self.emitted_through = 0
        """Windows below this number have been emitted."""
        self.records = 0
        """Packets in all merged windows so far."""
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
            if partial.window_id < self._kept_from:
                self.too_late += partial.records
                continue
            self.records += partial.records
            known = self._archive.get(partial.window_id)
            self._archive.put(merge_partials([known, partial] if known else [partial]))
            is_late = partial.window_id < self.emitted_through
            (corrected if is_late else self._pending).add(partial.window_id)
        self._closed_through[partition] = max(self._closed_through[partition], closed_through)
        windows = [self._merged(number) for number in sorted(corrected)] + self._advance(min(self._closed_through))
        if windows:
            self._archive.forget_below(self._kept_from)
        return windows

    def snapshot(self) -> bytes:
        """Return the whole state, for ``restore``: the windows that are pending and those that are kept."""
        values: dict[str, Value] = {
            **{name: getattr(self, name) for name in _VALUES},
            "after_last_full": self._after_last_full,
            "closed_through": self._closed_through,
            "pending": sorted(self._pending),
        }
        return Snapshot(_KIND, values, self._archive.bodies()).to_bytes()

    @classmethod
    def restore(cls, snapshot: bytes) -> WindowMerger:
        """Return a merger that goes on where the one that was snapshot stopped.

        Raises
        ------
        WireError
            When the bytes are no snapshot of this version.
        """
        found = Snapshot.from_bytes(snapshot, _KIND)
        values: dict[str, Any] = found.values
        merger = cls(len(values["closed_through"]), values["keep_windows"])
        for name in _VALUES:
            setattr(merger, name, values[name])
        merger._after_last_full, merger._closed_through = values["after_last_full"], values["closed_through"]
        merger._pending = set(values["pending"])
        for body in found.bodies:
            merger._archive.put(_decode(body))
        return merger

    @property
    def _kept_from(self) -> int:
        """Windows below this number are not kept."""
        return 0 if self.keep_windows is None else self.emitted_through - self.keep_windows

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
