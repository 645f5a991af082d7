"""One pass over a batch: what each window, conversation, name and protocol gets from it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from schemas.enums import DecodeStatus, Fragment
from schemas.packets import NO_PROTOCOL
from schemas.protocols import SCTP, TCP, UDP
from streams.arrays import Bools, Int32s, Int64s, UInt8s, UInt16s, UInt32s
from streams.conversations import Tracked
from streams.jit import kernel
from streams.names import NAME_TABLES, UNDECODED_ID
from streams.octets import bare
from streams.packets import Packets
from streams.partials import N_STATUSES, N_VERDICTS, NO_FIRST, NO_LAST, ConversationFlag, Count

_RECORDS = int(Count.RECORDS)
_BYTES = int(Count.BYTES)
_SEGMENTS = int(Count.TCP_SEGMENTS)
_DATA_SEGMENTS = int(Count.TCP_DATA_SEGMENTS)
_LATE = int(Count.LATE)
_RTT_SUM = int(Count.RTT_SUM_NS)
_HANDSHAKES = int(Count.HANDSHAKES)
_HANDSHAKE_SUM = int(Count.HANDSHAKE_SUM_NS)
_SYN = int(ConversationFlag.SYN)
_SYN_ACK = int(ConversationFlag.SYN_ACK)
_RESET = int(ConversationFlag.RESET)
_IS_TCP = int(ConversationFlag.TCP)
_FRAGMENTS = int(ConversationFlag.FRAGMENTS)
_LATER = int(Fragment.LATER)
_UNSUPPORTED = int(DecodeStatus.UNSUPPORTED_LINK_TYPE)
_SYN_BIT, _RESET_BIT, _ACK_BIT = 0x02, 0x04, 0x10


class PacketColumns(NamedTuple):
    """The columns that the kernel reads, each of shape ``(n_packets,)``."""

    window: Int64s
    ts_ns: Int64s
    is_late: Bools
    length_bytes: UInt32s
    decode_status: UInt8s
    protocol: UInt8s
    ether_type: UInt16s
    src_port: UInt16s
    dst_port: UInt16s
    fragment: UInt8s
    tcp_flags: UInt16s
    payload_bytes: UInt32s
    conversation: Int32s
    is_forward: Bools
    analysis: UInt16s
    ack_rtt_ns: Int64s
    initial_rtt_ns: Int64s


class Scratch(NamedTuple):
    """Where the newest record of each conversation slot, name and protocol stands, or -1."""

    conversations: Int32s
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
    conversations : ndarray of int64, shape (n_records, 6)
        Window, slot, bytes forward, bytes backward, flags, name id; a pair may stand twice.
    names, protocols : ndarray of int64, shape (n_records, 4)
        Window, key, packets, bytes; a pair may stand twice.
    """

    counts: Int64s
    statuses: Int64s
    verdicts: Int64s
    first_ts_ns: Int64s
    last_ts_ns: Int64s
    conversations: Int64s
    names: Int64s
    protocols: Int64s


class BatchSummer:
    """Sums batches; keeps its scratch memory between them.

    Parameters
    ----------
    lateness_ns : int
        How far the watermark stays behind the newest packet, ns.
    """

    def __init__(self, lateness_ns: int) -> None:
        self._lateness_ns = lateness_ns
        self._scratch = Scratch(
            np.zeros(0, np.int32), np.zeros(len(NAME_TABLES.names), np.int32), np.zeros(256, np.int32)
        )

    def sums(self, packets: Packets, tracked: Tracked, window: Int64s, ends_ns: Int64s, n_slots: int) -> BatchSums:
        """Return what a batch adds.

        Parameters
        ----------
        window : ndarray of int64, shape (n_packets,)
            Each packet's position in ``ends_ns``.
        ends_ns : ndarray of int64, shape (n_windows,)
            End of each distinct window, ns since the epoch.
        n_slots : int
            Slots of the conversation tracker.
        """
        if len(self._scratch.conversations) < n_slots:
            self._scratch = self._scratch._replace(conversations=np.zeros(n_slots, np.int32))
        for newest in self._scratch:
            newest.fill(-1)
        newest_ns = packets.ts_ns + packets.lag_ns
        columns = PacketColumns(
            window=window,
            ts_ns=packets.ts_ns,
            is_late=newest_ns >= ends_ns[window] + self._lateness_ns,
            length_bytes=packets.length_bytes,
            decode_status=packets.decode_status,
            protocol=packets.protocol,
            ether_type=packets.ether_type,
            src_port=packets.src_port,
            dst_port=packets.dst_port,
            fragment=packets.fragment,
            tcp_flags=packets.tcp_flags,
            payload_bytes=packets.payload_bytes,
            conversation=tracked.conversation,
            is_forward=tracked.is_forward,
            analysis=tracked.analysis,
            ack_rtt_ns=tracked.ack_rtt_ns,
            initial_rtt_ns=tracked.initial_rtt_ns,
        )
        sums = _empty_sums(len(packets.ts_ns), len(ends_ns))
        sizes = _sum_batch(columns, _NAMES, self._scratch, sums)
        return sums._replace(
            conversations=sums.conversations[: sizes[0]],
            names=sums.names[: sizes[1]],
            protocols=sums.protocols[: sizes[2]],
        )


