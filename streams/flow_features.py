"""The 78 features of flows, from the sums that the flow table keeps.

Definitions and names are CICFlowMeter's (``BasicFlow.dumpFlowBasedFeaturesEx``); docs/flows.md lists them with what
each mode does differently. Means, sample deviations and the like are those of Apache Commons Math's
``SummaryStatistics``, computed from exact sums instead of value by value.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from schemas.flows import FEATURE_NAMES, N_FEATURES
from streams.flow_state import (
    COMPATIBLE,
    CORRECTED,
    PORTS_WORD,
    Written,
)
from streams.flow_update import PSH, URG
from streams.jit import kernel
from streams.tcp_state import I64, Record

F64: TypeAlias = float | np.float64
Row: TypeAlias = NDArray[np.float32]

_PORT = FEATURE_NAMES.index("Destination Port")
_DURATION = FEATURE_NAMES.index("Flow Duration")
_PACKETS = FEATURE_NAMES.index("Total Fwd Packets")
_PAYLOADS = FEATURE_NAMES.index("Total Length of Fwd Packets")
_SIDE_LENGTHS = FEATURE_NAMES.index("Fwd Packet Length Max")
_FLOW_RATES = FEATURE_NAMES.index("Flow Bytes/s")
_FLOW_IAT = FEATURE_NAMES.index("Flow IAT Mean")
_SIDE_IATS = FEATURE_NAMES.index("Fwd IAT Total")
_SIDE_FLAGS = FEATURE_NAMES.index("Fwd PSH Flags")
_HEADERS = FEATURE_NAMES.index("Fwd Header Length")
_SIDE_RATES = FEATURE_NAMES.index("Fwd Packets/s")
_LENGTHS = FEATURE_NAMES.index("Min Packet Length")
_FLAGS = FEATURE_NAMES.index("FIN Flag Count")
_RATIO = FEATURE_NAMES.index("Down/Up Ratio")
_HEADERS_AGAIN = FEATURE_NAMES.index("Fwd Header Length.1")
_BULKS = FEATURE_NAMES.index("Fwd Avg Bytes/Bulk")
_SUBFLOWS = FEATURE_NAMES.index("Subflow Fwd Packets")
_WINDOWS = FEATURE_NAMES.index("Init_Win_bytes_forward")
_PAUSES = FEATURE_NAMES.index("Active Mean")
"""Where groups of features begin."""

_BULK_FEATURES = 3
_PAUSE_FEATURES = 4


@kernel
def _variance(count: I64, total: I64, squares: I64) -> F64:
    """Return the sample variance of integers from their sums, without cancellation; 0 for fewer than two."""
    if count < 2:
        return 0.0
    mean = total // count
    rest = total - mean * count
    return max(0.0, float(squares - mean * (total + rest)) - float(rest) * float(rest) / count) / (count - 1)


@kernel
def _rate(amount: I64, duration_us: I64, mode: I64) -> F64:
    """Return an amount per second; without a duration 0, or what Java's division by zero gives."""
    if duration_us != 0:
        return amount / (duration_us / 1e6)
    if mode == CORRECTED:
        return 0.0
    return math.inf if amount > 0 else math.nan


@kernel
def _write_side(row: Row, index: I64, side: Record, duration_us: I64) -> None:
    """Write what belongs to one direction; ``index`` is 0 forward, 1 backward."""
    packets = np.int64(side.packets)
    row[_PACKETS + index] = packets
    row[_PAYLOADS + index] = side.payload
    row[_HEADERS + index] = side.header_bytes
    row[_SIDE_RATES + index] = packets / (duration_us / 1e6) if duration_us > 0 else 0.0
    at = _SIDE_LENGTHS + 4 * index
    if packets > 0:
        row[at], row[at + 1] = side.payload_max, side.payload_min
        row[at + 2] = row[_RATIO + 2 + index] = side.payload / packets
        row[at + 3] = math.sqrt(_variance(packets, side.payload, side.payload_squares))
    if packets > 1:
        at = _SIDE_IATS + 5 * index
        total_us = side.last_us - side.first_us
        row[at] = total_us
        row[at + 1] = total_us / (packets - 1)
        row[at + 2] = math.sqrt(_variance(packets - 1, total_us, side.iat_squares))
        row[at + 3], row[at + 4] = side.iat_max_us, side.iat_min_us


@kernel
def _write_flow_iat(row: Row, flow: Record, packets: I64, mode: I64) -> None:
    if packets > 1:
        total_us = flow.last_us - flow.start_us
        row[_FLOW_IAT] = total_us / (packets - 1)
        row[_FLOW_IAT + 1] = math.sqrt(_variance(packets - 1, total_us, flow.iat_squares))
        row[_FLOW_IAT + 2], row[_FLOW_IAT + 3] = flow.iat_max_us, flow.iat_min_us
    elif mode != CORRECTED:
        for at in range(_FLOW_IAT, _FLOW_IAT + 4):
            row[at] = math.nan


@kernel
def _write_lengths(row: Row, flow: Record, forward: Record, backward: Record, mode: I64) -> None:
    """Write the payloads of both directions; the compatible modes count that of the first packet twice."""
    packets = np.int64(forward.packets) + np.int64(backward.packets)
    total = forward.payload + backward.payload
    squares = forward.payload_squares + backward.payload_squares
    counted = packets
    if mode != CORRECTED:
        first = np.int64(flow.first_payload)
        counted, total, squares = packets + 1, total + first, squares + first * first
    row[_LENGTHS] = min(forward.payload_min, backward.payload_min)
    row[_LENGTHS + 1] = max(forward.payload_max, backward.payload_max)
    row[_LENGTHS + 2] = total / counted
    variance = _variance(counted, total, squares)
    row[_LENGTHS + 3], row[_LENGTHS + 4] = math.sqrt(variance), variance
    row[_RATIO + 1] = total / packets
    if forward.packets > 0:
        whole = np.int64(backward.packets) // np.int64(forward.packets)
        row[_RATIO] = backward.packets / forward.packets if mode == CORRECTED else float(whole)


