"""Wireshark's verdicts and round trips for one TCP segment after the other.

The verdicts are those of Wireshark 4.0 with its default preferences in one pass, as its User's Guide
defines them ("TCP Analysis", section 7.5) and ``tshark`` 4.0 shows them; ``docs/tcp-analysis.md`` says what
each means and where ours differ. Sequence numbers are absolute and 0 stands for "unknown yet", as there.
"""

from __future__ import annotations

import numpy as np

from schemas.enums import TcpAnalysis
from streams.jit import kernel
from streams.tcp_handshake import judge_opening, settle_handshake
from streams.tcp_segments import add_segment, take_acknowledged
from streams.tcp_state import (
    ACK,
    FIN,
    I64,
    MAX_SEGMENTS,
    MAX_UNACKED_SEGMENTS,
    NO_RTT,
    POOL_USED,
    RST,
    SCALE_UNKNOWN,
    SCALE_UNUSED,
    SYN,
    Record,
    Words,
    is_after,
)

RETRANSMISSION = int(TcpAnalysis.RETRANSMISSION)
FAST_RETRANSMISSION = int(TcpAnalysis.FAST_RETRANSMISSION)
SPURIOUS_RETRANSMISSION = int(TcpAnalysis.SPURIOUS_RETRANSMISSION)
OUT_OF_ORDER = int(TcpAnalysis.OUT_OF_ORDER)
LOST_SEGMENT = int(TcpAnalysis.LOST_SEGMENT)
ACK_LOST_SEGMENT = int(TcpAnalysis.ACK_LOST_SEGMENT)
KEEP_ALIVE = int(TcpAnalysis.KEEP_ALIVE)
KEEP_ALIVE_ACK = int(TcpAnalysis.KEEP_ALIVE_ACK)
DUPLICATE_ACK = int(TcpAnalysis.DUPLICATE_ACK)
ZERO_WINDOW = int(TcpAnalysis.ZERO_WINDOW)
ZERO_WINDOW_PROBE = int(TcpAnalysis.ZERO_WINDOW_PROBE)
ZERO_WINDOW_PROBE_ACK = int(TcpAnalysis.ZERO_WINDOW_PROBE_ACK)
WINDOW_UPDATE = int(TcpAnalysis.WINDOW_UPDATE)
WINDOW_FULL = int(TcpAnalysis.WINDOW_FULL)

FAST_RETRANSMISSION_NS = 20_000_000
"""A fast retransmission follows the last duplicate ACK within 20 ms (User's Guide)."""

OUT_OF_ORDER_NS = 3_000_000
"""Out of order is what comes within 3 ms when the initial round trip is unknown (User's Guide)."""
SILENT = 1 << 15
"""A verdict that is not shown but, as in tshark, makes the segment one with an analysis."""

GAP_REPORTED = 0xFFFF_FFFF
"""``duplicate_acks`` once an acknowledgement of unseen data was reported; counts as many, as in Wireshark."""


@kernel
def _fills_window(sender: Record, receiver: Record, end_seq: I64) -> bool:
    """Return whether data ends exactly at the edge of the window that the receiver announced."""
    scale = np.int64(receiver.window_scale)
    if scale == SCALE_UNKNOWN:
        return False
    if scale == SCALE_UNUSED or receiver.is_before_first_ack:
        scale = np.int64(0)
    edge = np.int64(receiver.last_ack) + ((np.int64(receiver.window_bytes) << scale) & 0xFFFFFFFF)
    return bool((edge & 0xFFFFFFFF) == (end_seq & 0xFFFFFFFF))


