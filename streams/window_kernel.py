"""One pass over a batch: what each window, conversation, name and protocol gets from it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from schemas.enums import TcpAnalysis
from schemas.packets import NO_PROTOCOL
from schemas.protocols import TCP
from streams.arrays import Bools, Int32s, Int64s, UInt8s, UInt16s, UInt32s, UInt64s
from streams.conversation_rows import (
    add_packet,
    add_round_trip,
    add_segment,
    begin_row,
    flags_of,
    is_turned,
    raise_flags,
    window_before,
    write_echo,
)
from streams.jit import kernel
from streams.name_lookup import name_of
from streams.octets import bare
from streams.partials import Count
from streams.tcp_state import ACK, SYN

_RECORDS = int(Count.RECORDS)
_BYTES = int(Count.BYTES)
_SEGMENTS = int(Count.TCP_SEGMENTS)
_DATA_SEGMENTS = int(Count.TCP_DATA_SEGMENTS)
_LATE = int(Count.LATE)
_RTT_SUM = int(Count.RTT_SUM_NS)
_HANDSHAKES = int(Count.HANDSHAKES)
_HANDSHAKE_SUM = int(Count.HANDSHAKE_SUM_NS)
_RETRANSMISSIONS = int(Count.RETRANSMISSIONS)
_RETRANSMISSION = int(TcpAnalysis.RETRANSMISSION)
_REUSED_PORTS = int(TcpAnalysis.REUSED_PORTS)


class PacketColumns(NamedTuple):
    """The columns that the kernel reads, each of shape ``(n_packets,)``."""

    window: Int64s
    ts_ns: Int64s
    lag_ns: Int64s
    length_bytes: UInt32s
    decode_status: UInt8s
    protocol: UInt8s
    ether_type: UInt16s
    src_port: UInt16s
    dst_port: UInt16s
    fragment: UInt8s
    tcp_flags: UInt16s
    icmp_type: UInt8s
    payload_bytes: UInt32s
    conversation: Int32s
    is_forward: Bools
    analysis: UInt16s
    ack_rtt_ns: Int64s
    initial_rtt_ns: Int64s


class WindowTimes(NamedTuple):
    """When the windows are.

    Attributes
    ----------
    window_ns, origin_ns, lateness_ns : int
        Size of a window, start of window 0, allowed lateness, ns.
    """

    window_ns: int
    origin_ns: int
    lateness_ns: int


class Scratch(NamedTuple):
    """What is kept from batch to batch only so as not to be made anew.

    Attributes
    ----------
    newest : ndarray of int64, shape (n_slots,)
        Newest row of each conversation: position of the window (31 bits), row (32), whether the conversation's
        forward direction is from B to A (1); or -1.
    rows, echoes : ndarray of int64, shape (n_packets, WORDS)
        Rows of conversations, and those that tell earlier windows.
    row_windows : ndarray of int64, shape (n_packets,)
        Position of the window of each row.
    echo_windows : ndarray of int64, shape (n_packets,)
        Number of the window that each echo is for.
    names, protocols : ndarray of int32
        Where the newest record of each name and protocol stands, or -1.
    """

    newest: Int64s
    rows: Int64s
    echoes: Int64s
    row_windows: Int64s
    echo_windows: Int64s
    names: Int32s
    protocols: Int32s


class BatchSums(NamedTuple):
    """What one batch adds to each of its ``n_windows`` distinct windows.

    Attributes
    ----------
    counts, statuses, verdicts : ndarray of int64, shape (n_windows, …)
        Plain sums; see ``PartialWindow``.
    first_ts_ns, last_ts_ns : ndarray of int64, shape (n_windows,)
        Bounds of event time.
    names, protocols : ndarray of int64, shape (n_records, 4)
        Window, key, packets, bytes; a pair may stand twice.
    rows : ndarray of int64, shape (n_rows, WORDS)
        Rows of conversations, to be copied before the next batch; a conversation may stand twice.
    row_windows : ndarray of int64, shape (n_rows,)
        Position of the window of each row.
    echoes : ndarray of int64, shape (n_echoes, WORDS)
        Rows with flags that earlier windows are told about, to be copied as well.
    echo_windows : ndarray of int64, shape (n_echoes,)
        Numbers of those windows.
    """

    counts: Int64s
    statuses: Int64s
    verdicts: Int64s
    first_ts_ns: Int64s
    last_ts_ns: Int64s
    names: Int64s
    protocols: Int64s
    rows: Int64s
    row_windows: Int64s
    echoes: Int64s
    echo_windows: Int64s


_KEY_COLUMNS = 4
"""Columns of a record of names or protocols: window, key, packets, bytes."""


@kernel
def _add_to_key(records: Int64s, newest: Int32s, n: int, window: int, key: int, length: int) -> int:
    """Count one packet in the record of (window, key); return how many records there are now."""
    row = newest[key]
    if row < 0 or records[row * _KEY_COLUMNS] != window:
        row = n
        newest[key] = n
        at = row * _KEY_COLUMNS
        records[at], records[at + 1], records[at + 2], records[at + 3] = window, key, 0, 0
        n += 1
    records[row * _KEY_COLUMNS + 2] += 1
    records[row * _KEY_COLUMNS + 3] += length
    return n


@kernel
def sum_batch(
    columns: PacketColumns,
    window_ids: Int64s,
    times: WindowTimes,
    names: UInt16s,
    slot_keys: UInt64s,
    slot_histories: Int64s,
    scratch: Scratch,
    sums: BatchSums,
) -> tuple[int, int, int, int]:
    """Fill ``sums`` and the rows of ``scratch``; return how many rows, echoes, names and protocols there are."""
    n_rows = n_echoes = n_names = n_protocols = 0
    counts = sums.counts
    # What is handed on in the loop goes without its array; see ``bare``.
    name_table, name_records, newest_names = bare(names), bare(sums.names), bare(scratch.names)
    protocol_records, newest_protocols = bare(sums.protocols), bare(scratch.protocols)
    rows, echoes, newest = bare(scratch.rows), bare(scratch.echoes), bare(scratch.newest)
    keys, histories = bare(slot_keys), bare(slot_histories)
    for i in range(len(columns.ts_ns)):
        window, length, protocol = columns.window[i], int(columns.length_bytes[i]), columns.protocol[i]
        ts_ns = columns.ts_ns[i]
        window_id = window_ids[window]
        open_until_ns = times.origin_ns + (window_id + 1) * times.window_ns + times.lateness_ns
        newest_ns = ts_ns + columns.lag_ns[i]
        counts[window, _RECORDS] += 1
        counts[window, _BYTES] += length
        counts[window, _LATE] += newest_ns >= open_until_ns
        sums.statuses[window, columns.decode_status[i]] += 1
        sums.first_ts_ns[window] = min(sums.first_ts_ns[window], ts_ns)
        sums.last_ts_ns[window] = max(sums.last_ts_ns[window], ts_ns)
        name = name_of(
            protocol,
            columns.ether_type[i],
            columns.src_port[i],
            columns.dst_port[i],
            columns.decode_status[i],
            name_table,
        )
        n_names = _add_to_key(name_records, newest_names, n_names, window, name, length)
        slot = np.int64(columns.conversation[i])
        if slot < 0:
            continue
        if protocol != NO_PROTOCOL:
            n_protocols = _add_to_key(protocol_records, newest_protocols, n_protocols, window, protocol, length)
        verdicts = columns.analysis[i]
        tcp_flags = np.int64(columns.tcp_flags[i])
        is_new_connection = verdicts & _REUSED_PORTS != 0 and tcp_flags & (SYN | ACK) == SYN
        entry = newest[slot]
        if entry < 0 or entry >> 33 != window or is_new_connection:
            turned = 1 if is_turned(keys, slot) else 0
            side = turned if columns.is_forward[i] else turned ^ 1
            begin_row(rows, n_rows, keys, histories, slot, side, window_id, ts_ns, is_new_connection)
            scratch.row_windows[n_rows] = window
            entry = (window << 33) | (n_rows << 1) | turned
            newest[slot] = entry
            n_rows += 1
        row = (entry >> 1) & 0xFFFFFFFF
        side = entry & 1 if columns.is_forward[i] else (entry & 1) ^ 1
        add_packet(rows, row, histories, slot, side, ts_ns, length)
        flags = flags_of(protocol, columns.fragment[i], tcp_flags, columns.icmp_type[i], side)
        raised = raise_flags(rows, row, histories, slot, flags)
        if raised != 0:
            before = window_before(histories, slot)
            if before < window_id and newest_ns < open_until_ns - (window_id - before) * times.window_ns:
                write_echo(echoes, n_echoes, keys, histories, slot, raised)
                scratch.echo_windows[n_echoes] = before
                n_echoes += 1
        if protocol != TCP:
            continue
        counts[window, _SEGMENTS] += 1
        if columns.payload_bytes[i] > 0:
            counts[window, _DATA_SEGMENTS] += 1
            is_retransmission = verdicts & _RETRANSMISSION != 0
            counts[window, _RETRANSMISSIONS] += is_retransmission
            add_segment(rows, row, side, is_retransmission)
        if columns.ack_rtt_ns[i] >= 0:
            counts[window, _RTT_SUM] += columns.ack_rtt_ns[i]
            add_round_trip(rows, row, columns.ack_rtt_ns[i])
        if columns.initial_rtt_ns[i] >= 0:
            counts[window, _HANDSHAKES] += 1
            counts[window, _HANDSHAKE_SUM] += columns.initial_rtt_ns[i]
        bit = 0
        while verdicts != 0:
            if verdicts & 1:
                sums.verdicts[window, bit] += 1
            verdicts >>= 1
            bit += 1
    return n_rows, n_echoes, n_names, n_protocols
