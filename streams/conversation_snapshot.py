"""A conversation tracker's state as bytes: live entries only, compressed, no pickle."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.errors import WireError
from streams.conversation_state import blank_state, grow_state
from streams.conversation_table import (
    FREE,
    LIVE_SHIFT,
    PORTS_WORD,
    RETIRED,
    TCP,
    TOP,
    State,
    rebuild_table,
)
from streams.jit import kernel
from streams.octets import bare
from streams.tcp_segments import end_of, next_of, write_segment
from streams.tcp_state import I64, POOL_FREE, POOL_TOP, POOL_USED, Records, Words

_HEADER = struct.Struct("<4sHxxqqq")
"""Magic, version, capacity, idle time in ns, bytes of the body before compression."""

_MAGIC = b"swct"
_VERSION = 2
_CODEC = "zstd"
_PARTS = ("counters", "slots", "keys", "flows", "handshakes", "segments", "histories")


@kernel
def _list_segments(flows: Records, segments: Words, listed: Words) -> None:
    """Write the segments of all ``flows`` one direction after the other, each in the order of its list."""
    words = bare(segments)
    count: I64 = 0
    for index in range(len(flows)):
        row: I64 = np.int64(flows[index].first_segment)
        for _ in range(flows[index].segments):
            listed[count, 0] = segments[row, 0]
            listed[count, 1] = end_of(words, row)
            row = next_of(words, row)
            count += 1


@kernel
def _link_segments(flows: Records, chosen: Words, listed: Words, segments: Words, pool: Words) -> None:
    """Write listed segments into an empty pool, as the lists of the ``chosen`` flows one after the other."""
    words = bare(segments)
    row: I64 = np.int64(0)
    for index in chosen:
        flow = flows[index]
        flow.first_segment = row if flow.segments > 0 else -1
        for position in range(flow.segments):
            segments[row, 0] = listed[row, 0]
            write_segment(words, row, listed[row, 1], row + 1 if position + 1 < flow.segments else -1)
            row += 1
        flow.last_segment = row - 1 if flow.segments > 0 else -1
    pool[POOL_FREE], pool[POOL_TOP], pool[POOL_USED] = -1, row, row


def _tcp_rows(keys: NDArray[np.uint64], slots: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return which of the live ``slots`` are TCP, and the rows of their flows."""
    protocols = (keys[:, PORTS_WORD] >> np.uint64(32)) & np.uint64(0xFF)
    tcp_slots = slots[protocols == TCP]
    return tcp_slots, (2 * tcp_slots.astype(np.int64)[:, np.newaxis] + np.arange(2)).ravel()


def dump_state(state: State, capacity: int, idle_ns: int) -> bytes:
    """Return a tracker's state as bytes.

    Parameters
    ----------
    state : State
        With no retired slots.
    capacity : int
        Live conversations at most.
    idle_ns : int
        When a conversation has ended, ns.
    """
    is_live = state.keys[: state.counters[TOP], PORTS_WORD] >> np.uint64(LIVE_SHIFT) != 0
    slots = np.flatnonzero(is_live).astype(np.int32)
    keys = state.keys[slots]
    tcp_slots, flow_rows = _tcp_rows(keys, slots)
    flows = state.flows[flow_rows]
    segments = np.zeros((int(flows["segments"].sum()), 2), np.int64)
    _list_segments(flows, state.segments, segments)
    body = io.BytesIO()
    for part in (state.counters, slots, keys, flows, state.handshakes[tcp_slots], segments, state.histories[slots]):
        np.lib.format.write_array(body, part, allow_pickle=False)
    plain = body.getvalue()
    packed = pa.compress(plain, codec=_CODEC, asbytes=True)
    return _HEADER.pack(_MAGIC, _VERSION, capacity, idle_ns, len(plain)) + bytes(packed)


def _read_parts(snapshot: bytes) -> tuple[dict[str, NDArray[Any]], int, int]:
    """Return the arrays of a snapshot by name, the capacity and the idle time, ns."""
    try:
        magic, version, capacity, idle_ns, length = _HEADER.unpack_from(snapshot)
        if magic != _MAGIC or version != _VERSION:
            raise WireError("a snapshot of conversations that this version does not know")
        plain = pa.decompress(snapshot[_HEADER.size :], length, codec=_CODEC, asbytes=True)
        body = io.BytesIO(plain)
        parts = {name: np.lib.format.read_array(body, allow_pickle=False) for name in _PARTS}
    except (struct.error, pa.ArrowException, OSError, ValueError) as error:
        raise WireError(f"a snapshot of conversations that cannot be read: {error}") from error
    return parts, capacity, idle_ns


def load_state(snapshot: bytes) -> tuple[State, int, int]:
    """Return the state that ``dump_state`` wrote, every conversation in its old slot.

    Returns
    -------
    state : State
    capacity : int
        Live conversations at most.
    idle_ns : int
        When a conversation has ended, ns.

    Raises
    ------
    WireError
        When the bytes are no snapshot of this version.
    """
    parts, capacity, idle_ns = _read_parts(snapshot)
    counters, slots, segments = parts["counters"], parts["slots"], parts["segments"]
    state = blank_state()
    state.counters[:] = counters
    state.counters[FREE] = 0
    state.pool[POOL_USED] = len(segments)
    state = grow_state(state, 0)
    state.keys[slots] = parts["keys"]
    state.histories[slots] = parts["histories"]
    tcp_slots, flow_rows = _tcp_rows(parts["keys"], slots)
    state.flows[flow_rows] = parts["flows"]
    state.handshakes[tcp_slots] = parts["handshakes"]
    _link_segments(state.flows, flow_rows, segments, state.segments, state.pool)
    unused = np.setdiff1d(np.arange(counters[TOP], dtype=np.int32), slots)
    state.free[: len(unused)] = unused
    state.counters[FREE] = len(unused)
    state.counters[RETIRED] = 0
    rebuild_table(state)
    return state, capacity, idle_ns
