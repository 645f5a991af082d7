"""What is remembered of a flow: its key, both directions, its pauses; and the arrays of a flow table."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.enums import FlowEnd, FlowMode
from streams.arrays import UInt8s, UInt16s, UInt32s, UInt64s, enlarged
from streams.tcp_state import Records, Words

CORRECTED, COMPATIBLE, COMPATIBLE_2020 = (list(FlowMode).index(mode) for mode in FlowMode)
"""Modes as kernels know them: their places in ``FlowMode``."""

FIN_END, RST_END, TIMEOUT_END, IDLE_END, EVICTED_END, CAPTURE_END, INTERIM_END = (
    list(FlowEnd).index(end) for end in FlowEnd
)
"""Reasons as kernels know them: their places in ``FlowEnd``."""

GOES_ON = -1
"""No reason: the flow has not ended. Also what ``closing`` is while neither both FINs nor a RST came."""

ENDED = -2
"""``closing`` of a flow that was written and whose slot waits for the next packet of its key, or a sweep."""

KEY = np.dtype(
    [
        ("low_ip", "u1", (16,)),
        ("high_ip", "u1", (16,)),
        ("low_port", "u2"),
        ("high_port", "u2"),
        ("protocol", "u1"),
        ("is_live", "u1"),
        ("vlan", "u2"),
        ("hash", "u8"),
        ("last_clock_ns", "i8"),  # the capture's clock when its last packet came
        ("last_packet", "i8"),  # number of its last packet on this partition, from 1
    ]
)
"""A flow's identity, its endpoints in order of size, and when it was last heard of."""

KEY_WORDS = KEY.itemsize // 8
PORTS_WORD, HASH_WORD, CLOCK_WORD, PACKET_WORD = 4, 5, 6, 7
LIVE_SHIFT = 40
VLAN_SHIFT = 48
"""A key as eight 64-bit words: two addresses of two, then ports, protocol, liveness and VLAN in one, and the rest."""

SIDE = np.dtype(
    [
        ("payload", "i8"),  # sum, bytes
        ("payload_squares", "i8"),
        ("header_bytes", "i8"),
        ("wire_bytes", "i8"),
        ("first_us", "i8"),
        ("last_us", "i8"),
        ("iat_squares", "i8"),
        ("iat_max_us", "i8"),
        ("iat_min_us", "i8"),
        ("packets", "u4"),
        ("psh", "u4"),
        ("urg", "u4"),
        ("data_packets", "u4"),  # the flow's first packet not counted
        ("payload_max", "u4"),
        ("payload_min", "u4"),
        ("header_min", "i4"),
        ("window_bytes", "i4"),
        ("bulk_start_us", "i8"),  # 0 = no bulk under way
        ("bulk_last_us", "i8"),
        ("run_payload", "i8"),  # of the bulk under way
        ("bulk_payload", "i8"),  # of all bulks
        ("bulk_us", "i8"),
        ("run_packets", "u4"),
        ("bulk_packets", "u4"),
        ("bulks", "u4"),
        ("told_packets", "u4"),  # those that an interim record has counted
    ],
    align=True,
)
"""One direction of a flow."""

PAUSE = np.dtype(
    [("count", "i8"), ("mean_us", "f8"), ("squares", "f8"), ("max_us", "i8"), ("min_us", "i8")], align=True
)
"""Times that a flow was active, or idle; ``squares`` are those of the distances from the mean."""

FLOW = np.dtype(
    [
        ("start_ns", "i8"),
        ("start_us", "i8"),
        ("last_ns", "i8"),
        ("last_us", "i8"),
        ("iat_squares", "i8"),  # sum of the squares of the times between packets, us²
        ("iat_max_us", "i8"),
        ("iat_min_us", "i8"),
        ("active_from_us", "i8"),
        ("active_to_us", "i8"),
        ("window", "i8"),  # window of the capture's clock when its last packet came
        ("first_frame", "u8"),
        ("last_frame", "u8"),
        ("told_frame", "u8"),  # last_frame of the interim record before; 0 without one
        ("fin", "u4"),  # packets with the flag, and so on
        ("syn", "u4"),
        ("rst", "u4"),
        ("ack", "u4"),
        ("cwr", "u4"),
        ("ece", "u4"),
        ("first_payload", "u4"),
        ("first_flags", "u2"),
        ("icmp_type", "u1"),
        ("icmp_code", "u1"),
        ("fins", "u1"),  # bit 0: forward has sent FIN, bit 1: backward
        ("is_turned", "u1"),  # forward goes from the high endpoint to the low one
        ("is_told", "u1"),  # an interim record was written since its last packet
        ("closing", "i1"),  # FIN_END or RST_END once it is over, GOES_ON, ENDED
        ("forward", SIDE),
        ("backward", SIDE),
        ("active", PAUSE),
        ("idle", PAUSE),
    ],
    align=True,
)
"""A flow; what its two directions share comes first."""

