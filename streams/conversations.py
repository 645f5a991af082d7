"""Conversations: which packets talk to each other, and what TCP did in them.

ARP packets have conversations, too, with ``NO_PROTOCOL``: who asked for whom, and was answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from schemas.packets import IP_ADDRESS, PACKET_COLUMNS
from streams.conversation_loop import analyse_packets, assign_conversations
from streams.conversation_snapshot import dump_state, load_state
from streams.conversation_state import blank_results, blank_state, grow_state
from streams.conversation_table import (
    CLOCK,
    EVICTED,
    KEY,
    LIVE,
    LIVE_SHIFT,
    PACKET_WORD,
    PORTS_WORD,
    SWEEP_AT,
    SWEEP_DUE,
    TABLE_FULL,
    TOP,
    Columns,
    evict,
    rebuild_table,
    release_slot,
    reuse_retired,
)
from streams.packets import Packets
from streams.tcp_state import I64

DEFAULT_CAPACITY = 1 << 18
"""Live conversations at most: about 60 MB of state."""

DEFAULT_IDLE_NS = 86_400 * 1_000_000_000
"""A day: longer than a TCP connection is usefully quiet (RFC 5382 asks a NAT to keep one for 2 h 4 min)."""

EVICTED_SHARE = 8
"""When full, this part of the capacity is evicted at once, so that making room is rare."""

_LAST_NS = (1 << 63) - 1

_COLUMN_DTYPES: dict[str, DTypeLike] = {
    column.name: np.uint64 if column.arrow == IP_ADDRESS else column.arrow.to_pandas_dtype()
    for column in PACKET_COLUMNS
    if column.name in Columns._fields
}


@dataclass(frozen=True)
class Tracked:
    """What tracking says of a batch, one element per packet.

    Attributes
    ----------
    conversation : ndarray of int32, shape (n_packets,)
        Slot of the conversation, -1 without addresses; it names the conversation as long as that lives.
    uid : ndarray of uint64, shape (n_packets,)
        Hash of addresses, ports and protocol: the same in both directions, in every partition and process.
        0 without addresses.
    is_forward : ndarray of bool, shape (n_packets,)
        Whether the packet goes the same way as the first one of its conversation; False without one.
    analysis : ndarray of uint16, shape (n_packets,)
        Bits of ``TcpAnalysis``.
    ack_rtt_ns : ndarray of int64, shape (n_packets,)
        Round trip measured by this acknowledgement (``tcp.analysis.ack_rtt``), ns. Negative means none: -1,
        or the difference itself where the capture's time runs backwards.
    initial_rtt_ns : ndarray of int64, shape (n_packets,)
        Round trip of the handshake that this packet completes (``tcp.analysis.initial_rtt``), ns; else -1.
    """

    conversation: NDArray[np.int32]
    uid: NDArray[np.uint64]
    is_forward: NDArray[np.bool_]
    analysis: NDArray[np.uint16]
    ack_rtt_ns: NDArray[np.int64]
    initial_rtt_ns: NDArray[np.int64]


class ConversationTracker:
    """The conversations of one stream of packets.

    What it says of a packet depends only on the packets before it, in their order, not on how they were cut
    into batches. Only slot numbers may differ.

    Parameters
    ----------
    capacity : int
        Live conversations at most. When one more begins, the eighth that was quiet for longest is evicted.
    idle_ns : int
        A conversation that was quiet for longer, by the newest event time seen, has ended, ns.

    Raises
    ------
    ValueError
        When capacity or idle_ns is not positive.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY, idle_ns: int = DEFAULT_IDLE_NS) -> None:
        if capacity < 1 or idle_ns < 1:
            raise ValueError(f"capacity {capacity} and idle_ns {idle_ns} must be positive")
        self.capacity = capacity
        self.idle_ns = idle_ns
        self._state = blank_state()

    @property
    def live(self) -> int:
        """Conversations in the table."""
        return int(self._state.counters[LIVE])

    @property
    def evicted(self) -> int:
        """Conversations ended for being idle or for want of room, since the beginning."""
        return int(self._state.counters[EVICTED])

    @property
    def _keys(self) -> NDArray[np.void]:
        return self._state.keys.view(KEY)[:, 0]

    @property
    def src_ip(self) -> NDArray[np.uint8]:
        """Source address of the first packet, by slot; shape (slots, 16)."""
        return self._keys["src_ip"]

    @property
    def dst_ip(self) -> NDArray[np.uint8]:
        """Destination address of the first packet, by slot; shape (slots, 16)."""
        return self._keys["dst_ip"]

    @property
    def src_port(self) -> NDArray[np.uint16]:
        """Source port of the first packet, by slot; shape (slots,)."""
        return self._keys["src_port"]

    @property
    def dst_port(self) -> NDArray[np.uint16]:
        """Destination port of the first packet, by slot; shape (slots,)."""
        return self._keys["dst_port"]

    @property
    def protocol(self) -> NDArray[np.uint8]:
        """IANA protocol number, by slot; shape (slots,)."""
        return self._keys["protocol"]

    @property
    def uid(self) -> NDArray[np.uint64]:
        """Hash naming the conversation, by slot; shape (slots,)."""
        return self._keys["uid"]

    @property
    def keys(self) -> NDArray[np.uint64]:
        """Keys by slot as words; see ``conversation_table.KEY``; shape (slots, 8)."""
        return self._state.keys

    @property
    def histories(self) -> NDArray[np.int64]:
        """What windows remember of each conversation, by slot; they write it; shape (slots, 4)."""
        return self._state.histories

    def track(self, batch: Packets) -> Tracked:
        """Take the next packets into account and say what they are.

        Parameters
        ----------
        batch : Packets
            In file order within each conversation; event time may run backwards.

        Returns
        -------
        Tracked
            One element per packet. Its slots index the arrays by slot, to be read before the next call.
        """
        columns = _columns_of(batch)
        n_packets = len(columns.ts_ns)
        results = blank_results(n_packets)
        reuse_retired(self._state)
        self._state = grow_state(self._state, n_packets)
        done: I64 = 0
        while done < n_packets:
            first = done
            reason, done = assign_conversations(columns, self._state, results, first, self.capacity, self.idle_ns)
            analyse_packets(columns, self._state, results, first, done)
            if reason < 0:
                release_slot(self._state, -1 - reason)
                rebuild_table(self._state)
            elif reason == SWEEP_DUE:
                self._sweep()
            elif reason == TABLE_FULL:
                self._make_room()
        return Tracked(*results)

    def snapshot(self) -> bytes:
        """Return the whole state, for ``restore``."""
        reuse_retired(self._state)
        return dump_state(self._state, self.capacity, self.idle_ns)

    @classmethod
    def restore(cls, snapshot: bytes) -> ConversationTracker:
        """Return a tracker that goes on where the one that was snapshot stopped.

        Raises
        ------
        WireError
            When the bytes are no snapshot of this version.
        """
        state, capacity, idle_ns = load_state(snapshot)
        tracker = cls(capacity, idle_ns)
        tracker._state = state
        return tracker

    def _sweep(self) -> None:
        """Evict what is idle; look again when a quarter of the time has passed."""
        counters = self._state.counters
        clock_ns = int(counters[CLOCK])
        evict(self._state, max(clock_ns - self.idle_ns, -_LAST_NS), 0)
        counters[SWEEP_AT] = min(clock_ns + max(self.idle_ns // 4, 1), _LAST_NS)

    def _make_room(self) -> None:
        """Evict the conversations that were quiet for longest, counted in packets."""
        keys = self._state.keys[: self._state.counters[TOP]]
        is_live = keys[:, PORTS_WORD] >> LIVE_SHIFT != 0
        last_packets = keys[is_live, PACKET_WORD].astype(np.int64)
        evicted = max(1, self.capacity // EVICTED_SHARE)
        before_packet = int(np.partition(last_packets, evicted - 1)[evicted - 1]) + 1
        evict(self._state, -_LAST_NS, before_packet)


def _column(values: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return a column in the one memory layout that the kernels are compiled for: aligned and read-only."""
    column = np.require(values, dtype, ["C", "A"]).view()
    column.flags.writeable = False
    return column


def _columns_of(batch: Packets) -> Columns:
    """Return the columns that tracking reads."""
    columns = {}
    for name, dtype in _COLUMN_DTYPES.items():
        values = getattr(batch, name)
        if values.ndim == 2:
            values = np.require(values, np.uint8, ["C"]).view(np.uint64)
        columns[name] = _column(values, dtype)
    return Columns(**columns)
