"""The hash table from 5-tuples to slots, and the arrays of a conversation tracker."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streams.jit import kernel
from streams.octets import bare
from streams.tcp_segments import drop_segments
from streams.tcp_state import I64, Records, Words, forget_flow

KEY = np.dtype(
    [
        ("src_ip", "u1", (16,)),
        ("dst_ip", "u1", (16,)),
        ("uid", "u8"),
        ("src_port", "u2"),
        ("dst_port", "u2"),
        ("protocol", "u1"),
        ("is_live", "u1"),
        ("unused", "u2"),
        ("last_clock_ns", "i8"),  # newest event time of all packets when its last packet came
        ("last_packet", "i8"),  # number of its last packet, from 1
    ]
)
"""A conversation's identity, in the direction of its first packet, and when it was last heard of."""

LIVE_SHIFT = 40
"""Where liveness begins in the word with the ports and the protocol."""

FINGERPRINT = np.uint64(0xFFFFFFFF00000000)
"""The part of the uid that an entry of the table repeats, so that a miss rarely costs a look at the key."""

KEY_WORDS = KEY.itemsize // 8
UID_WORD, PORTS_WORD, CLOCK_WORD, PACKET_WORD = 4, 5, 6, 7
"""A key as eight 64-bit words: two addresses of two, uid, then ports, protocol and liveness in one."""

CLOCK, PACKETS, LIVE, TOP, FREE, RETIRED, EVICTED, STARTED, SWEEP_AT = range(9)
"""Counters: newest event time in ns; packets with a conversation; live conversations; slots ever used; free
ones; retired ones; conversations evicted and started; clock value in ns at which idle ones are swept out."""

DONE, TABLE_FULL, SWEEP_DUE = 0, 1, 2
"""Why assigning stopped; a negative reason names a conversation that was found idle."""

HISTORY_FIRST, HISTORY_FLAGS, HISTORY_WINDOW, HISTORY_WINDOW_BEFORE = range(4)
HISTORY_WORDS = 4
"""What windows remember of a conversation (``window_kernel``): event time of its first packet, ns; flags of
``window_conversations.EVER``, 0 before the first packet; numbers of its last packet's window and of the one before."""

TCP = 6


UInt64s: TypeAlias = NDArray[np.uint64]


class Columns(NamedTuple):
    """The columns of a batch that tracking reads; addresses as ``uint64 (n, 2)``."""

    ts_ns: NDArray[np.int64]
    src_ip: UInt64s
    dst_ip: UInt64s
    src_port: NDArray[np.uint16]
    dst_port: NDArray[np.uint16]
    protocol: NDArray[np.uint8]
    fragment: NDArray[np.uint8]
    tcp_flags: NDArray[np.uint16]
    tcp_seq: NDArray[np.uint32]
    tcp_ack: NDArray[np.uint32]
    tcp_window_bytes: NDArray[np.uint16]
    tcp_window_scale: NDArray[np.uint8]
    payload_bytes: NDArray[np.uint32]
    l4_header_bytes: NDArray[np.uint8]
    decode_status: NDArray[np.uint8]


class State(NamedTuple):
    """Every array of a tracker; those by slot grow together.

    ``keys`` is ``uint64 (slots, 8)``, ``flows`` FLOW ``(2 * slots,)`` (forward, backward), ``handshakes``
    HANDSHAKE ``(slots,)``, ``segments`` int64 ``(rows, 2)``, ``pool`` int64 ``(3,)``, ``table`` uint64
    (power of two; high half of the uid above, slot + 1 below, 0 = empty), ``free`` and ``retired`` int32
    ``(slots,)`` stacks, ``counters`` int64 ``(9,)``, ``histories`` int64 ``(slots, 4)``.
    """

    keys: UInt64s
    flows: Records
    handshakes: Records
    segments: Words
    pool: Words
    table: UInt64s
    free: NDArray[np.int32]
    retired: NDArray[np.int32]
    counters: Words
    histories: Words


