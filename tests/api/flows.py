"""Flows and their packets as storage writes them."""

from __future__ import annotations

from itertools import count
from typing import Any

import pyarrow as pa

from infra.store import Store
from schemas.flows import N_FEATURES, STORED_FLOW_SCHEMA
from schemas.packets import STORED_PACKET_SCHEMA
from tests.api.stack import ORIGIN_NS, S, blank_of

_tokens = count()

FLOW_ID = 0x5D41402ABC4B2A76
COMMUNITY_ID = "1:LQU9qZlK+B5F3KDmev6m5PMibrg="


def mapped(number: int) -> bytes:
    """Return the mapped IPv4 address 10.0.0.NUMBER."""
    return bytes(10) + b"\xff\xff" + bytes([10, 0, 0, number])


def flow_values(capture_id: str, number: int = 0, **changed: Any) -> dict[str, Any]:
    """Return the values of an HTTPS connection that began in second ``number``."""
    start_ns = ORIGIN_NS + number * S
    values: dict[str, Any] = {
        "capture_id": capture_id,
        "flow_id": FLOW_ID + number,
        "end_reason": "fin",
        "community_id": COMMUNITY_ID,
        "src_ip": mapped(1),
        "dst_ip": mapped(2),
        "src_port": 40_000 + number,
        "dst_port": 443,
        "protocol": 6,
        "start_ns": start_ns,
        "end_ns": start_ns + S // 2,
        "first_frame": 1,
        "last_frame": 100,
        "fwd_packets": 3,
        "bwd_packets": 2,
        "fwd_bytes": 300,
        "bwd_bytes": 1200,
        "features": [number + place / 2 for place in range(N_FEATURES)],
    }
    return {**{field.name: blank_of(field) for field in STORED_FLOW_SCHEMA}, **values, **changed}


def insert_flows(store: Store, *values: dict[str, Any]) -> None:
    """Insert flow records."""
    rows = pa.Table.from_pylist(list(values), schema=STORED_FLOW_SCHEMA)
    store.insert("flows", rows, f"flows:{next(_tokens)}")


def packet_values(capture_id: str, frame: int, source: int, destination: int, **changed: Any) -> dict[str, Any]:
    """Return a packet of 10.0.0.``source`` in the middle of second 0; 10.0.0.1 is the client."""
    ports = (40_000, 443) if source == 1 else (443, 40_000)
    values: dict[str, Any] = {
        "capture_id": capture_id,
        "event_id": frame,
        "ts_ns": ORIGIN_NS + frame * 1_000_000,
        "frame": frame,
        "src_ip": mapped(source),
        "dst_ip": mapped(destination),
        "src_port": ports[0],
        "dst_port": ports[1],
        "protocol": 6,
        "tcp_flags": 0x12,
        "length_bytes": 100,
        "ttl": 64,
    }
    return {**{field.name: blank_of(field) for field in STORED_PACKET_SCHEMA}, **values, **changed}


def insert_packets(store: Store, *values: dict[str, Any]) -> None:
    """Insert packets."""
    rows = pa.Table.from_pylist(list(values), schema=STORED_PACKET_SCHEMA)
    store.insert("packet_logs", rows, f"flow-packets:{next(_tokens)}")
