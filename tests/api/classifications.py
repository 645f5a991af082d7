"""Verdicts as storage writes them."""

from __future__ import annotations

from itertools import count
from typing import Any

import pyarrow as pa

from infra.store import Store
from schemas.classifications import FLOW_PARTS, STORED_CLASSIFICATION_SCHEMA
from tests.api.flows import flow_values
from tests.api.stack import blank_of

_tokens = count()

MODEL = "0123456789ab"


def verdict_values(capture_id: str, number: int = 0, **changed: Any) -> dict[str, Any]:
    """Return the values of the champion's verdict on a flow of ``flow_values``: a port scan, for three reasons."""
    flow = flow_values(capture_id, number)
    values: dict[str, Any] = {
        **{name: flow[name] for name in ("capture_id", "flow_id", *FLOW_PARTS)},
        "role": "champion",
        "model": MODEL,
        "class_name": "PortScan",
        "confidence": 0.75,
        "attack_probability": 0.875,
        "is_uncertain": False,
        "reason_features": ["Flow Duration", "Bwd Packets/s", "FIN Flag Count"],
        "reason_values": [0.5, 8.0, 0.0],
        "reason_contributions": [3.0, 2.0, 0.5],
    }
    return {**{field.name: blank_of(field) for field in STORED_CLASSIFICATION_SCHEMA}, **values, **changed}


def insert_verdicts(store: Store, *values: dict[str, Any]) -> None:
    """Insert verdicts, all in one insert."""
    rows = pa.Table.from_pylist(list(values), schema=STORED_CLASSIFICATION_SCHEMA)
    store.insert("classifications", rows, f"verdicts:{next(_tokens)}")
