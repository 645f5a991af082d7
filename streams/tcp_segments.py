"""The segments that wait for their acknowledgement, in linked lists through one shared pool.

A segment is two 64-bit words of the pool: its event time, ns; then the sequence number behind it (high half)
and the row of the next segment plus one, 0 at the end (low half). Kernels take the pool as ``bare`` words.

The list of a direction stands in order of the sequence number behind each segment, equal ones in
order of arrival, so that an acknowledgement takes a few from the front. That order only exists while
the list spans less than half of the sequence space; a list that outgrows it is searched in full until
it is empty again.
"""

from __future__ import annotations

import numpy as np

from streams.jit import kernel
from streams.tcp_state import I64, NO_RTT, POOL_FREE, POOL_TOP, POOL_USED, Record, Words, is_after


@kernel
def end_of(segments: Words, row: I64) -> I64:
    """Return the sequence number behind the segment in a row."""
    word: I64 = segments[2 * row + 1]
    return (word >> 32) & 0xFFFFFFFF


@kernel
def next_of(segments: Words, row: I64) -> I64:
    """Return the row of the segment that follows in its list, -1 at the end."""
    word: I64 = segments[2 * row + 1]
    return (word & 0xFFFFFFFF) - 1


@kernel
def write_segment(segments: Words, row: I64, end_seq: I64, next_row: I64) -> None:
    """Write the second word of a row."""
    segments[2 * row + 1] = (end_seq << 32) | (next_row + 1)


@kernel
def _take_row(segments: Words, pool: Words) -> I64:
    """Return a free row of the pool; the caller has seen to it that there is one."""
    row: I64 = pool[POOL_FREE]
    if row >= 0:
        pool[POOL_FREE] = next_of(segments, row)
    else:
        row = pool[POOL_TOP]
        pool[POOL_TOP] = row + 1
    pool[POOL_USED] += 1
    return row


@kernel
def _is_in_order(flow: Record, segments: Words, end_seq: I64) -> bool:
    """Return whether the list with one more segment spans less than half of the sequence space."""
    first_seq = end_of(segments, np.int64(flow.first_segment))
    last_seq = end_of(segments, np.int64(flow.last_segment))
    if is_after(first_seq, end_seq) and is_after(last_seq, end_seq):
        return ((last_seq - end_seq) & 0xFFFFFFFF) >> 31 == 0
    return ((end_seq - first_seq) & 0xFFFFFFFF) >> 31 == 0


@kernel
def add_segment(flow: Record, segments: Words, pool: Words, end_seq: I64, ts_ns: I64) -> None:
    """Remember a segment until it is acknowledged.

    Parameters
    ----------
    flow : record of FLOW
        The direction it was sent in.
    segments : int64 words
        The pool; must have a free row.
    pool : int64 words
        The pool's counters.
    end_seq : int
        Sequence number behind the segment.
    ts_ns : int
        Event time, ns.
    """
    row = _take_row(segments, pool)
    segments[2 * row] = ts_ns
    write_segment(segments, row, end_seq, -1)
    flow.segments += 1
    if flow.segments == 1:
        flow.first_segment = row
        flow.last_segment = row
        flow.is_sorted = 1
        return
    if flow.is_sorted and not _is_in_order(flow, segments, end_seq):
        flow.is_sorted = 0
    last = np.int64(flow.last_segment)
    last_seq = end_of(segments, last)
    if flow.is_sorted == 0 or not is_after(last_seq, end_seq):
        write_segment(segments, last, last_seq, row)
        flow.last_segment = row
        return
    before: I64 = np.int64(-1)
    behind: I64 = np.int64(flow.first_segment)
    while not is_after(end_of(segments, behind), end_seq):
        before = behind
        behind = next_of(segments, behind)
    write_segment(segments, row, end_seq, behind)
    if before < 0:
        flow.first_segment = row
    else:
        write_segment(segments, before, end_of(segments, before), row)


@kernel
def _needs_full_search(flow: Record, segments: Words, ack: I64) -> bool:
    """Return whether the segments that ``ack`` covers may stand anywhere in the list."""
    if flow.is_sorted == 0:
        return True
    first_seq = end_of(segments, np.int64(flow.first_segment))
    last_seq = end_of(segments, np.int64(flow.last_segment))
    return is_after(first_seq, ack) and not is_after(last_seq, ack)


@kernel
def take_acknowledged(flow: Record, segments: Words, pool: Words, ack: I64, now_ns: I64) -> I64:
    """Forget the segments that an acknowledgement covers and return the round trip it measures.

    Wireshark measures an acknowledgement against the segment that ends exactly there; of several, against
    the one seen first.

    Parameters
    ----------
    flow : record of FLOW
        The direction that is acknowledged.
    segments : int64 words
        The pool.
    pool : int64 words
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
    rtt_ns: I64 = NO_RTT
    is_full_search = _needs_full_search(flow, segments, ack)
    row: I64 = np.int64(flow.first_segment)
    kept: I64 = np.int64(-1)
    while row >= 0:
        behind = next_of(segments, row)
        end_seq = end_of(segments, row)
        if is_after(end_seq, ack):
            if not is_full_search:
                return rtt_ns
            kept = row
            row = behind
            continue
        if rtt_ns == NO_RTT and end_seq == ack:
            rtt_ns = now_ns - segments[2 * row]
        if kept < 0:
            flow.first_segment = behind
        else:
            write_segment(segments, kept, end_of(segments, kept), behind)
        if behind < 0:
            flow.last_segment = kept
        write_segment(segments, row, 0, pool[POOL_FREE])
        pool[POOL_FREE] = row
        pool[POOL_USED] -= 1
        flow.segments -= 1
        row = behind
    return rtt_ns


@kernel
def drop_segments(flow: Record, segments: Words, pool: Words) -> None:
    """Give all segments of a direction back to the pool."""
    if flow.segments > 0:
        write_segment(segments, np.int64(flow.last_segment), 0, pool[POOL_FREE])
        pool[POOL_FREE] = flow.first_segment
        pool[POOL_USED] -= flow.segments
        flow.segments = 0
        flow.first_segment = -1
        flow.last_segment = -1
