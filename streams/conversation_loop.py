"""The two loops over packets: one gives them their conversations, the other judges TCP."""

from __future__ import annotations

import numpy as np

from schemas.enums import DecodeStatus
from schemas.packets import NO_PROTOCOL
from streams.conversation_table import (
    CLOCK,
    CLOCK_WORD,
    DONE,
    FINGERPRINT,
    KEY_WORDS,
    LIVE,
    LIVE_SHIFT,
    PACKET_WORD,
    PACKETS,
    PORTS_WORD,
    SWEEP_AT,
    SWEEP_DUE,
    TABLE_FULL,
    TCP,
    UID_WORD,
    Columns,
    Results,
    State,
    UInt64s,
    conversation_uid,
    start_slot,
)
from streams.jit import kernel
from streams.octets import bare
from streams.tcp import analyse_segment
from streams.tcp_state import I64

_MIN_TCP_HEADER_BYTES = 20
_MALFORMED = int(DecodeStatus.MALFORMED_TRANSPORT)


@kernel
def _find(
    keys: UInt64s,
    table: UInt64s,
    mask: I64,
    uid: np.uint64,
    ports: np.uint64,
    src_high: np.uint64,
    src_low: np.uint64,
    dst_high: np.uint64,
    dst_low: np.uint64,
) -> tuple[I64, I64]:
    """Return a key's place in the table and its slot, -1 when it is not there; keys and table are bare."""
    place = np.int64(uid) & mask
    while table[place] != 0:
        if (table[place] ^ uid) >> np.uint64(32) == 0:
            slot = np.int64(table[place] & np.uint64(0xFFFFFFFF)) - 1
            key = slot * KEY_WORDS
            if (
                keys[key + PORTS_WORD] == ports
                and keys[key] == src_high
                and keys[key + 1] == src_low
                and keys[key + 2] == dst_high
                and keys[key + 3] == dst_low
            ):
                return place, slot
        place = (place + 1) & mask
    return place, -1


@kernel
def assign_conversations(
    columns: Columns, state: State, results: Results, first: I64, capacity: I64, idle_ns: I64
) -> tuple[I64, I64]:
    """Give packets their conversations and stop where the table needs care.

    Parameters
    ----------
    columns : Columns
        The batch, ``n`` packets.
    state : State
        Has ``n - first`` free slots.
    results : Results
        As ``blank_results`` made it; filled from ``first`` on.
    first : int
        Packet to begin with.
    capacity : int
        Live conversations at most.
    idle_ns : int
        A conversation not heard of for longer has ended, ns.

    Returns
    -------
    reason : int
        DONE, TABLE_FULL, SWEEP_DUE, or minus the slot less one of a conversation found idle.
    stop : int
        Packet to go on with.
    """
    counters, keys, table = state.counters, bare(state.keys), bare(state.table)
    mask = np.int64(len(state.table) - 1)
    clock_ns = counters[CLOCK]
    for i in range(first, len(columns.ts_ns)):
        clock_ns = max(clock_ns, columns.ts_ns[i])
        counters[CLOCK] = clock_ns
        protocol = np.uint64(columns.protocol[i])
        src_high, src_low = columns.src_ip[i, 0], columns.src_ip[i, 1]
        dst_high, dst_low = columns.dst_ip[i, 0], columns.dst_ip[i, 1]
        # Without IP, only ARP has addresses; those are IPv4, in the low halves.
        if protocol == NO_PROTOCOL and (src_low == 0 or dst_low == 0):
            continue
        if clock_ns >= counters[SWEEP_AT]:
            return SWEEP_DUE, i
        src_port, dst_port = np.uint64(columns.src_port[i]), np.uint64(columns.dst_port[i])
        uid = conversation_uid(src_high, src_low, src_port, dst_high, dst_low, dst_port, protocol)
        kind = (np.uint64(1) << np.uint64(LIVE_SHIFT)) | (protocol << np.uint64(32))
        ports = kind | (dst_port << np.uint64(16)) | src_port
        place, slot = _find(keys, table, mask, uid, ports, src_high, src_low, dst_high, dst_low)
        is_forward = True
        if slot < 0:
            turned = kind | (src_port << np.uint64(16)) | dst_port
            place, slot = _find(keys, table, mask, uid, turned, dst_high, dst_low, src_high, src_low)
            is_forward = bool(slot < 0)
        if slot < 0:
            if counters[LIVE] >= capacity:
                return TABLE_FULL, i
            slot = start_slot(state)
            table[place] = (uid & FINGERPRINT) | np.uint64(slot + 1)
            key = slot * KEY_WORDS
            keys[key], keys[key + 1], keys[key + 2], keys[key + 3] = src_high, src_low, dst_high, dst_low
            keys[key + UID_WORD], keys[key + PORTS_WORD] = uid, ports
        elif clock_ns - np.int64(keys[slot * KEY_WORDS + CLOCK_WORD]) > idle_ns:
            return -1 - slot, i
        counters[PACKETS] += 1
        keys[slot * KEY_WORDS + CLOCK_WORD] = np.uint64(clock_ns)
        keys[slot * KEY_WORDS + PACKET_WORD] = np.uint64(counters[PACKETS])
        results.conversation[i] = slot
        results.uid[i] = uid
        results.is_forward[i] = is_forward
    return DONE, len(columns.ts_ns)


@kernel
def analyse_packets(columns: Columns, state: State, results: Results, first: I64, stop: I64) -> None:
    """Judge the whole TCP segments among packets ``first`` to ``stop``, whose conversations are known.

    Fragments are left out, as the length of their segment is not known, and so are headers that contradict
    themselves. ``state`` has ``stop - first`` free rows for segments.
    """
    segments, pool = bare(state.segments), bare(state.pool)
    for i in range(first, stop):
        if (
            columns.protocol[i] != TCP
            or columns.fragment[i] != 0
            or columns.l4_header_bytes[i] < _MIN_TCP_HEADER_BYTES
            or columns.decode_status[i] == _MALFORMED
        ):
            continue
        slot = np.int64(results.conversation[i])
        sender = 2 * slot + (0 if results.is_forward[i] else 1)
        verdicts, ack_rtt_ns, initial_rtt_ns = analyse_segment(
            state.flows[sender],
            state.flows[sender ^ 1],
            state.handshakes[slot],
            segments,
            pool,
            columns.ts_ns[i],
            np.int64(columns.tcp_seq[i]),
            np.int64(columns.tcp_ack[i]),
            np.int64(columns.payload_bytes[i]),
            np.int64(columns.tcp_flags[i]),
            np.int64(columns.tcp_window_bytes[i]),
            np.int64(columns.tcp_window_scale[i]),
        )
        results.analysis[i] = verdicts
        results.ack_rtt_ns[i] = ack_rtt_ns
        results.initial_rtt_ns[i] = initial_rtt_ns
