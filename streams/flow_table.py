"""The hash table from keys to the slots of flows, and what ends flows without a packet of theirs."""

from __future__ import annotations

import numpy as np

from streams.arrays import UInt64s
from streams.flow_state import (
    CAPTURE_END,
    CLOCK_WORD,
    ENDED,
    EVICTED_END,
    FREE,
    GOES_ON,
    HASH_WORD,
    IDLE_END,
    INTERIM_END,
    KEY_WORDS,
    LIVE,
    LIVE_SHIFT,
    PACKET_WORD,
    PORTS_WORD,
    TOP,
    WINDOW,
    State,
    Written,
)
from streams.jit import kernel
from streams.split import mix
from streams.tcp_state import I64, Record

FINGERPRINT = np.uint64(0xFFFFFFFF00000000)
"""The part of the hash that an entry of the table repeats, so that a miss rarely costs a look at the key."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

MIN_INTERIM_PACKETS = 2
"""A flow of fewer has no interim record: it has no features but sizes, and a flood would be written twice."""


@kernel
def key_hash(
    low_high: np.uint64, low_low: np.uint64, high_high: np.uint64, high_low: np.uint64, ports: np.uint64
) -> np.uint64:
    """Return the hash of a key's five words."""
    low = mix(low_high + _GOLDEN) ^ low_low
    high = mix(high_high + ports) ^ high_low
    return mix(mix(low) + _GOLDEN * high)


@kernel
def find_slot(
    keys: UInt64s,
    table: UInt64s,
    mask: I64,
    hashed: np.uint64,
    ports: np.uint64,
    low_high: np.uint64,
    low_low: np.uint64,
    high_high: np.uint64,
    high_low: np.uint64,
) -> tuple[I64, I64]:
    """Return a key's place in the table and its slot, -1 when it is not there; keys and table are bare."""
    place = np.int64(hashed) & mask
    while table[place] != 0:
        if (table[place] ^ hashed) >> np.uint64(32) == 0:
            slot = np.int64(table[place] & np.uint64(0xFFFFFFFF)) - 1
            key = slot * KEY_WORDS
            if (
                keys[key + PORTS_WORD] == ports
                and keys[key] == low_high
                and keys[key + 1] == low_low
                and keys[key + 2] == high_high
                and keys[key + 3] == high_low
            ):
                return place, slot
        place = (place + 1) & mask
    return place, -1


@kernel
def take_slot(state: State) -> I64:
    """Return a free slot."""
    counters = state.counters
    counters[LIVE] += 1
    if counters[FREE] > 0:
        counters[FREE] -= 1
        return np.int64(state.free[counters[FREE]])
    counters[TOP] += 1
    return np.int64(counters[TOP] - 1)


@kernel
def rebuild_table(state: State) -> None:
    """Write the table anew from the live flows."""
    table = state.table
    mask = np.int64(len(table) - 1)
    table[:] = 0
    for slot in range(state.counters[TOP]):
        if (state.keys[slot, PORTS_WORD] >> np.uint64(LIVE_SHIFT)) & np.uint64(1):
            hashed = state.keys[slot, HASH_WORD]
            place = np.int64(hashed) & mask
            while table[place] != 0:
                place = (place + 1) & mask
            table[place] = (hashed & FINGERPRINT) | np.uint64(slot + 1)


@kernel
def write_record(state: State, written: Written, row: I64, slot: I64, reason: I64) -> I64:
    """Copy a flow out; return the row behind it."""
    written.keys[row, :] = state.keys[slot, :]
    written.flows[row] = state.flows[slot]
    written.reason[row] = reason
    state.ended[reason] += 1
    return row + 1


@kernel
def packets_of(flow: Record) -> I64:
    """Return the packets of a flow."""
    return np.int64(flow.forward.packets) + np.int64(flow.backward.packets)