_UDP_AT, _SCTP_AT, _ETHER_TYPES_AT, _PROTOCOLS_AT = (65_536 * table for table in (1, 2, 3, 4))
_NAMES: UInt16s = np.concatenate(
    [NAME_TABLES.tcp, NAME_TABLES.udp, NAME_TABLES.sctp, NAME_TABLES.ether_types, NAME_TABLES.protocols]
)
"""Name ids by TCP port, UDP port, SCTP port, EtherType and protocol, one table behind the other."""

_KEY_COLUMNS = 4
"""Columns of a record of names or protocols: window, key, packets, bytes."""


def _empty_sums(n_packets: int, n_windows: int) -> BatchSums:
    return BatchSums(
        counts=np.zeros((n_windows, len(Count)), np.int64),
        statuses=np.zeros((n_windows, N_STATUSES), np.int64),
        verdicts=np.zeros((n_windows, N_VERDICTS), np.int64),
        first_ts_ns=np.full(n_windows, NO_FIRST, np.int64),
        last_ts_ns=np.full(n_windows, NO_LAST, np.int64),
        conversations=np.empty((n_packets, 6), np.int64),
        names=np.empty((n_packets, 4), np.int64),
        protocols=np.empty((n_packets, 4), np.int64),
    )


@kernel
def _name_of(protocol: int, ether_type: int, src_port: int, dst_port: int, status: int, names: UInt16s) -> int:
    """Name a packet: service by the lower port, else by the higher, else transport, else network."""
    if protocol == NO_PROTOCOL:
        return UNDECODED_ID if status == _UNSUPPORTED else int(names[_ETHER_TYPES_AT + ether_type])
    name = 0
    if protocol in (TCP, UDP, SCTP):
        table = 0 if protocol == TCP else _UDP_AT if protocol == UDP else _SCTP_AT
        name = int(names[table + min(src_port, dst_port)])
        if name == 0:
            name = int(names[table + max(src_port, dst_port)])
    return name if name != 0 else int(names[_PROTOCOLS_AT + protocol])


@kernel
def _flags_of(protocol: int, fragment: int, tcp_flags: int) -> int:
    """Return the ``ConversationFlag`` bits that one packet sets."""
    if fragment == _LATER and protocol in (TCP, UDP, SCTP):
        return _FRAGMENTS
    if protocol != TCP:
        return 0
    flags = _IS_TCP
    if tcp_flags & _RESET_BIT:
        flags |= _RESET
    if tcp_flags & _SYN_BIT:
        flags |= _SYN_ACK if tcp_flags & _ACK_BIT else _SYN
    return flags


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
def _sum_batch(columns: PacketColumns, names: UInt16s, scratch: Scratch, sums: BatchSums) -> tuple[int, int, int]:
    """Fill ``sums``; return how many conversation, name and protocol records it has."""
    n_conversations = n_names = n_protocols = 0
    conversations, counts = sums.conversations, sums.counts
    # What is handed on in the loop goes without its array; see ``bare``.
    name_table, name_records, newest_names = bare(names), bare(sums.names), bare(scratch.names)
    protocol_records, newest_protocols = bare(sums.protocols), bare(scratch.protocols)
    for i in range(len(columns.ts_ns)):
        window, length, protocol = columns.window[i], int(columns.length_bytes[i]), columns.protocol[i]
        ts_ns = columns.ts_ns[i]
        counts[window, _RECORDS] += 1
        counts[window, _BYTES] += length
        counts[window, _LATE] += columns.is_late[i]
        sums.statuses[window, columns.decode_status[i]] += 1
        sums.first_ts_ns[window] = min(sums.first_ts_ns[window], ts_ns)
        sums.last_ts_ns[window] = max(sums.last_ts_ns[window], ts_ns)
        name = _name_of(
            protocol,
            columns.ether_type[i],
            columns.src_port[i],
            columns.dst_port[i],
            columns.decode_status[i],
            name_table,
        )
        n_names = _add_to_key(name_records, newest_names, n_names, window, name, length)
        slot = columns.conversation[i]
        if slot < 0:
            continue
        n_protocols = _add_to_key(protocol_records, newest_protocols, n_protocols, window, protocol, length)
        row = scratch.conversations[slot]
        if row < 0 or conversations[row, 0] != window:
            row = n_conversations
            scratch.conversations[slot] = row
            conversations[row, 0], conversations[row, 1], conversations[row, 5] = window, slot, name
            conversations[row, 2] = conversations[row, 3] = conversations[row, 4] = 0
            n_conversations += 1
        conversations[row, 2 if columns.is_forward[i] else 3] += length
        conversations[row, 4] |= _flags_of(protocol, columns.fragment[i], columns.tcp_flags[i])
        if protocol != TCP:
            continue
        counts[window, _SEGMENTS] += 1
        counts[window, _DATA_SEGMENTS] += columns.payload_bytes[i] > 0
        if columns.ack_rtt_ns[i] >= 0:
            counts[window, _RTT_SUM] += columns.ack_rtt_ns[i]
        if columns.initial_rtt_ns[i] >= 0:
            counts[window, _HANDSHAKES] += 1
            counts[window, _HANDSHAKE_SUM] += columns.initial_rtt_ns[i]
        verdicts = columns.analysis[i]
        bit = 0
        while verdicts != 0:
            if verdicts & 1:
                sums.verdicts[window, bit] += 1
            verdicts >>= 1
            bit += 1
    return n_conversations, n_names, n_protocols
