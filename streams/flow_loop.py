"""The loop over packets: finds their flows, ends and begins them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from schemas.enums import Fragment
from schemas.packets import NO_PROTOCOL
from schemas.protocols import TCP, UDP
from streams.flow_state import (
    CLOCK,
    CLOCK_WORD,
    CORRECTED,
    ENDED,
    FIN_END,
    GOES_ON,
    HASH_WORD,
    KEY_WORDS,
    LIVE,
    LIVE_SHIFT,
    PACKET_WORD,
    PACKETS,
    PORTS_WORD,
    SKIPPED,
    TIMEOUT_END,
    VLAN_SHIFT,
    WINDOW,
    WINDOW_END,
    Columns,
    State,
    Written,
)
from streams.flow_table import (
    FINGERPRINT,
    find_slot,
    is_interim_due,
    key_hash,
    quiet_end,
    take_slot,
    write_interim,
    write_record,
)
from streams.flow_update import add_packet, start_flow
from streams.jit import kernel
from streams.octets import bare
from streams.tcp_state import ACK, FIN, I64, SYN, Record, Words

DONE, TABLE_FULL, WRITTEN_FULL = 0, 1, 2
"""Why metering stopped."""

MAX_RECORDS_PER_PACKET = 3
"""An interim record, one of the flow that a packet cuts, and in the compatible modes one of that which it completes."""

_NO_FRAGMENT = Fragment.NONE.value
_LIVE = np.uint64(1 << LIVE_SHIFT)


class Limits(NamedTuple):
    """What kernels know of ``FlowRules`` and of the windows."""

    mode: I64
    capacity: I64
    total_us: I64
    idle_ns: I64
    linger_ns: I64
    activity_us: I64
    window_ns: I64
    origin_ns: I64


@kernel
def move_clock(counters: Words, clock_ns: I64, window_ns: I64, origin_ns: I64) -> None:
    """Move the capture's clock, and with it the current window."""
    counters[CLOCK] = max(counters[CLOCK], clock_ns)
    if counters[CLOCK] >= counters[WINDOW_END]:
        counters[WINDOW] = max(0, (counters[CLOCK] - origin_ns) // window_ns)
        counters[WINDOW_END] = origin_ns + (counters[WINDOW] + 1) * window_ns


@kernel
def _ordered(
    src_high: np.uint64, src_low: np.uint64, src_port: I64, dst_high: np.uint64, dst_low: np.uint64, dst_port: I64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, bool]:
    """Return the addresses and ports of a packet, the lower endpoint first, and whether they had to be turned."""
    is_turned = src_high > dst_high or (
        src_high == dst_high and (src_low > dst_low or (src_low == dst_low and src_port > dst_port))
    )
    if is_turned:
        return dst_high, dst_low, src_high, src_low, np.uint64(src_port << 16 | dst_port), True
    return src_high, src_low, dst_high, dst_low, np.uint64(dst_port << 16 | src_port), False


@kernel
def _cut(flow: Record, packet: Record, total_us: I64) -> I64:
    """Return why a flow ended with this packet's coming, or GOES_ON: it begins anew, or has lasted for too long."""
    closing = np.int64(flow.closing)
    if closing != GOES_ON and packet.flags & SYN:
        return closing
    if packet.ts_us - flow.start_us > total_us:
        return closing if closing != GOES_ON else TIMEOUT_END
    return GOES_ON


@kernel
def _ending(flow: Record, packet: Record, quiet_ns: I64, limits: Limits) -> tuple[I64, I64]:
    """Return why the flow of a packet ended before it, or GOES_ON; and the same, if it was this packet that cut it."""
    closing = np.int64(flow.closing)
    if closing == ENDED:
        return ENDED, GOES_ON
    reason = quiet_end(closing, quiet_ns, limits.idle_ns, limits.linger_ns)
    if reason != GOES_ON:
        return reason, GOES_ON
    cut = _cut(flow, packet, limits.total_us)
    return cut, cut


@kernel
def _begin_next(flow: Record, packet: Record, cut: I64, is_tcp: bool, is_turned: bool, mode: I64) -> None:
    """Begin the flow after one that ended, in its place.

    After a time-out forward stays forward: in the corrected mode for TCP only, and also when an ended connection is
    followed by a SYN-ACK; in the compatible modes always, where the first packet counts as forward all the same.
    After a flow that was quiet for too long nothing of it is left: a sweep may have taken it.
    """
    old_turned = bool(flow.is_turned != 0)
    is_kept = bool(cut == TIMEOUT_END)
    if mode == CORRECTED:
        is_kept = is_tcp and (is_kept or bool(cut != GOES_ON and packet.flags & (SYN | ACK) == SYN | ACK))
    if is_kept:
        start_flow(flow, packet, mode, mode != CORRECTED or is_turned == old_turned, old_turned)
    else:
        start_flow(flow, packet, mode, True, is_turned)


@kernel
def _open_slot(
    state: State, place: I64, hashed: np.uint64, ports: np.uint64, low_high: np.uint64, low_low: np.uint64,
    high_high: np.uint64, high_low: np.uint64,
) -> I64:  # fmt: skip
    """Return a slot for a new key, which is entered in the table."""
    slot = take_slot(state)
    state.table[place] = (hashed & FINGERPRINT) | np.uint64(slot + 1)
    key = state.keys[slot]
    key[0], key[1], key[2], key[3] = low_high, low_low, high_high, high_low
    key[PORTS_WORD], key[HASH_WORD] = ports, hashed
    return slot


@kernel
def _fill(packet: Record, columns: Columns, i: I64, mode: I64) -> None:
    """Fill the packet under way; sizes and flags are 0 for protocols that CICFlowMeter does not read."""
    is_tcp = columns.protocol[i] == TCP
    has_header = is_tcp or columns.protocol[i] == UDP
    packet.ts_ns, packet.ts_us = columns.ts_ns[i], columns.ts_ns[i] // 1000
    packet.wire_bytes, packet.frame = columns.length_bytes[i], columns.frame[i]
    packet.icmp_type, packet.icmp_code = columns.icmp_type[i], columns.icmp_code[i]
    packet.payload = columns.payload_bytes[i] if has_header else 0
    packet.header_bytes = columns.l4_header_bytes[i] if has_header else 0
    packet.flags = columns.tcp_flags[i] if is_tcp else 0
    packet.window_bytes = columns.tcp_window_bytes[i] if is_tcp else (0 if mode == CORRECTED else -1)


@kernel
def _turn_over(
    state: State, written: Written, rows: I64, slot: I64, packet: Record, is_tcp: bool, is_turned: bool, limits: Limits
) -> I64:
    """Write what is due of the flow of a packet, and end or complete it; return the row behind the records."""
    flow, clock_ns = state.flows[slot], state.counters[CLOCK]
    if is_interim_due(flow, state.counters[WINDOW]):
        rows = write_interim(state, written, rows, slot)
    reason, cut = _ending(flow, packet, clock_ns - np.int64(state.keys[slot, CLOCK_WORD]), limits)
    if reason == GOES_ON:
        add_packet(flow, packet, limits.mode, is_turned == bool(flow.is_turned != 0), limits.activity_us)
        if limits.mode != CORRECTED and packet.flags & FIN:
            flow.window = state.counters[WINDOW]
            rows = write_record(state, written, rows, slot, FIN_END)
            flow.closing = ENDED
        return rows
    if reason != ENDED:
        rows = write_record(state, written, rows, slot, reason)
    _begin_next(flow, packet, cut, is_tcp, is_turned, limits.mode)
    return rows


@kernel
def _is_plain(flow: Record, packet: Record, quiet_ns: I64, window: I64, limits: Limits) -> bool:
    """Return whether a packet only adds to its flow, as nearly all do: nothing is due and nothing ends."""
    is_open = flow.closing == GOES_ON and quiet_ns <= limits.idle_ns
    is_open = is_open and packet.ts_us - flow.start_us <= limits.total_us
    return bool(is_open and flow.window >= window and (limits.mode == CORRECTED or packet.flags & FIN == 0))


@kernel
def meter_packets(columns: Columns, state: State, written: Written, first: I64, limits: Limits) -> tuple[I64, I64, I64]:
    """Take packets in until the batch ends, the table is full or there is no room for records.

    Parameters
    ----------
    first : int
        Packet to begin with.

    Returns
    -------
    reason : int
        DONE, TABLE_FULL or WRITTEN_FULL.
    stop : int
        Packet to go on with.
    rows : int
        Records written.
    """
    # What is handed on for each packet goes without arrays; see ``bare``.
    counters, keys, table, flows = state.counters, bare(state.keys), bare(state.table), state.flows
    mask, packet = np.int64(len(state.table) - 1), state.packet[0]
    rows: I64 = 0
    for i in range(first, len(columns.ts_ns)):
        if rows > len(written.reason) - MAX_RECORDS_PER_PACKET:
            return WRITTEN_FULL, i, rows
        clock_ns = columns.ts_ns[i] + columns.lag_ns[i]
        if clock_ns > counters[CLOCK]:
            move_clock(counters, clock_ns, limits.window_ns, limits.origin_ns)
        protocol = columns.protocol[i]
        if protocol == NO_PROTOCOL:
            counters[SKIPPED] += 1
            continue
        has_ports = columns.fragment[i] == _NO_FRAGMENT
        low_high, low_low, high_high, high_low, ports, is_turned = _ordered(
            columns.src_ip[i, 0],
            columns.src_ip[i, 1],
            np.int64(columns.src_port[i]) if has_ports else 0,
            columns.dst_ip[i, 0],
            columns.dst_ip[i, 1],
            np.int64(columns.dst_port[i]) if has_ports else 0,
        )
        ports |= (np.uint64(columns.vlan[i]) << np.uint64(VLAN_SHIFT)) | _LIVE | (np.uint64(protocol) << np.uint64(32))
        hashed = key_hash(low_high, low_low, high_high, high_low, ports)
        place, slot = find_slot(keys, table, mask, hashed, ports, low_high, low_low, high_high, high_low)
        if slot < 0 and counters[LIVE] >= limits.capacity:
            return TABLE_FULL, i, rows
        _fill(packet, columns, i, limits.mode)
        if slot < 0:
            slot = _open_slot(state, place, hashed, ports, low_high, low_low, high_high, high_low)
            start_flow(flows[slot], packet, limits.mode, True, is_turned)
        else:
            flow = flows[slot]
            quiet_ns = counters[CLOCK] - np.int64(keys[slot * KEY_WORDS + CLOCK_WORD])
            if _is_plain(flow, packet, quiet_ns, counters[WINDOW], limits):
                add_packet(flow, packet, limits.mode, is_turned == bool(flow.is_turned != 0), limits.activity_us)
            else:
                is_tcp = bool(protocol == TCP)
                rows = _turn_over(state, written, rows, slot, packet, is_tcp, is_turned, limits)
        counters[PACKETS] += 1
        keys[slot * KEY_WORDS + CLOCK_WORD] = np.uint64(counters[CLOCK])
        keys[slot * KEY_WORDS + PACKET_WORD] = np.uint64(counters[PACKETS])
        flows[slot].window = counters[WINDOW]
    return DONE, len(columns.ts_ns), rows
