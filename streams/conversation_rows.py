"""What one packet does to the row of its conversation in a window; see ``window_conversations``."""

from __future__ import annotations

import numpy as np

from schemas.enums import Fragment
from schemas.packets import ARP_REQUEST, NO_PROTOCOL
from schemas.protocols import ICMP, ICMPV6, SCTP, TCP, UDP
from streams.arrays import Int64s, UInt64s
from streams.conversation_table import (
    HISTORY_FIRST,
    HISTORY_FLAGS,
    HISTORY_WINDOW,
    HISTORY_WINDOW_BEFORE,
    HISTORY_WORDS,
    KEY_WORDS,
    PORTS_WORD,
    UID_WORD,
)
from streams.jit import kernel
from streams.partials import NO_LAST
from streams.tcp_state import ACK, I64, RST, SYN
from streams.window_conversations import EVER, FLAGS_SHIFT, WORDS, ConversationFlag, Word

_IDENTITY, _FIRST_TS, _LAST_TS, _BYTES, _PACKETS, _DATA, _RETRANSMISSIONS = (
    int(word)
    for word in (
        Word.IDENTITY,
        Word.FIRST_TS_NS,
        Word.LAST_TS_NS,
        Word.BYTES_A,
        Word.PACKETS,
        Word.DATA_SEGMENTS,
        Word.RETRANSMISSIONS,
    )
)
_UID, _ADDRESSES, _RTT_COUNT, _RTT_SUM, _RTT_MAX = (
    int(word) for word in (Word.UID, Word.ADDRESS_A, Word.RTT_COUNT, Word.RTT_SUM_NS, Word.RTT_MAX_NS)
)
_SYN_A, _SYN_ACK_A, _SENT_A, _RESET_A, _ASKED_A, _FIRST_A, _SYN, _SYN_ACK, _RESET, _FRAGMENTS = (
    int(flag)
    for flag in (
        ConversationFlag.SYN_A,
        ConversationFlag.SYN_ACK_A,
        ConversationFlag.SENT_A,
        ConversationFlag.RESET_A,
        ConversationFlag.ASKED_A,
        ConversationFlag.FIRST_A,
        ConversationFlag.SYN,
        ConversationFlag.SYN_ACK,
        ConversationFlag.RESET,
        ConversationFlag.FRAGMENTS,
    )
)
_LATER = int(Fragment.LATER)


def _icmp_answers() -> tuple[int, int]:
    """Return bit sets of the first 64 ICMP types, and of the ICMPv6 types from 128, that ask for nothing.

    Replies and errors (RFC 792, RFC 950, RFC 4443, RFC 4861); all ICMPv6 types below 128 are errors.
    """
    replies = sum(1 << number for number in (0, 3, 4, 5, 11, 12, 14, 16, 18))
    replies_v6 = sum(1 << number - 128 for number in (129, 132, 134, 136, 137, 140))
    return replies, replies_v6


_ICMP_ANSWERS, _ICMPV6_ANSWERS = _icmp_answers()


@kernel
def _asks_icmp(protocol: I64, icmp_type: I64) -> bool:
    """Return whether an ICMP message wants an answer."""
    if protocol == ICMP:
        return bool(icmp_type > 63 or (_ICMP_ANSWERS >> icmp_type) & 1 == 0)
    return bool(icmp_type >= 192 or (icmp_type >= 128 and (_ICMPV6_ANSWERS >> (icmp_type - 128)) & 1 == 0))


@kernel
def flags_of(protocol: I64, fragment: I64, tcp_flags: I64, icmp_type: I64, side: I64) -> I64:
    """Return the ``ConversationFlag`` bits that one packet sets; ``side`` is 0 when A sent it, else 1."""
    if fragment == _LATER and protocol in (TCP, UDP, SCTP):
        return _FRAGMENTS
    sent = _SENT_A << side
    if protocol == TCP:
        flags: I64 = _RESET | _RESET_A << side if tcp_flags & RST else sent
        if tcp_flags & SYN:
            flags |= _SYN_ACK | _SYN_ACK_A << side if tcp_flags & ACK else _SYN | _SYN_A << side
        if tcp_flags & RST == 0 and tcp_flags & (SYN | ACK) != SYN | ACK:
            flags |= _ASKED_A << side
        return flags
    if protocol in (ICMP, ICMPV6) and not _asks_icmp(protocol, icmp_type):
        return sent
    if protocol == NO_PROTOCOL and icmp_type != ARP_REQUEST:
        return sent
    return sent | _ASKED_A << side


@kernel
def is_turned(keys: UInt64s, slot: I64) -> bool:
    """Return whether the sender of a conversation's first packet is B; keys are bare."""
    key = slot * KEY_WORDS
    if keys[key] != keys[key + 2]:
        return bool(keys[key] > keys[key + 2])
    if keys[key + 1] != keys[key + 3]:
        return bool(keys[key + 1] > keys[key + 3])
    ports = keys[key + PORTS_WORD]
    return bool(ports & np.uint64(0xFFFF) > (ports >> np.uint64(16)) & np.uint64(0xFFFF))


