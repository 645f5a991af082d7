"""Flow records as Arrow rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.enums import FlowEnd
from schemas.flows import FEATURE_VECTOR, FLOW_SCHEMA, N_FEATURES
from schemas.packets import IP_ADDRESS
from streams.arrays import UInt64s
from streams.community_id import ID_BYTES, community_ids
from streams.flow_features import flow_features
from streams.flow_state import HASH_WORD, KEY, Written
from streams.jit import kernel
from streams.split import mix
from streams.tcp_state import Records

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ENDS = pa.array([end.value for end in FlowEnd])
_MAX_WINDOW_ID = 2**32 - 1


@kernel
def _write_flow_ids(keys: UInt64s, flows: Records, flow_ids: UInt64s) -> None:
    for row in range(len(flow_ids)):
        begin = mix(np.uint64(flows[row].start_ns) + _GOLDEN) ^ np.uint64(flows[row].first_frame)
        flow_ids[row] = mix(keys[row, HASH_WORD] + _GOLDEN * mix(begin))


def flow_rows(written: Written, mode: int) -> pa.RecordBatch:
    """Return flow records with ``FLOW_SCHEMA``.

    Parameters
    ----------
    mode : int
        Place of the mode in ``FlowMode``.
    """
    keys, flows = written.keys.view(KEY)[:, 0], written.flows
    is_turned = flows["is_turned"] != 0
    src_ip = np.where(is_turned[:, np.newaxis], keys["high_ip"], keys["low_ip"])
    dst_ip = np.where(is_turned[:, np.newaxis], keys["low_ip"], keys["high_ip"])
    src_port = np.where(is_turned, keys["high_port"], keys["low_port"])
    dst_port = np.where(is_turned, keys["low_port"], keys["high_port"])
    icmp_type, icmp_code = np.ascontiguousarray(flows["icmp_type"]), np.ascontiguousarray(flows["icmp_code"])
    protocol = np.ascontiguousarray(keys["protocol"])
    flow_ids = np.empty(len(flows), np.uint64)
    _write_flow_ids(written.keys, flows, flow_ids)
    texts = community_ids(src_ip, dst_ip, src_port, dst_port, protocol, icmp_type, icmp_code)
    columns = {
        "flow_id": pa.array(flow_ids),
        "window_id": pa.array(np.minimum(flows["window"], _MAX_WINDOW_ID).astype(np.uint32)),
        "end_reason": pa.DictionaryArray.from_arrays(pa.array(written.reason.astype(np.int8)), _ENDS),
        "community_id": _fixed_texts(texts),
        "src_ip": _addresses(src_ip),
        "dst_ip": _addresses(dst_ip),
        "src_port": pa.array(src_port),
        "dst_port": pa.array(dst_port),
        "protocol": pa.array(protocol),
        "vlan": pa.array(np.ascontiguousarray(keys["vlan"])),
        "icmp_type": pa.array(icmp_type),
        "icmp_code": pa.array(icmp_code),
        "fwd_packets": pa.array(flows["forward"]["packets"].astype(np.uint64)),
        "bwd_packets": pa.array(flows["backward"]["packets"].astype(np.uint64)),
        "fwd_bytes": pa.array(flows["forward"]["wire_bytes"].astype(np.uint64)),
        "bwd_bytes": pa.array(flows["backward"]["wire_bytes"].astype(np.uint64)),
        "since_frame": pa.array(np.maximum(flows["first_frame"], flows["told_frame"] + np.uint64(1))),
        "new_fwd_packets": _new_packets(flows["forward"]),
        "new_bwd_packets": _new_packets(flows["backward"]),
        "start_ns": pa.array(np.ascontiguousarray(flows["start_ns"])),
        "end_ns": pa.array(np.ascontiguousarray(flows["last_ns"])),
        "first_frame": pa.array(np.ascontiguousarray(flows["first_frame"])),
        "last_frame": pa.array(np.ascontiguousarray(flows["last_frame"])),
        "features": _vectors(flow_features(written, mode)),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in FLOW_SCHEMA.names], schema=FLOW_SCHEMA)


def _new_packets(sides: Records) -> pa.Array:
    return pa.array((sides["packets"] - sides["told_packets"]).astype(np.uint64))


def _addresses(octets: NDArray[np.uint8]) -> pa.Array:
    return pa.Array.from_buffers(IP_ADDRESS, len(octets), [None, pa.py_buffer(octets)])


def _fixed_texts(texts: NDArray[np.uint8]) -> pa.Array:
    ends = np.arange(0, ID_BYTES * (len(texts) + 1), ID_BYTES, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(texts), [None, pa.py_buffer(ends), pa.py_buffer(texts)])


def _vectors(features: NDArray[np.float32]) -> pa.Array:
    values = pa.array(features.reshape(-1))
    return pa.Array.from_buffers(FEATURE_VECTOR, len(features), [None], children=[values])


def features_of(rows: pa.RecordBatch | pa.Table) -> NDArray[np.float32]:
    """Return the features of flow rows, float32 of shape (n_flows, 78); of a batch without a copy."""
    column = rows.column("features")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    vectors: NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, N_FEATURES)
    return vectors


def addresses_of(rows: pa.RecordBatch | pa.Table, name: str) -> NDArray[np.uint64]:
    """Return a column of addresses as two words each, uint64 of shape (n_flows, 2); of a batch without a copy."""
    column = rows.column(name)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    words: NDArray[np.uint64] = np.frombuffer(column.buffers()[1], np.uint64, 2 * len(column), 16 * column.offset)
    return words.reshape(-1, 2)