@kernel
def is_interim_due(flow: Record, window: I64) -> bool:
    """Return whether a flow that goes on had packets in a window that is over, untold so far."""
    if flow.window >= window or flow.is_told != 0 or flow.closing != GOES_ON:
        return False
    return bool(packets_of(flow) >= MIN_INTERIM_PACKETS)


@kernel
def write_interim(state: State, written: Written, row: I64, slot: I64) -> I64:
    """Copy a flow out that goes on; what the next record has of new packets counts from here."""
    row = write_record(state, written, row, slot, INTERIM_END)
    flow = state.flows[slot]
    flow.is_told = 1
    flow.told_frame = flow.last_frame
    flow.forward.told_packets = flow.forward.packets
    flow.backward.told_packets = flow.backward.packets
    return row


@kernel
def quiet_end(closing: I64, quiet_ns: I64, idle_ns: I64, linger_ns: I64) -> I64:
    """Return why a flow that was quiet for so long has ended, or GOES_ON."""
    if closing == GOES_ON:
        return IDLE_END if quiet_ns > idle_ns else GOES_ON
    return closing if quiet_ns > linger_ns else GOES_ON


@kernel
def _release(state: State, slot: I64) -> None:
    """Make a slot free; the table still names it."""
    counters = state.counters
    state.keys[slot, PORTS_WORD] &= ~(np.uint64(1) << np.uint64(LIVE_SHIFT))
    state.free[counters[FREE]] = slot
    counters[FREE] += 1
    counters[LIVE] -= 1


@kernel
def sweep(
    state: State,
    written: Written,
    first_slot: I64,
    clock_ns: I64,
    idle_ns: I64,
    linger_ns: I64,
    singles_before: I64,
    others_before: I64,
) -> tuple[I64, I64]:
    """Write interim records, and end flows that are over or evicted; the table must be rebuilt afterwards.

    Parameters
    ----------
    first_slot : int
        Slot to begin with.
    clock_ns : int
        The capture's clock, ns.
    idle_ns, linger_ns : int
        Longest quiet time of an open and of a closing flow, ns.
    singles_before, others_before : int
        Flows of one packet, and others, are evicted when their last packet has a lower number.

    Returns
    -------
    slot : int
        Slot to go on with, when ``written`` is full.
    rows : int
        Records written.
    """
    counters, limit = state.counters, len(written.reason) - 2
    rows: I64 = 0
    for slot in range(first_slot, counters[TOP]):
        if rows > limit:
            return slot, rows
        if (state.keys[slot, PORTS_WORD] >> np.uint64(LIVE_SHIFT)) & np.uint64(1) == 0:
            continue
        flow = state.flows[slot]
        closing: I64 = np.int64(flow.closing)
        reason: I64 = closing
        if closing != ENDED:
            if is_interim_due(flow, counters[WINDOW]):
                rows = write_interim(state, written, rows, slot)
            reason = quiet_end(closing, clock_ns - np.int64(state.keys[slot, CLOCK_WORD]), idle_ns, linger_ns)
            if reason == GOES_ON and (singles_before > 0 or others_before > 0):
                before = singles_before if packets_of(flow) == 1 else others_before
                if np.int64(state.keys[slot, PACKET_WORD]) < before:
                    reason = EVICTED_END
            if reason == GOES_ON:
                continue
            rows = write_record(state, written, rows, slot, reason)
        _release(state, slot)
    return counters[TOP], rows


@kernel
def end_all(state: State, written: Written, first_slot: I64) -> tuple[I64, I64]:
    """End the flows from a slot on, as the capture is over; return the slot to go on with and the records written."""
    counters = state.counters
    rows: I64 = 0
    for slot in range(first_slot, counters[TOP]):
        if rows >= len(written.reason):
            return slot, rows
        if (state.keys[slot, PORTS_WORD] >> np.uint64(LIVE_SHIFT)) & np.uint64(1):
            closing: I64 = np.int64(state.flows[slot].closing)
            if closing != ENDED:
                rows = write_record(state, written, rows, slot, CAPTURE_END if closing == GOES_ON else closing)
            _release(state, slot)
    return counters[TOP], rows
