"""The beginning of a TCP connection: reused ports, initial round trip and window scales."""

from __future__ import annotations

from schemas.enums import TcpAnalysis
from schemas.packets import NO_WINDOW_SCALE
from streams.jit import kernel
from streams.tcp_segments import drop_segments
from streams.tcp_state import (
    ACK,
    I64,
    MAX_WINDOW_SCALE,
    SCALE_UNKNOWN,
    SCALE_UNUSED,
    SYN,
    Record,
    Words,
    forget_flow,
)

_REUSED_PORTS = int(TcpAnalysis.REUSED_PORTS)


@kernel
def judge_opening(
    sender: Record,
    receiver: Record,
    handshake: Record,
    segments: Words,
    pool: Words,
    seq: I64,
    flags: I64,
) -> I64:
    """Return REUSED_PORTS when a SYN begins anew on ports seen before; forgets the old connection."""
    if sender.is_base_known == 0:
        return 0
    is_same_seq = seq == sender.base_seq
    if flags & ACK:
        if is_same_seq:
            return 0
        sender.base_seq = seq
    elif is_same_seq:
        sender.next_seq = sender.contiguous_seq
    else:
        drop_segments(sender, segments, pool)
        drop_segments(receiver, segments, pool)
        forget_flow(sender)
        forget_flow(receiver)
        handshake.syn_ts_ns = 0
        handshake.initial_rtt_ns = 0
        handshake.is_told = 0
    return 0 if is_same_seq else _REUSED_PORTS


@kernel
def settle_handshake(sender: Record, receiver: Record, handshake: Record, now_ns: I64, flags: I64, scale: I64) -> None:
    """Follow SYN, SYN-ACK and the first ACK: the initial round trip and the window scales."""
    if flags & (SYN | ACK) == SYN:
        handshake.syn_ts_ns = now_ns
    if flags & SYN:
        sender.is_before_first_ack = 1
    elif flags & ACK:
        sender.is_before_first_ack = 0
        if handshake.syn_ts_ns != 0 and handshake.initial_rtt_ns == 0:
            handshake.initial_rtt_ns = now_ns - handshake.syn_ts_ns
    if scale != NO_WINDOW_SCALE:
        sender.window_scale = min(scale, MAX_WINDOW_SCALE)
    if flags & SYN:
        if sender.window_scale == SCALE_UNKNOWN:
            sender.window_scale = SCALE_UNUSED
            receiver.window_scale = SCALE_UNUSED
        elif flags & ACK and receiver.window_scale == SCALE_UNUSED:
            sender.window_scale = SCALE_UNUSED
