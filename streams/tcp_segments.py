"""The segments that wait for their acknowledgement, in linked lists through one shared pool.

The list of a direction stands in order of the sequence number behind each segment, equal ones in
order of arrival, so that an acknowledgement takes a few from the front. That order only exists while
the list spans less than half of the sequence space; a list that outgrows it is searched in full until
it is empty again.
"""

from __future__ import annotations

import numpy as np

from streams.jit import kernel
from streams.tcp_state import NO_RTT, POOL_FREE, POOL_TOP, POOL_USED, Counters, Records, is_after


@kernel
def _take_row(segments: Records, pool: Counters) -> int:
    """Return a free row of the pool; the caller has seen to it that there is one."""
    row = pool[POOL_FREE]
    if row >= 0:
        pool[POOL_FREE] = segments[row].next
    else:
        row = pool[POOL_TOP]
        pool[POOL_TOP] = row + 1
    pool[POOL_USED] += 1
    return row


@kernel
def add_segment(flow: np.void, segments: Records, pool: Counters, end_seq: int, ts_ns: int) -> None:
    """Remember a segment until it is acknowledged.

    Parameters
    ----------
    flow : record of FLOW
        The direction it was sent in.
    segments : ndarray of SEGMENT, shape (rows,)
        The pool; must have a free row.
    pool : ndarray of int64, shape (3,)
        The pool's counters.
    end_seq : int
        Sequence number behind the segment.
    ts_ns : int
        Event time, ns.
    """
    row = _take_row(segments, pool)
    segments[row].ts_ns = ts_ns
    segments[row].end_seq = end_seq
    segments[row].next = -1
    flow.segments += 1
    if flow.segments == 1:
        flow.first_segment = row
        flow.last_segment = row
        flow.is_sorted = 1
        return
    first_seq = np.int64(segments[flow.first_segment].end_seq)
    last_seq = np.int64(segments[flow.last_segment].end_seq)
    is_behind_last = not is_after(last_seq, end_seq)
    span = max((last_seq - first_seq) & 0xFFFFFFFF, (end_seq - first_seq) & 0xFFFFFFFF)
    if not is_behind_last and is_after(first_seq, end_seq):
        span = (last_seq - end_seq) & 0xFFFFFFFF
    if span >> 31 != 0:
        flow.is_sorted = 0
    if is_behind_last or flow.is_sorted == 0:
        segments[flow.last_segment].next = row
        flow.last_segment = row
        return
    before = -1
    behind = np.int64(flow.first_segment)
    while not is_after(np.int64(segments[behind].end_seq), end_seq):
        before = behind
        behind = np.int64(segments[behind].next)
    segments[row].next = behind
    if before < 0:
        flow.first_segment = row
    else:
        segments[before].next = row


@kernel
def take_acknowledged(flow: np.void, segments: Records, pool: Counters, ack: int, now_ns: int) -> int:
    """Forget the segments that an acknowledgement covers and return the round trip it measures.

    Wireshark measures an acknowledgement against the segment that ends exactly there; of several, against the
    one seen first.

    Parameters
    ----------
    flow : record of FLOW
        The direction that is acknowledged.
    segments : ndarray of SEGMENT, shape (rows,)
        The pool.
    pool : ndarray of int64, shape (3,)
        The pool's counters.
    ack : int
        Acknowledgement number.
    now_ns : int
        Event time of the acknowledgement, ns.

    Returns
    -------
    int
        Round trip, ns, or ``NO_RTT``.
    """
    rtt_ns = NO_RTT
    if flow.segments == 0:
        return rtt_ns
    row = np.int64(flow.first_segment)
    is_full_search = flow.is_sorted == 0
    if not is_full_search and is_after(np.int64(segments[row].end_seq), ack):
        if is_after(np.int64(segments[flow.last_segment].end_seq), ack):
            return rtt_ns
        is_full_search = True
    kept = -1
    while row >= 0:
        behind = np.int64(segments[row].next)
        if is_after(np.int64(segments[row].end_seq), ack):
            if not is_full_search:
                break
            kept = row
        else:
            if rtt_ns == NO_RTT and segments[row].end_seq == ack:
                rtt_ns = now_ns - segments[row].ts_ns
            if kept < 0:
                flow.first_segment = behind
            else:
                segments[kept].next = behind
            if behind < 0:
                flow.last_segment = kept
            segments[row].next = pool[POOL_FREE]
            pool[POOL_FREE] = row
            pool[POOL_USED] -= 1
            flow.segments -= 1
        row = behind
    return rtt_ns


@kernel
def drop_segments(flow: np.void, segments: Records, pool: Counters) -> None:
    """Give all segments of a direction back to the pool."""
    if flow.segments > 0:
        segments[flow.last_segment].next = pool[POOL_FREE]
        pool[POOL_FREE] = flow.first_segment
        pool[POOL_USED] -= flow.segments
        flow.segments = 0
        flow.first_segment = -1
        flow.last_segment = -1