class Results(NamedTuple):
    """What the loop writes, one element per packet."""

    conversation: NDArray[np.int32]
    uid: UInt64s
    is_forward: NDArray[np.bool_]
    analysis: NDArray[np.uint16]
    ack_rtt_ns: NDArray[np.int64]
    initial_rtt_ns: NDArray[np.int64]


@kernel
def _mix(word: np.uint64) -> np.uint64:
    """Return a 64-bit word with its bits mixed (finalizer of SplitMix64, Steele et al. 2014)."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@kernel
def conversation_uid(
    src_high: np.uint64,
    src_low: np.uint64,
    src_port: np.uint64,
    dst_high: np.uint64,
    dst_low: np.uint64,
    dst_port: np.uint64,
    protocol: np.uint64,
) -> np.uint64:
    """Return the hash that names a conversation, the same for both directions and never 0.

    Each endpoint is hashed for itself, then the pair in order of size with the protocol. A port is spread over all bits
    before it is added, so that it cannot cancel out the difference between two addresses.
    """
    golden = np.uint64(0x9E3779B97F4A7C15)
    left = _mix((_mix(src_high + golden) ^ src_low) + src_port * golden)
    right = _mix((_mix(dst_high + golden) ^ dst_low) + dst_port * golden)
    uid = _mix(min(left, right) + golden * _mix(max(left, right) + protocol))
    return uid if uid != 0 else np.uint64(1)


@kernel
def release_slot(state: State, slot: I64) -> None:
    """End a conversation; its slot waits among the retired until the next call."""
    drop_segments(state.flows[2 * slot], bare(state.segments), bare(state.pool))
    drop_segments(state.flows[2 * slot + 1], bare(state.segments), bare(state.pool))
    state.keys[slot, PORTS_WORD] &= np.uint64((1 << LIVE_SHIFT) - 1)
    state.retired[state.counters[RETIRED]] = slot
    state.counters[RETIRED] += 1
    state.counters[LIVE] -= 1
    state.counters[EVICTED] += 1


@kernel
def reuse_retired(state: State) -> None:
    """Make the slots of ended conversations available again."""
    counters = state.counters
    for index in range(counters[RETIRED]):
        state.free[counters[FREE] + index] = state.retired[index]
    counters[FREE] += counters[RETIRED]
    counters[RETIRED] = 0


@kernel
def start_slot(state: State) -> I64:
    """Return a slot for a new conversation, its TCP state blank."""
    counters = state.counters
    if counters[FREE] > 0:
        counters[FREE] -= 1
        slot = np.int64(state.free[counters[FREE]])
    else:
        slot = counters[TOP]
        counters[TOP] += 1
    counters[LIVE] += 1
    counters[STARTED] += 1
    forget_flow(state.flows[2 * slot])
    forget_flow(state.flows[2 * slot + 1])
    state.handshakes[slot].syn_ts_ns = 0
    state.handshakes[slot].initial_rtt_ns = 0
    state.handshakes[slot].is_told = 0
    state.histories[slot, HISTORY_FLAGS] = 0
    return slot


@kernel
def rebuild_table(state: State) -> None:
    """Write the table anew from the live conversations."""
    table = state.table
    mask = np.int64(len(table) - 1)
    table[:] = 0
    for slot in range(state.counters[TOP]):
        if state.keys[slot, PORTS_WORD] >> np.uint64(LIVE_SHIFT) != 0:
            uid = state.keys[slot, UID_WORD]
            place = np.int64(uid) & mask
            while table[place] != 0:
                place = (place + 1) & mask
            table[place] = (uid & FINGERPRINT) | np.uint64(slot + 1)


@kernel
def evict(state: State, before_clock_ns: I64, before_packet: I64) -> None:
    """End the conversations last heard of before a clock value or before a packet, and rebuild the table."""
    for slot in range(state.counters[TOP]):
        is_live = state.keys[slot, PORTS_WORD] >> np.uint64(LIVE_SHIFT) != 0
        clock_ns = np.int64(state.keys[slot, CLOCK_WORD])
        packet = np.int64(state.keys[slot, PACKET_WORD])
        if is_live and (clock_ns < before_clock_ns or packet < before_packet):
            release_slot(state, slot)
    rebuild_table(state)
