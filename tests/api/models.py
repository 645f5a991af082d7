"""Verdicts of a champion and a challenger as storage writes them, and a topic that is stored at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pyarrow as pa

from agents.app import Received
from agents.model_storage import ModelStorage
from infra.model_topic import Headers, SendModels
from infra.store import Store
from schemas.classifications import STORED_CLASSIFICATION_SCHEMA
from schemas.enums import ModelRole
from tests.api.stack import blank_of

S = 10**9

_tokens = count()


def stored_at_once(store: Store) -> SendModels:
    """Return what sends to nobody but the storage stage."""
    storage = ModelStorage(store)

    def send(_: str, body: bytes, headers: Headers) -> None:
        told = {name: value for name, value in headers if isinstance(value, bytes)}
        storage.keep(Received("models", 0, next(_tokens), told, body))

    return send


def insert_verdicts(
    store: Store, capture_id: str, role: ModelRole, model: str, classes: Sequence[str], *, packets: int = 2
) -> None:
    """Insert one verdict for each class: of flows that began a second apart."""
    blank = {field.name: blank_of(field) for field in STORED_CLASSIFICATION_SCHEMA}
    rows = [
        {
            **blank,
            "capture_id": capture_id,
            "flow_id": number,
            "role": role.value,
            "model": model,
            "src_ip": bytes(16),
            "dst_ip": bytes(16),
            "start_ns": number * S,
            "end_ns": number * S,
            "end_reason": "fin",
            "fwd_packets": packets,
            "class_name": name,
            "confidence": 0.75,
            "outside": 0.25,
            "attack_probability": 0.0 if name == "BENIGN" else 1.0,
            "is_uncertain": False,
        }
        for number, name in enumerate(classes)
    ]
    table = pa.Table.from_pylist(rows, schema=STORED_CLASSIFICATION_SCHEMA)
    store.insert("classifications", table, f"test-verdicts:{next(_tokens)}")