@kernel
def _judge_window(sender: Record, receiver: Record, seq: I64, ack: I64, length: I64, flags: I64, window: I64) -> I64:
    """Return the verdicts that follow from windows, gaps and repeated acknowledgements."""
    next_seq = np.int64(sender.next_seq)
    if length == 1 and seq == next_seq and receiver.window_bytes == 0:
        return ZERO_WINDOW_PROBE
    verdicts: I64 = 0
    if next_seq != 0 and is_after(seq, next_seq) and flags & RST == 0:
        verdicts |= LOST_SEGMENT
        sender.is_flight_known = 0
    if flags & (SYN | FIN | RST):
        return verdicts
    if window == 0:
        verdicts |= ZERO_WINDOW
    if length <= 1 and seq == ((next_seq - 1) & 0xFFFFFFFF):
        verdicts |= KEEP_ALIVE
    if length > 0:
        if _fills_window(sender, receiver, seq + length):
            verdicts |= WINDOW_FULL
        return verdicts
    if seq != next_seq or ack != sender.last_ack:
        return verdicts
    if window != sender.window_bytes:
        return verdicts | WINDOW_UPDATE if window != 0 else verdicts
    if window == 0:
        return verdicts | ZERO_WINDOW_PROBE_ACK if receiver.last_verdicts & ZERO_WINDOW_PROBE else verdicts
    if receiver.last_verdicts & KEEP_ALIVE:
        return verdicts | KEEP_ALIVE_ACK
    sender.duplicate_acks = 1 if sender.duplicate_acks == GAP_REPORTED else sender.duplicate_acks + 1
    return verdicts | DUPLICATE_ACK


@kernel
def _judge_acknowledgement(sender: Record, receiver: Record, ack: I64, flags: I64) -> I64:
    """Return ACK_LOST_SEGMENT when data is acknowledged that the capture never saw, once per gap."""
    if ack != sender.last_ack:
        sender.duplicate_acks = 0
    contiguous_seq = np.int64(receiver.contiguous_seq)
    if flags & ACK == 0 or contiguous_seq == 0 or not is_after(ack, contiguous_seq):
        return 0
    if is_after(np.int64(receiver.next_seq), contiguous_seq):
        receiver.contiguous_seq = receiver.next_seq
        return ACK_LOST_SEGMENT
    is_first = receiver.duplicate_acks == 0
    receiver.duplicate_acks = GAP_REPORTED
    return ACK_LOST_SEGMENT if is_first else SILENT


@kernel
def _is_within(delta_ns: I64, limit_ns: I64) -> bool:
    """Return ``delta_ns < limit_ns`` as Wireshark does, on unsigned numbers: a negative one is huge."""
    return bool(np.uint64(delta_ns) < np.uint64(limit_ns))


@kernel
def _judge_repetition(
    sender: Record, receiver: Record, handshake: Record, now_ns: I64, seq: I64, length: I64, flags: I64
) -> I64:
    """Return which kind of retransmission a segment is, or that it is out of order, or 0."""
    next_seq = np.int64(sender.next_seq)
    end_seq = (seq + length) & 0xFFFFFFFF
    last_ack = np.int64(receiver.last_ack)
    if length > 0 and last_ack != 0 and (end_seq == last_ack or is_after(last_ack, end_seq)):
        return RETRANSMISSION | SPURIOUS_RETRANSMISSION
    if next_seq == 0 or not is_after(next_seq, seq):
        return 0
    if length > 1 and ((next_seq - 1) & 0xFFFFFFFF) == seq:
        return 0
    if (
        receiver.duplicate_acks >= 2
        and last_ack == seq
        and _is_within(now_ns - receiver.last_ts_ns, FAST_RETRANSMISSION_NS)
    ):
        return RETRANSMISSION | FAST_RETRANSMISSION
    if flags & (SYN | FIN):
        end_seq = (end_seq + 1) & 0xFFFFFFFF
    limit_ns = handshake.initial_rtt_ns if handshake.initial_rtt_ns != 0 else OUT_OF_ORDER_NS
    if next_seq != end_seq and _is_within(now_ns - sender.next_seq_ts_ns, limit_ns):
        return OUT_OF_ORDER
    return RETRANSMISSION


