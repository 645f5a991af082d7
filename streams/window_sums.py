"""Sums of one batch by window: what surrounds the kernel that adds them up."""

from __future__ import annotations

import numpy as np

from streams.arrays import Int64s
from streams.conversations import ConversationTracker, Tracked
from streams.name_lookup import NAMES
from streams.names import NAME_TABLES
from streams.packets import Packets
from streams.partials import N_STATUSES, N_VERDICTS, NO_FIRST, NO_LAST, Count
from streams.window_conversations import WORDS
from streams.window_kernel import BatchSums, PacketColumns, Scratch, WindowTimes, sum_batch


class BatchSummer:
    """Sums batches; keeps its scratch memory between them."""

    def __init__(self, times: WindowTimes) -> None:
        self._times = times
        nothing = np.zeros(0, np.int64)
        self._scratch = Scratch(
            newest=nothing,
            rows=np.zeros((0, WORDS), np.int64),
            echoes=np.zeros((0, WORDS), np.int64),
            row_windows=nothing,
            echo_windows=nothing,
            names=np.zeros(len(NAME_TABLES.names), np.int32),
            protocols=np.zeros(256, np.int32),
        )

    def sums(
        self, packets: Packets, tracked: Tracked, tracker: ConversationTracker, window: Int64s, window_ids: Int64s
    ) -> BatchSums:
        """Return what a batch adds.

        Parameters
        ----------
        tracker : ConversationTracker
            As it stands behind this batch; what it remembers for windows is brought up to date.
        window : ndarray of int64, shape (n_packets,)
            Each packet's position in ``window_ids``.
        window_ids : ndarray of int64, shape (n_windows,)
            Numbers of the distinct windows.
        """
        n_packets = len(packets.ts_ns)
        self._make_room(n_packets, len(tracker.keys))
        columns = PacketColumns(
            window=window,
            ts_ns=packets.ts_ns,
            lag_ns=packets.lag_ns,
            length_bytes=packets.length_bytes,
            decode_status=packets.decode_status,
            protocol=packets.protocol,
            ether_type=packets.ether_type,
            src_port=packets.src_port,
            dst_port=packets.dst_port,
            fragment=packets.fragment,
            tcp_flags=packets.tcp_flags,
            icmp_type=packets.icmp_type,
            payload_bytes=packets.payload_bytes,
            conversation=tracked.conversation,
            is_forward=tracked.is_forward,
            analysis=tracked.analysis,
            ack_rtt_ns=tracked.ack_rtt_ns,
            initial_rtt_ns=tracked.initial_rtt_ns,
        )
        scratch = self._scratch
        sums = _empty_sums(n_packets, len(window_ids), scratch)
        n_rows, n_echoes, n_names, n_protocols = sum_batch(
            columns, window_ids, self._times, NAMES, tracker.keys, tracker.histories, scratch, sums
        )
        return sums._replace(
            names=sums.names[:n_names],
            protocols=sums.protocols[:n_protocols],
            rows=scratch.rows[:n_rows],
            row_windows=scratch.row_windows[:n_rows],
            echoes=scratch.echoes[:n_echoes],
            echo_windows=scratch.echo_windows[:n_echoes],
        )

    def _make_room(self, n_packets: int, n_slots: int) -> None:
        scratch = self._scratch
        if len(scratch.newest) < n_slots:
            scratch = scratch._replace(newest=np.zeros(n_slots, np.int64))
        if len(scratch.rows) < n_packets:
            scratch = scratch._replace(
                rows=np.empty((n_packets, WORDS), np.int64),
                echoes=np.empty((n_packets, WORDS), np.int64),
                row_windows=np.empty(n_packets, np.int64),
                echo_windows=np.empty(n_packets, np.int64),
            )
        for newest in (scratch.newest, scratch.names, scratch.protocols):
            newest.fill(-1)
        self._scratch = scratch


def _empty_sums(n_packets: int, n_windows: int, scratch: Scratch) -> BatchSums:
    return BatchSums(
        counts=np.zeros((n_windows, len(Count)), np.int64),
        statuses=np.zeros((n_windows, N_STATUSES), np.int64),
        verdicts=np.zeros((n_windows, N_VERDICTS), np.int64),
        first_ts_ns=np.full(n_windows, NO_FIRST, np.int64),
        last_ts_ns=np.full(n_windows, NO_LAST, np.int64),
        names=np.empty((n_packets, 4), np.int64),
        protocols=np.empty((n_packets, 4), np.int64),
        rows=scratch.rows,
        row_windows=scratch.row_windows,
        echoes=scratch.echoes,
        echo_windows=scratch.echo_windows,
    )
