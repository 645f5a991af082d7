"""Tumbling event-time windows of one partition of one capture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from streams.arrays import Int64s
from streams.conversations import ConversationTracker, Tracked
from streams.groups import GroupTable
from streams.packets import Packets
from streams.partials import (
    PARTIAL_SCHEMA,
    PartialWindow,
    empty_partial,
    merge_partials,
    partials_from_arrow,
    partials_to_arrow,
)
from streams.roundtrips import round_trips
from streams.snapshots import Snapshot, Value
from streams.window_conversations import ConversationTable, no_conversations, split_by_window
from streams.window_kernel import BatchSums, WindowTimes
from streams.window_sums import BatchSummer
from streams.wire import decode_table, encode_table

MAX_WINDOW_ID = 2**32 - 1
MAX_LOOSE_ROWS = 200_000
"""Rows of one open window held before its pieces are merged: bounds memory, not the result."""

_KIND = "partition windows 1"
_VALUES = ("window_ns", "origin_ns", "lateness_ns", "closed_through", "records")


class _OpenWindow:
    """One window while its packets come in: its conversations in one table, the rest in pieces.

    Parameters
    ----------
    partial : PartialWindow
        What is known of it.
    """

    def __init__(self, partial: PartialWindow) -> None:
        self.conversations = ConversationTable()
        self.conversations.add(partial.conversations)
        self._pieces = [replace(partial, conversations=no_conversations())]

    def put(self, piece: PartialWindow) -> None:
        """Add a piece, and merge the pieces once they are as many rows as what is merged already."""
        self._pieces.append(piece)
        if sum(piece.rows for piece in self._pieces[1:]) > max(MAX_LOOSE_ROWS, self._pieces[0].rows):
            self._pieces = [merge_partials(self._pieces)]

    def merged(self) -> PartialWindow:
        """Return what is known of it, as one partial window."""
        return replace(merge_partials(self._pieces), conversations=self.conversations.rows)


class PartitionWindows:
    """The windows of one partition of one capture, from its packets in order.

    A window closes when the capture's clock has passed its end by the allowed lateness; what
    comes later comes out as a further partial window, which merges like any other.

    Parameters
    ----------
    window_ns, origin_ns : int
        Size of a window and start of window 0, ns. Packets before the origin count in window 0.
    lateness_ns : int
        Allowed lateness, ns.
    """

    def __init__(self, window_ns: int, origin_ns: int, lateness_ns: int) -> None:
        self.window_ns = window_ns
        self.origin_ns = origin_ns
        self.lateness_ns = lateness_ns
        self.closed_through = 0
        """Windows below this number are closed."""
        self.records = 0
        """Packets fed so far."""
        self._tracker = ConversationTracker()
        self._summer = BatchSummer(WindowTimes(window_ns, origin_ns, lateness_ns))
        self._open: dict[int, _OpenWindow] = {}

    def feed(self, packets: Packets, clock_ns: int, sampling_rate: float = 1.0) -> list[PartialWindow]:
        """Take a batch in; return the partial windows that it closes or corrects.

        Parameters
        ----------
        packets : Packets
            The next packets of this partition, in the order of the capture; may be empty.
        clock_ns : int
            Newest event time of the whole capture so far, ns.
        sampling_rate : float
            Share of the flows that was kept of these packets.
        """
        if len(packets.ts_ns):
            self._add(packets, sampling_rate)
        return self.advance(clock_ns)

    def advance(self, clock_ns: int) -> list[PartialWindow]:
        """Close what the capture's clock has passed, without new packets; see ``feed``."""
        passed = (clock_ns - self.lateness_ns - self.origin_ns) // self.window_ns
        self.closed_through = max(self.closed_through, int(min(max(passed, 0), MAX_WINDOW_ID)))
        closed = sorted(window_id for window_id in self._open if window_id < self.closed_through)
        return [self._take(window_id) for window_id in closed]

    def flush(self) -> list[PartialWindow]:
        """Return everything still open, in order of windows."""
        return [self._take(window_id) for window_id in sorted(self._open)]

    def snapshot(self) -> bytes:
        """Return the whole state, for ``restore``."""
        values: dict[str, Value] = {name: getattr(self, name) for name in _VALUES}
        bodies = [encode_table(partials_to_arrow([window.merged()])) for window in self._open.values()]
        return Snapshot(_KIND, values, [self._tracker.snapshot(), *bodies]).to_bytes()

    @classmethod
    def restore(cls, snapshot: bytes) -> PartitionWindows:
        """Return an operator that goes on where the one that was snapshot stopped.

        Raises
        ------
        WireError
            When the bytes are no snapshot of this version.
        """
        found = Snapshot.from_bytes(snapshot, _KIND)
        values: dict[str, Any] = found.values
        operator = cls(values["window_ns"], values["origin_ns"], values["lateness_ns"])
        operator.closed_through, operator.records = values["closed_through"], values["records"]
        operator._tracker = ConversationTracker.restore(found.bodies[0])
        for body in found.bodies[1:]:
            (partial,) = partials_from_arrow(decode_table(body, PARTIAL_SCHEMA))
            operator._open[partial.window_id] = _OpenWindow(partial)
        return operator

    def _add(self, packets: Packets, sampling_rate: float) -> None:
        self.records += len(packets.ts_ns)
        tracked = self._tracker.track(packets)
        numbers = np.clip((packets.ts_ns - self.origin_ns) // self.window_ns, 0, MAX_WINDOW_ID)
        window_ids, window = _distinct(numbers)
        sums = self._summer.sums(packets, tracked, self._tracker, window, window_ids)
        for position, window_id in enumerate(window_ids.tolist()):
            partial = _partial(window_id, position, sums, tracked, window)
            self._opened(window_id).put(replace(partial, sampling_rate=sampling_rate))
        for position, rows in split_by_window(sums.rows, sums.row_windows).items():
            self._opened(int(window_ids[position])).conversations.add(rows)
        # Windows hear what became known of their conversations since.
        for window_id, echoes in split_by_window(sums.echoes, sums.echo_windows).items():
            if window_id >= self.closed_through:
                self._opened(window_id).conversations.add(echoes)

    def _opened(self, window_id: int) -> _OpenWindow:
        if window_id not in self._open:
            self._open[window_id] = _OpenWindow(empty_partial(window_id))
        return self._open[window_id]

    def _take(self, window_id: int) -> PartialWindow:
        return self._open.pop(window_id).merged()


def _distinct(numbers: Int64s) -> tuple[Int64s, Int64s]:
    """Return the distinct numbers in order, and each number's position among them."""
    offsets = numbers - numbers.min()
    span = int(offsets.max()) + 1
    if span > len(numbers):
        return np.unique(numbers, return_inverse=True)
    # Few windows, many packets: no need to sort.
    is_there = np.zeros(span, bool)
    is_there[offsets] = True
    return np.flatnonzero(is_there) + numbers.min(), (np.cumsum(is_there) - 1)[offsets]


def _partial(window_id: int, position: int, sums: BatchSums, tracked: Tracked, window: Int64s) -> PartialWindow:
    """Return what a batch adds to a window, conversations left out."""
    names = sums.names[sums.names[:, 0] == position]
    protocols = sums.protocols[sums.protocols[:, 0] == position]
    rtts = tracked.ack_rtt_ns[(tracked.ack_rtt_ns >= 0) & (window == position)]
    return PartialWindow(
        window_id=window_id,
        counts=sums.counts[position],
        first_ts_ns=int(sums.first_ts_ns[position]),
        last_ts_ns=int(sums.last_ts_ns[position]),
        rtt_max_ns=int(rtts.max(initial=-1)),
        sampling_rate=1.0,
        statuses=sums.statuses[position],
        verdicts=sums.verdicts[position],
        names=GroupTable.of([names[:, 1]], [names[:, 2], names[:, 3]]),
        protocols=GroupTable.of([protocols[:, 1]], [protocols[:, 2], protocols[:, 3]]),
        conversations=no_conversations(),
        rtts=round_trips(rtts),
    )
