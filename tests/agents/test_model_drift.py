from __future__ import annotations

import logging
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.model_drift import DriftWatch, watched
from infra.store import Store
from schemas.enums import DriftSignal

SHARES = st.floats(0, 1, width=32)


def noisy(mean: float, n_values: int, seed: int) -> list[float]:
    return list(np.clip(np.random.default_rng(seed).normal(mean, 0.03, n_values), 0, 1))


@given(st.lists(SHARES, min_size=1, max_size=60))
def test_a_few_values_are_their_mean_and_no_change(values: list[float]) -> None:
    """ADWIN compares parts of a series from some dozen values on; short ones show nothing but chance."""
    found = watched(np.array(values[:9]))
    assert (found.changes, found.before, found.first) == (0, None, None)
    assert found.mean == pytest.approx(np.mean(values[:9]))


def test_a_level_that_stays_raises_no_alarm() -> None:
    assert watched(np.array(noisy(0.9, 2_000, seed=1))).changes == 0


def test_a_change_is_found_where_it_is() -> None:
    found = watched(np.array(noisy(0.95, 300, seed=2) + noisy(0.6, 200, seed=3)))
    assert found.changes == 1
    assert found.first == pytest.approx(300, abs=2)
    assert found.before == pytest.approx(0.95, abs=0.02)
    assert found.mean == pytest.approx(0.6, abs=0.02)


def test_what_comes_later_does_not_move_a_change_that_was_found() -> None:
    values = np.array(noisy(0.95, 300, seed=4) + noisy(0.6, 400, seed=5))
    first = {watched(values[:end]).first for end in range(400, 701, 100)}
    assert len(first) == 1


def insert(store: Store, model: str, capture_id: str, confidences: list[float]) -> None:
    rows = [
        {
            "model": model,
            "role": "champion",
            "capture_id": capture_id,
            "window_id": number // 4,
            "slot": number % 4,
            "verdicts": 10,
            "uncertain": 0,
            "attacks": 0,
            "confidence_sum": 10 * confidence,
            "outside_sum": 0.5,
            "last_ns": number,
            "seen_at": number // 4,
        }
        for number, confidence in enumerate(confidences)
    ]
    table = pa.Table.from_pylist(rows)
    seen_at = table.column("seen_at").cast(pa.timestamp("ms"))
    table = table.set_column(table.schema.get_field_index("seen_at"), "seen_at", seen_at)
    store.insert("model_windows", table, uuid4().hex)


def drift_of(store: Store, model: str) -> dict[str, dict[str, object]]:
    rows = store.query("SELECT * FROM model_drift_now WHERE model = {m:String}", {"m": model})
    return {str(row["signal"]): row for row in rows}


def test_drift_is_stored_and_told_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    model, capture_id = uuid4().hex[:12], uuid4().hex
    insert(store, model, capture_id, noisy(0.95, 120, seed=6))
    watch = DriftWatch(store)
    watch.look()
    assert drift_of(store, model)[DriftSignal.CONFIDENCE]["changes"] == 0
    store.delete_captures([capture_id])
    insert(store, model, capture_id, noisy(0.95, 120, seed=6) + noisy(0.5, 80, seed=7))
    with caplog.at_level(logging.WARNING):
        watch.look()
        insert(store, uuid4().hex[:12], capture_id, [0.5])
        watch.look()
        # Another process, or this one after a restart.
        DriftWatch(store).look()
    confidence, outside = (drift_of(store, model)[signal] for signal in DriftSignal)
    assert (confidence["changes"], confidence["changed_capture"]) == (1, capture_id)
    assert confidence["windows"] == 50
    assert confidence["verdicts"] == 2_000
    assert (outside["changes"], outside["mean"]) == (0, pytest.approx(0.05))
    told = [record.getMessage() for record in caplog.records if model in record.getMessage()]
    assert len(told) == 1
    assert "confidence" in told[0]
