"""Making and growing the arrays of a conversation tracker."""

from __future__ import annotations

import numpy as np

from streams.arrays import enlarged
from streams.conversation_table import (
    CLOCK,
    FREE,
    HISTORY_WORDS,
    KEY_WORDS,
    RETIRED,
    SWEEP_AT,
    TOP,
    Results,
    State,
    rebuild_table,
)
from streams.tcp_state import FLOW, HANDSHAKE, POOL_FREE, POOL_TOP, POOL_USED

_LONG_AGO_NS = -(1 << 62)
_FIRST_SLOTS = 256
_COUNTERS = 9


def blank_state(slots: int = _FIRST_SLOTS, rows: int = _FIRST_SLOTS) -> State:
    """Return the state of a tracker that has seen nothing.

    Parameters
    ----------
    slots : int
        Conversations it has room for; a power of two.
    rows : int
        Unacknowledged segments it has room for.
    """
    counters = np.zeros(_COUNTERS, np.int64)
    counters[CLOCK] = _LONG_AGO_NS
    counters[SWEEP_AT] = _LONG_AGO_NS
    pool = np.zeros(3, np.int64)
    pool[POOL_FREE] = -1
    return State(
        keys=np.zeros((slots, KEY_WORDS), np.uint64),
        flows=np.zeros(2 * slots, FLOW),
        handshakes=np.zeros(slots, HANDSHAKE),
        segments=np.zeros((rows, 2), np.int64),
        pool=pool,
        table=np.zeros(2 * slots, np.uint64),
        free=np.zeros(slots, np.int32),
        retired=np.zeros(slots, np.int32),
        counters=counters,
        histories=np.zeros((slots, HISTORY_WORDS), np.int64),
    )


def _power_of_two(at_least: int) -> int:
    return 1 << max(at_least - 1, 1).bit_length()


def grow_state(state: State, packets: int) -> State:
    """Return the state with room for ``packets`` new conversations and as many segments.

    Arrays double, so that growing costs a constant per conversation over time.
    """
    used, free, retired = (int(state.counters[of]) for of in (TOP, FREE, RETIRED))
    slots = used - free + packets
    if slots > len(state.free):
        slots = _power_of_two(slots)
        state = state._replace(
            keys=enlarged(state.keys, used, slots),
            flows=enlarged(state.flows, 2 * used, 2 * slots),
            handshakes=enlarged(state.handshakes, used, slots),
            table=np.zeros(2 * slots, np.uint64),
            free=enlarged(state.free, free, slots),
            retired=enlarged(state.retired, retired, slots),
            histories=enlarged(state.histories, used, slots),
        )
        rebuild_table(state)
    rows = int(state.pool[POOL_USED]) + packets
    if rows > len(state.segments):
        segments = enlarged(state.segments, int(state.pool[POOL_TOP]), _power_of_two(rows))
        state = state._replace(segments=segments)
    return state


def blank_results(n_packets: int) -> Results:
    """Return results that say nothing yet of each packet."""
    return Results(
        conversation=np.full(n_packets, -1, np.int32),
        uid=np.zeros(n_packets, np.uint64),
        is_forward=np.zeros(n_packets, np.bool_),
        analysis=np.zeros(n_packets, np.uint16),
        ack_rtt_ns=np.full(n_packets, -1, np.int64),
        initial_rtt_ns=np.full(n_packets, -1, np.int64),
    )
