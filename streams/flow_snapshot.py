"""A flow meter's state as bytes: live flows only, compressed, no pickle."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.errors import WireError
from streams.flow_state import (
    FLOW,
    FREE,
    KEY_WORDS,
    LIVE_SHIFT,
    PORTS_WORD,
    TOP,
    State,
    blank_state,
    grown_state,
)
from streams.flow_table import rebuild_table
from streams.snapshots import Snapshot, Value

KIND = "flow meter 2"
"""Raised with every change of the state's layout or of what its fields mean."""

_CODEC = "zstd"
_PARTS: dict[str, np.dtype[Any]] = {
    "counters": np.dtype(np.int64),
    "ended": np.dtype(np.int64),
    "slots": np.dtype(np.int32),
    "keys": np.dtype(np.uint64),
    "flows": FLOW,
}


def dump_state(state: State, settings: dict[str, Value]) -> bytes:
    """Return a meter's state as bytes.

    Parameters
    ----------
    settings : dict
        What the meter was made with.
    """
    is_live = (state.keys[: state.counters[TOP], PORTS_WORD] >> np.uint64(LIVE_SHIFT)) & np.uint64(1) != 0
    slots = np.flatnonzero(is_live).astype(np.int32)
    body = io.BytesIO()
    for part in (state.counters, state.ended, slots, state.keys[slots], state.flows[slots]):
        np.lib.format.write_array(body, part, allow_pickle=False)
    plain = body.getvalue()
    packed = pa.compress(plain, codec=_CODEC, asbytes=True)
    return Snapshot(KIND, {**settings, "plain_bytes": len(plain)}, [bytes(packed)]).to_bytes()


def _read_parts(packed: bytes, plain_bytes: int) -> dict[str, NDArray[Any]]:
    try:
        body = io.BytesIO(pa.decompress(packed, plain_bytes, codec=_CODEC, asbytes=True))
        parts = {name: np.lib.format.read_array(body, allow_pickle=False) for name in _PARTS}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise WireError(f"a snapshot of flows that cannot be read: {error}") from error
    if any(parts[name].dtype != dtype for name, dtype in _PARTS.items()):
        raise WireError("a snapshot of flows with other fields than this version knows")
    return parts


def load_state(snapshot: bytes) -> tuple[State, dict[str, Value]]:
    """Return the state that ``dump_state`` wrote, every flow in its old slot, and the settings.

    Raises
    ------
    WireError
        When the bytes are no snapshot of this version.
    """
    read = Snapshot.from_bytes(snapshot, KIND)
    (packed,) = read.bodies
    parts = _read_parts(packed, int(str(read.values["plain_bytes"])))
    counters, slots = parts["counters"], parts["slots"]
    state = grown_state(blank_state(), int(counters[TOP]))
    state.counters[:] = counters
    state.ended[:] = parts["ended"]
    state.keys[slots] = parts["keys"].reshape(-1, KEY_WORDS)
    state.flows[slots] = parts["flows"]
    unused = np.setdiff1d(np.arange(counters[TOP], dtype=np.int32), slots)
    state.free[: len(unused)] = unused
    state.counters[FREE] = len(unused)
    rebuild_table(state)
    return state, dict(read.values)