PACKET = np.dtype(
    [
        ("ts_ns", "i8"),
        ("ts_us", "i8"),
        ("payload", "i8"),
        ("header_bytes", "i8"),
        ("wire_bytes", "i8"),
        ("window_bytes", "i8"),
        ("flags", "i8"),
        ("frame", "u8"),
        ("icmp_type", "u1"),
        ("icmp_code", "u1"),
    ],
    align=True,
)
"""The packet under way: what the kernels of a flow know of it."""

CLOCK, PACKETS, LIVE, TOP, FREE, WINDOW, WINDOW_END, SKIPPED = range(8)
COUNTERS = 8
"""Counters: newest clock, ns; packets metered; flows in the table; slots ever used; free ones; current window and its
end, ns; packets without IP."""

LONG_AGO_NS = -(1 << 62)


class Columns(NamedTuple):
    """The columns of a batch that metering reads; addresses as ``uint64 (n, 2)``."""

    ts_ns: Words
    lag_ns: Words
    frame: UInt64s
    src_ip: UInt64s
    dst_ip: UInt64s
    src_port: UInt16s
    dst_port: UInt16s
    protocol: UInt8s
    vlan: UInt16s
    fragment: UInt8s
    tcp_flags: UInt16s
    tcp_window_bytes: UInt16s
    payload_bytes: UInt32s
    length_bytes: UInt32s
    l4_header_bytes: UInt8s
    icmp_type: UInt8s
    icmp_code: UInt8s


class State(NamedTuple):
    """Every array of a flow table; those by slot grow together.

    ``keys`` is ``uint64 (slots, 8)``, ``flows`` FLOW ``(slots,)``, ``table`` uint64 (power of two; high half of the
    hash above, slot + 1 below, 0 = empty), ``free`` int32 ``(slots,)`` a stack, ``packet`` PACKET ``(1,)`` scratch,
    ``counters`` int64, ``ended`` int64 by reason.
    """

    keys: UInt64s
    flows: Records
    table: UInt64s
    free: NDArray[np.int32]
    packet: Records
    counters: Words
    ended: Words


class Written(NamedTuple):
    """Records on their way out: the rows of the state, with why and for which window each was written."""

    keys: UInt64s
    flows: Records
    reason: UInt8s


def empty_written(rows: int) -> Written:
    """Return room for so many records."""
    return Written(
        keys=np.empty((rows, KEY_WORDS), np.uint64),
        flows=np.empty(rows, FLOW),
        reason=np.empty(rows, np.uint8),
    )


def blank_state(slots: int = 256) -> State:
    """Return the state of a meter that has seen nothing, with room for so many flows (a power of two)."""
    counters = np.zeros(COUNTERS, np.int64)
    counters[CLOCK] = counters[WINDOW_END] = LONG_AGO_NS
    return State(
        keys=np.zeros((slots, KEY_WORDS), np.uint64),
        flows=np.zeros(slots, FLOW),
        table=np.zeros(2 * slots, np.uint64),
        free=np.zeros(slots, np.int32),
        packet=np.zeros(1, PACKET),
        counters=counters,
        ended=np.zeros(len(FlowEnd), np.int64),
    )


def grown_state(state: State, flows: int) -> State:
    """Return the state with room for so many flows, its table empty if it had to grow; arrays double."""
    if flows <= len(state.free):
        return state
    slots = 1 << (flows - 1).bit_length()
    used, free = int(state.counters[TOP]), int(state.counters[FREE])
    return state._replace(
        keys=enlarged(state.keys, used, slots),
        flows=enlarged(state.flows, used, slots),
        table=np.zeros(2 * slots, np.uint64),
        free=enlarged(state.free, free, slots),
    )