@kernel
def _remember(
    sender: Record,
    segments: Words,
    pool: Words,
    now_ns: I64,
    seq: I64,
    ack: I64,
    length: I64,
    flags: I64,
    window: I64,
    verdicts: I64,
) -> None:
    """Advance the sender's state by one segment."""
    end_seq = (seq + length) & 0xFFFFFFFF
    is_phantom = flags & (SYN | FIN) != 0
    if (length > 0 or is_phantom) and sender.segments < MAX_UNACKED_SEGMENTS:
        if is_phantom:
            end_seq = (end_seq + 1) & 0xFFFFFFFF
        if pool[POOL_USED] < MAX_SEGMENTS:
            add_segment(sender, segments, pool, end_seq, now_ns)
    if verdicts & ZERO_WINDOW_PROBE == 0:
        if sender.next_seq == 0 or is_after(end_seq, np.int64(sender.next_seq)):
            sender.next_seq = end_seq
            sender.next_seq_ts_ns = now_ns
        if sender.contiguous_seq == 0 or sender.contiguous_seq == seq:
            sender.contiguous_seq = sender.next_seq
    sender.window_bytes = window
    sender.last_ack = ack
    sender.last_ts_ns = now_ns
    sender.last_verdicts = verdicts


@kernel
def analyse_segment(
    sender: Record,
    receiver: Record,
    handshake: Record,
    segments: Words,
    pool: Words,
    now_ns: I64,
    seq: I64,
    ack: I64,
    length: I64,
    flags: I64,
    window: I64,
    scale: I64,
) -> tuple[I64, I64, I64]:
    """Judge one TCP segment and advance the conversation's state.

    Parameters
    ----------
    sender, receiver : record of FLOW
        State of the segment's direction and of the other one.
    handshake : record of HANDSHAKE
        What the directions share.
    segments : int64 words
        Pool of unacknowledged segments, with at least one free row.
    pool : int64 words
        The pool's counters.
    now_ns : int
        Event time, ns since the epoch.
    seq, ack, flags, window : int
        Fields of the header, as sent.
    length : int
        Bytes of payload.
    scale : int
        Shift of the window scale option, 255 without it.

    Returns
    -------
    verdicts : int
        Bits of ``TcpAnalysis``. Fast and spurious retransmissions have RETRANSMISSION as well, as in tshark.
    ack_rtt_ns : int
        ``tcp.analysis.ack_rtt``, ns; -1 when this segment measures none. Below -1 when time ran backwards.
    initial_rtt_ns : int
        ``tcp.analysis.initial_rtt``, ns, on the one segment where tshark shows it first: the ACK that completes
        the handshake, if it acknowledges a segment that was seen. Else -1.
    """
    verdicts: I64 = 0
    if flags & SYN:
        verdicts = judge_opening(sender, receiver, handshake, segments, pool, seq, flags)
    if sender.is_base_known == 0:
        sender.base_seq = seq if flags & SYN else (seq - 1) & 0xFFFFFFFF
        sender.is_base_known = 1
    if receiver.is_base_known == 0 and flags & ACK:
        receiver.base_seq = (ack - 1) & 0xFFFFFFFF
        receiver.is_base_known = 1
    if flags & ACK:
        receiver.is_flight_known = 1
    verdicts |= _judge_window(sender, receiver, seq, ack, length, flags, window)
    verdicts |= _judge_acknowledgement(sender, receiver, ack, flags)
    if (length > 0 or flags & (SYN | FIN)) and verdicts & KEEP_ALIVE == 0:
        verdicts |= _judge_repetition(sender, receiver, handshake, now_ns, seq, length, flags)
    _remember(sender, segments, pool, now_ns, seq, ack, length, flags, window, verdicts)
    settle_handshake(sender, receiver, handshake, now_ns, flags, scale)
    rtt_ns: I64 = NO_RTT
    if receiver.segments > 0:
        rtt_ns = take_acknowledged(receiver, segments, pool, ack, now_ns)
    initial_rtt_ns: I64 = -1
    is_analysed = verdicts != 0 or rtt_ns != NO_RTT or (length > 0 and sender.is_flight_known)
    if is_analysed and handshake.initial_rtt_ns != 0 and not handshake.is_told:
        handshake.is_told = 1
        initial_rtt_ns = np.int64(handshake.initial_rtt_ns)
    if rtt_ns == NO_RTT or rtt_ns == 0:
        rtt_ns = -1
    return verdicts & ~SILENT, rtt_ns, initial_rtt_ns