@kernel
def _write_flags(row: Row, flow: Record, forward: Record, backward: Record, mode: I64) -> None:
    """Write the flags; CICFlowMeter of 2018 looks at the first packet only and mixes the columns up."""
    first = np.int64(flow.first_flags)
    if mode == CORRECTED:
        row[_SIDE_FLAGS], row[_SIDE_FLAGS + 1] = forward.psh, backward.psh
        row[_SIDE_FLAGS + 2], row[_SIDE_FLAGS + 3] = forward.urg, backward.urg
    else:
        row[_SIDE_FLAGS] = (first & PSH) // PSH
        row[_SIDE_FLAGS + 2] = (first & URG) // URG
    if mode == COMPATIBLE:
        # RST, PSH, ECE, SYN, ACK, FIN, URG, CWR: the order of a Java HashMap with these keys.
        for place, bit in enumerate((2, 3, 6, 1, 4, 0, 5, 7)):
            row[_FLAGS + place] = (first >> bit) & 1
        return
    row[_FLAGS], row[_FLAGS + 1], row[_FLAGS + 2] = flow.fin, flow.syn, flow.rst
    row[_FLAGS + 3] = np.int64(forward.psh) + np.int64(backward.psh)
    row[_FLAGS + 4] = flow.ack
    row[_FLAGS + 5] = np.int64(forward.urg) + np.int64(backward.urg)
    row[_FLAGS + 6], row[_FLAGS + 7] = flow.cwr, flow.ece


@kernel
def _write_bulks(row: Row, at: I64, side: Record) -> None:
    if side.bulks > 0:
        row[at] = side.bulk_payload // np.int64(side.bulks)
        row[at + 1] = np.int64(side.bulk_packets) // np.int64(side.bulks)
    if side.bulk_us != 0:
        row[at + 2] = float(np.int64(side.bulk_payload / (side.bulk_us / 1e6)))


@kernel
def _write_subflows(row: Row, forward: Record, backward: Record, mode: I64) -> None:
    """Write the averages by subflow: each packet counts as one, or the flow as one (2018)."""
    subflows = np.int64(forward.packets) + np.int64(backward.packets)
    if mode == COMPATIBLE:
        subflows = np.int64(1)
    row[_SUBFLOWS] = np.int64(forward.packets) // subflows
    row[_SUBFLOWS + 1] = forward.payload // subflows
    row[_SUBFLOWS + 2] = np.int64(backward.packets) // subflows
    row[_SUBFLOWS + 3] = backward.payload // subflows


@kernel
def _write_pauses(row: Row, at: I64, pause: Record) -> None:
    if pause.count > 0:
        row[at] = pause.mean_us
        row[at + 1] = math.sqrt(pause.squares / (pause.count - 1)) if pause.count > 1 else 0.0
        row[at + 2], row[at + 3] = pause.max_us, pause.min_us


@kernel
def _write_row(row: Row, written: Written, index: I64, mode: I64) -> None:
    flow = written.flows[index]
    forward, backward = flow.forward, flow.backward
    ports = written.keys[index, PORTS_WORD]
    shift = np.uint64(0) if flow.is_turned else np.uint64(16)
    duration_us = flow.last_us - flow.start_us
    packets = np.int64(forward.packets) + np.int64(backward.packets)
    row[_PORT] = np.int64((ports >> shift) & np.uint64(0xFFFF))
    row[_DURATION] = duration_us
    _write_side(row, 0, forward, duration_us)
    _write_side(row, 1, backward, duration_us)
    row[_FLOW_RATES] = _rate(forward.payload + backward.payload, duration_us, mode)
    row[_FLOW_RATES + 1] = _rate(packets, duration_us, mode)
    _write_flow_iat(row, flow, packets, mode)
    _write_lengths(row, flow, forward, backward, mode)
    _write_flags(row, flow, forward, backward, mode)
    row[_HEADERS_AGAIN] = forward.header_bytes
    if mode == CORRECTED:
        _write_bulks(row, _BULKS, forward)
    if mode != COMPATIBLE:
        _write_bulks(row, _BULKS + _BULK_FEATURES, backward)
    if mode != CORRECTED:
        # Where the bytes of a bulk backward belong, CICFlowMeter writes those of one forward.
        row[_BULKS + _BULK_FEATURES] = row[_BULKS]
    _write_subflows(row, forward, backward, mode)
    row[_WINDOWS], row[_WINDOWS + 1] = forward.window_bytes, backward.window_bytes
    row[_WINDOWS + 2], row[_WINDOWS + 3] = forward.data_packets, forward.header_min
    _write_pauses(row, _PAUSES, flow.active)
    _write_pauses(row, _PAUSES + _PAUSE_FEATURES, flow.idle)


@kernel
def _write_features(written: Written, mode: I64, features: Row) -> None:
    for index in range(len(features)):
        _write_row(features[index], written, index, mode)


def flow_features(written: Written, mode: int) -> Row:
    """Return the features of flow records, float32 of shape (n_records, 78), in the order of ``FEATURE_NAMES``.

    Parameters
    ----------
    mode : int
        Place of the mode in ``FlowMode``.
    """
    features = np.zeros((len(written.reason), N_FEATURES), np.float32)
    _write_features(written, mode, features)
    return features