@kernel
def _write_key(rows: Int64s, row: I64, keys: UInt64s, slot: I64, flags: I64) -> None:
    """Write who the conversation is and what its flags are; the sums begin at nothing."""
    at, key = row * WORDS, slot * KEY_WORDS
    ports = np.int64(keys[key + PORTS_WORD])
    src_port, dst_port, protocol = ports & 0xFFFF, (ports >> 16) & 0xFFFF, (ports >> 32) & 0xFF
    for word in range(WORDS):
        rows[at + word] = 0
    rows[at + _UID] = np.int64(keys[key + UID_WORD])
    rows[at + _RTT_MAX] = -1
    rows[at + _LAST_TS] = NO_LAST
    turned = 2 if is_turned(keys, slot) else 0
    if turned:
        src_port, dst_port = dst_port, src_port
    rows[at + _IDENTITY] = (flags << FLAGS_SHIFT) | (protocol << 32) | (dst_port << 16) | src_port
    for word in range(4):
        rows[at + _ADDRESSES + word] = np.int64(keys[key + (word ^ turned)])


@kernel
def begin_row(
    rows: Int64s,
    row: I64,
    keys: UInt64s,
    histories: Int64s,
    slot: I64,
    side: I64,
    window_id: I64,
    ts_ns: I64,
    is_new_connection: bool,
) -> None:
    """Begin the row of a conversation in a window with what is remembered of it.

    Parameters
    ----------
    rows, keys, histories
        Bare.
    side : int
        0 when A sent the packet that the row is begun for, else 1.
    is_new_connection : bool
        Whether that packet is a SYN that begins anew on ports seen before.
    """
    history = slot * HISTORY_WORDS
    if histories[history + HISTORY_FLAGS] == 0 or is_new_connection:
        histories[history + HISTORY_FIRST] = ts_ns
        histories[history + HISTORY_FLAGS] = _FIRST_A << side
        histories[history + HISTORY_WINDOW] = window_id
        histories[history + HISTORY_WINDOW_BEFORE] = window_id
    elif histories[history + HISTORY_WINDOW] != window_id:
        histories[history + HISTORY_WINDOW_BEFORE] = histories[history + HISTORY_WINDOW]
        histories[history + HISTORY_WINDOW] = window_id
    _write_key(rows, row, keys, slot, histories[history + HISTORY_FLAGS])
    rows[row * WORDS + _FIRST_TS] = histories[history + HISTORY_FIRST]


@kernel
def add_packet(rows: Int64s, row: I64, histories: Int64s, slot: I64, side: I64, ts_ns: I64, length: I64) -> None:
    """Count a packet in the newest row of its conversation; rows and histories are bare."""
    at = row * WORDS
    if ts_ns < rows[at + _FIRST_TS]:
        rows[at + _FIRST_TS] = ts_ns
        histories[slot * HISTORY_WORDS + HISTORY_FIRST] = ts_ns
    rows[at + _LAST_TS] = max(rows[at + _LAST_TS], ts_ns)
    rows[at + _BYTES + side] += length
    rows[at + _PACKETS] += np.int64(1) << (side << 5)


@kernel
def add_segment(rows: Int64s, row: I64, side: I64, is_retransmission: bool) -> None:
    """Count a TCP segment with payload; rows are bare."""
    one = np.int64(1) << (side << 5)
    rows[row * WORDS + _DATA] += one
    if is_retransmission:
        rows[row * WORDS + _RETRANSMISSIONS] += one


@kernel
def add_round_trip(rows: Int64s, row: I64, rtt_ns: I64) -> None:
    """Count a round trip; rows are bare."""
    at = row * WORDS
    rows[at + _RTT_COUNT] += 1
    rows[at + _RTT_SUM] += rtt_ns
    rows[at + _RTT_MAX] = max(rows[at + _RTT_MAX], rtt_ns)


@kernel
def raise_flags(rows: Int64s, row: I64, histories: Int64s, slot: I64, flags: I64) -> I64:
    """Set flags in the newest row and the history of a conversation; return those that it never had before."""
    at = row * WORDS + _IDENTITY
    new: I64 = flags & ~(rows[at] >> FLAGS_SHIFT)
    if new == 0:
        return 0
    rows[at] |= new << FLAGS_SHIFT
    new &= EVER
    histories[slot * HISTORY_WORDS + HISTORY_FLAGS] |= new
    return new


@kernel
def write_echo(echoes: Int64s, echo: I64, keys: UInt64s, histories: Int64s, slot: I64, flags: I64) -> None:
    """Write a row that only tells an earlier window of a conversation about flags; all arrays are bare."""
    _write_key(echoes, echo, keys, slot, flags)
    echoes[echo * WORDS + _FIRST_TS] = histories[slot * HISTORY_WORDS + HISTORY_FIRST]


@kernel
def window_before(histories: Int64s, slot: I64) -> I64:
    """Return the window in which the conversation had packets before its present one; histories are bare."""
    before: I64 = histories[slot * HISTORY_WORDS + HISTORY_WINDOW_BEFORE]
    return before
