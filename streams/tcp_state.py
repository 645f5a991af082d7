"""What is remembered of a TCP conversation, and the constants of its analysis."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streams.jit import kernel

FIN = 0x01
SYN = 0x02
RST = 0x04
ACK = 0x10

SEQ_MASK = 0xFFFF_FFFF
"""Sequence numbers count modulo 2^32 (RFC 9293, section 3.4)."""

WINDOW_UNKNOWN = 0xFFFF_FFFF
"""``window_bytes`` of a direction that has sent nothing yet."""

SCALE_UNKNOWN = -1
"""``window_scale`` when the handshake was not seen."""

SCALE_UNUSED = -2
"""``window_scale`` when the handshake settled on no scaling (RFC 7323, section 2.2)."""

MAX_WINDOW_SCALE = 14
"""A larger shift counts as this one (RFC 7323, section 2.3)."""

MAX_UNACKED_SEGMENTS = 10_000
"""Unacknowledged segments remembered per direction at most, as in Wireshark 4.0."""

MAX_SEGMENTS = 1 << 23
"""Unacknowledged segments remembered in all at most: 128 MiB."""

NO_RTT = -(1 << 63)
"""No acknowledgement measured; a real round trip may be negative when capture time runs backwards."""

FLOW = np.dtype(
    [
        ("next_seq_ts_ns", "i8"),  # event time of the segment that set next_seq
        ("last_ts_ns", "i8"),  # event time of the last segment
        ("next_seq", "u4"),  # highest sequence number expected next; 0 = unknown
        ("contiguous_seq", "u4"),  # end of the data seen without a hole; 0 = unknown
        ("last_ack", "u4"),  # acknowledgement number of the last segment
        ("duplicate_acks", "u4"),  # in a row, the one they repeat not counted
        ("base_seq", "u4"),  # initial sequence number, when is_base_known
        ("window_bytes", "u4"),  # window field of the last segment, unscaled
        ("first_segment", "i4"),  # row of the first unacknowledged segment in the pool, -1 = none
        ("last_segment", "i4"),  # row of the last one
        ("segments", "i4"),  # how many there are
        ("last_verdicts", "u2"),  # analysis of the last segment
        ("window_scale", "i1"),  # shift, or SCALE_UNKNOWN, SCALE_UNUSED
        ("is_base_known", "u1"),
        ("is_before_first_ack", "u1"),  # its SYN was its last word: the window is not scaled yet
        ("is_flight_known", "u1"),  # no gap since the other side last acknowledged
        ("is_sorted", "u1"),  # its unacknowledged segments stand in order of sequence
    ],
    align=True,
)
"""One direction of a TCP conversation."""

HANDSHAKE = np.dtype([("syn_ts_ns", "i8"), ("initial_rtt_ns", "i8"), ("is_told", "u1")], align=True)
"""What both directions share: time of the newest SYN and the handshake's round trip; 0 = none yet."""

POOL_FREE, POOL_TOP, POOL_USED = 0, 1, 2
"""Rows of the pool's counters: first free row or -1, rows ever used, rows in use."""

Records: TypeAlias = NDArray[np.void]
Words: TypeAlias = NDArray[np.int64]

I64: TypeAlias = int | np.int64
"""A number in a kernel, where every integer has 64 bits."""

Record: TypeAlias = Any
"""One record of an array with fields; kernels reach its fields as attributes, which numpy's types do not know."""


@kernel
def is_after(left: I64, right: I64) -> bool:
    """Return whether sequence number ``left`` lies behind ``right``, modulo 2^32.

    Parameters
    ----------
    left, right : int
        Sequence numbers, 0 to 2^32 - 1, as int64.

    Returns
    -------
    bool
        True when ``right - left`` is negative as a 32-bit number (RFC 9293, section 3.4).
    """
    return (((right - left) & 0xFFFFFFFF) >> 31) != 0


@kernel
def forget_flow(flow: Record) -> None:
    """Put a direction into the state before its first segment; its segments must be dropped already."""
    flow.next_seq_ts_ns = 0
    flow.last_ts_ns = 0
    flow.next_seq = 0
    flow.contiguous_seq = 0
    flow.last_ack = 0
    flow.duplicate_acks = 0
    flow.base_seq = 0
    flow.window_bytes = WINDOW_UNKNOWN
    flow.first_segment = -1
    flow.last_segment = -1
    flow.segments = 0
    flow.last_verdicts = 0
    flow.window_scale = SCALE_UNKNOWN
    flow.is_base_known = 0
    flow.is_before_first_ack = 0
    flow.is_flight_known = 1
    flow.is_sorted = 1
