"""Tumbling event-time windows of one partition of one capture."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from streams.arrays import Int64s
from streams.conversations import ConversationTracker, Tracked
from streams.groups import GroupTable
from streams.packets import Packets
from streams.partials import PartialWindow, merge_partials
from streams.roundtrips import round_trips
from streams.window_kernel import BatchSummer, BatchSums

MAX_WINDOW_ID = 2**32 - 1
MAX_LOOSE_ROWS = 200_000
"""Rows of one open window held before its pieces are merged: bounds memory, not the result."""


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
        self._summer = BatchSummer(lateness_ns)
        self._open: defaultdict[int, list[PartialWindow]] = defaultdict(list)

    def feed(self, packets: Packets, clock_ns: int) -> list[PartialWindow]:
        """Take a batch in; return the partial windows that it closes or corrects.

        Parameters
        ----------
        packets : Packets
            The next packets of this partition, in the order of the capture; may be empty.
        clock_ns : int
            Newest event time of the whole capture so far, ns.
        """
        if len(packets.ts_ns):
            self._add(packets)
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

    def _add(self, packets: Packets) -> None:
        self.records += len(packets.ts_ns)
        tracked = self._tracker.track(packets)
        numbers = np.clip((packets.ts_ns - self.origin_ns) // self.window_ns, 0, MAX_WINDOW_ID)
        window_ids, window = np.unique(numbers, return_inverse=True)
        ends_ns = self.origin_ns + (window_ids + 1) * self.window_ns
        sums = self._summer.sums(packets, tracked, window, ends_ns, len(self._tracker.uid))
        for position, window_id in enumerate(window_ids.tolist()):
            pieces = self._open[window_id]
            pieces.append(self._partial(window_id, position, sums, tracked, window))
            if sum(piece.rows for piece in pieces) > MAX_LOOSE_ROWS:
                self._open[window_id] = [merge_partials(pieces)]

    def _partial(
        self, window_id: int, position: int, sums: BatchSums, tracked: Tracked, window: Int64s
    ) -> PartialWindow:
        conversations = sums.conversations[sums.conversations[:, 0] == position]
        names = sums.names[sums.names[:, 0] == position]
        protocols = sums.protocols[sums.protocols[:, 0] == position]
        rtts = tracked.ack_rtt_ns[(tracked.ack_rtt_ns >= 0) & (window == position)]
        return PartialWindow(
            window_id=window_id,
            counts=sums.counts[position],
            first_ts_ns=int(sums.first_ts_ns[position]),
            last_ts_ns=int(sums.last_ts_ns[position]),
            rtt_max_ns=int(rtts.max(initial=-1)),
            statuses=sums.statuses[position],
            verdicts=sums.verdicts[position],
            names=GroupTable.of([names[:, 1]], [names[:, 2], names[:, 3]]),
            protocols=GroupTable.of([protocols[:, 1]], [protocols[:, 2], protocols[:, 3]]),
            hosts=self._hosts(conversations),
            conversations=self._conversations(conversations),
            rtts=round_trips(rtts),
        )

    def _hosts(self, records: Int64s) -> GroupTable:
        slot, forward, backward = records[:, 1], records[:, 2], records[:, 3]
        ends = [self._tracker.src_ip[slot], self._tracker.dst_ip[slot]]
        address = np.ascontiguousarray(np.concatenate(ends)).view(">u8").astype(np.uint64)
        sent = np.concatenate([forward, backward])
        received = np.concatenate([backward, forward])
        return GroupTable.of([address[:, 0], address[:, 1]], [sent, received])

    def _conversations(self, records: Int64s) -> GroupTable:
        uid = self._tracker.uid[records[:, 1]]
        return GroupTable.of([uid, records[:, 5]], flags=records[:, 4])

    def _take(self, window_id: int) -> PartialWindow:
        return merge_partials(self._open.pop(window_id))
