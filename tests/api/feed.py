"""Anomalies as storage writes them."""

from __future__ import annotations

from itertools import count
from typing import Any

import pyarrow as pa

from infra.store import Store
from schemas.anomalies import ANOMALY_SCHEMA
from tests.api.stack import ORIGIN_NS, S

_tokens = count()


def anomaly_values(capture_id: str, window_id: int = 0, **changed: Any) -> dict[str, Any]:
    """Return the values of a port scan."""
    start_ns = ORIGIN_NS + window_id * 10 * S
    values: dict[str, Any] = {
        "capture_id": capture_id,
        "window_id": window_id,
        "anomaly_id": f"{window_id:016x}",
        "run_id": "",
        "version": 1,
        "window_start_ns": start_ns,
        "window_end_ns": start_ns + 10 * S,
        "type": "port_scan",
        "signal": "vertical_scan",
        "severity": "high",
        "message": "Port scan detected: 10.0.0.9 tried 120 ports of 10.0.0.2",
        "metric": "distinct_ports",
        "current_value": 120.0,
        "threshold": 20.0,
        "baseline_mean": None,
        "deviation": None,
        "source_ip": "10.0.0.9",
        "destination_ip": "10.0.0.2",
        "flow_src": "",
        "flow_dst": "",
        "protocol": "",
        "subject": "10.0.0.9",
        "incident_id": "00000000000000aa",
        "incident_start_ns": ORIGIN_NS,
        "incident_count": window_id + 1,
        "folded": 0,
        "explanation": '{"signal": "vertical_scan", "value": 120.0, "unit": "ports", "threshold": 20.0, "rule": "r"}',
        "hosts": ["10.0.0.9", "10.0.0.2"],
        "flows": [],
    }
    return {**values, **changed}


def insert_anomalies(store: Store, *values: dict[str, Any]) -> None:
    """Insert anomalies."""
    store.insert("anomalies", pa.Table.from_pylist(list(values), schema=ANOMALY_SCHEMA), f"anomalies:{next(_tokens)}")
