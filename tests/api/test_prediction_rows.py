from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import Refusal
from api.prediction_rows import MAX_ROWS, Batch, read_batch, read_list, read_one
from schemas.flows import N_FEATURES

ROW = [float(place) for place in range(N_FEATURES)]
COUNT = "Invalid input data: Expected 78 features, got {}"
NUMERIC = "Invalid input data: All features must be numeric"

FINITE = st.lists(
    st.one_of(st.floats(-(2.0**127), 2.0**127), st.integers(-(2**100), 2**100)),
    min_size=N_FEATURES,
    max_size=N_FEATURES,
)


def refused(read: Callable[[bytes], object], sent: object) -> Refusal:
    """Return how a body is refused; text is sent as it is."""
    with pytest.raises(Refusal) as caught:
        read(sent.encode() if isinstance(sent, str) else json.dumps(sent).encode())
    return caught.value


@settings(max_examples=30)
@given(FINITE)
def test_any_78_numbers_are_a_row(features: list[float]) -> None:
    row = read_one(json.dumps({"features": features}).encode())
    assert row.shape == (1, N_FEATURES)
    assert row.dtype == np.float32
    assert np.array_equal(row[0], np.array([float(value) for value in features]).astype(np.float32))


@settings(max_examples=20)
@given(st.lists(FINITE, max_size=3), st.booleans())
def test_rows_keep_their_order_and_ids(rows: list[list[float]], has_ids: bool) -> None:
    items = [{"features": row, **({"id": f"sample_{place}"} if has_ids else {})} for place, row in enumerate(rows)]
    batch = read_batch(json.dumps({"batch": items}).encode())
    assert batch.rows.shape == (len(rows), N_FEATURES)
    assert batch.ids == [f"sample_{place}" if has_ids else None for place in range(len(rows))]
    assert np.array_equal(batch.rows, read_list(json.dumps(items).encode()).rows)


def test_metadata_are_accepted_and_so_is_what_we_do_not_know() -> None:
    metadata = {"source_ip": "192.168.1.100", "timestamp": "2025-01-27T10:30:00Z"}
    assert read_one(json.dumps({"features": ROW, "metadata": metadata, "more": 1}).encode()).shape == (1, N_FEATURES)
    assert read_one(json.dumps({"features": ROW, "metadata": None}).encode()).shape == (1, N_FEATURES)


@pytest.mark.parametrize(
    ("features", "words", "error", "details"),
    [
        (ROW[:77], COUNT.format(77), "Invalid feature count", "Expected 78 features, received 77"),
        ([*ROW, 1.0], COUNT.format(79), "Invalid feature count", "Expected 78 features, received 79"),
        ([], COUNT.format(0), "Invalid feature count", "Expected 78 features, received 0"),
        (["1", *ROW[1:]], NUMERIC, "Invalid feature values", "Destination Port (feature 1) is not a number."),
        ([*ROW[:77], True], NUMERIC, "Invalid feature values", "Idle Min (feature 78) is not a number."),
        ([0.0, None, *ROW[2:]], NUMERIC, "Invalid feature values", "Flow Duration (feature 2) is not a number."),
        ([0.0, [1.0], *ROW[2:]], NUMERIC, "Invalid feature values", "Flow Duration (feature 2) is not a number."),
        ([float("nan"), *ROW[1:]], NUMERIC, "Invalid feature values", "Destination Port (feature 1) is not a finite"),
        ([0.0, float("-inf"), *ROW[2:]], NUMERIC, "Invalid feature values", "Flow Duration (feature 2) is not a fin"),
        ([1e39, *ROW[1:]], NUMERIC, "Invalid feature values", "Destination Port (feature 1) is not a finite number."),
        ([10**400, *ROW[1:]], NUMERIC, "Invalid feature values", "too large"),
    ],
)
def test_what_is_no_features_is_refused_in_the_documented_words(
    features: list[Any], words: str, error: str, details: str
) -> None:
    refusal = refused(read_one, {"features": features})
    assert (refusal.status, str(refusal), refusal.error) == (422, words, error)
    assert details in str(refusal.keys["details"])
    in_batch = refused(read_list, [{"features": ROW}, {"features": features}])
    assert (in_batch.status, str(in_batch), in_batch.error) == (422, words, error)
    assert "too large" in details or str(in_batch.keys["details"]).startswith(f"Item 1: {details}")


@pytest.mark.parametrize(
    ("read", "sent"),
    [
        (read_one, ""),
        (read_one, "{"),
        (read_one, '{"features": [1e999,]}'),
        (read_one, [ROW]),
        (read_one, {}),
        (read_one, {"features": "1,2,3"}),
        (read_one, {"features": {"0": 1}}),
        (read_one, {"features": ROW, "metadata": "x"}),
        (read_one, "[" * 5000),
        (read_list, {"features": ROW}),
        (read_list, [ROW]),
        (read_list, [None]),
        (read_batch, [{"features": ROW}]),
        (read_batch, {"batch": {"features": ROW}}),
        (read_batch, {"batch": [{"features": ROW, "id": 1.5}]}),
        (read_batch, {"batch": [{"features": ROW, "id": True}]}),
        (read_batch, {}),
    ],
)
def test_what_is_no_request_is_refused(read: Callable[[bytes], object], sent: object) -> None:
    refusal = refused(read, sent)
    assert refusal.status == 422
    assert str(refusal).startswith("Invalid input data: ")
    assert refusal.keys["details"]


@pytest.mark.parametrize(
    ("read", "wrap"), [(read_list, lambda items: items), (read_batch, lambda items: {"batch": items})]
)
def test_a_hundred_rows_are_read_and_one_more_is_too_many(
    read: Callable[[bytes], Batch], wrap: Callable[[list[object]], object]
) -> None:
    items: list[object] = [{"features": ROW}] * MAX_ROWS
    assert len(read(json.dumps(wrap(items)).encode()).rows) == 100
    refusal = refused(read, wrap([*items, {"features": ROW}]))
    assert (refusal.status, str(refusal)) == (413, "Batch size too large. Maximum 100 requests allowed.")
