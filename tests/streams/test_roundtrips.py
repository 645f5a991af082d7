from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.roundtrips import (
    MAX_EXACT,
    RELATIVE_ERROR,
    merge_round_trips,
    percentile,
    quantise,
    round_trips,
)


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_percentiles_are_nearest_rank(values: list[int], share: float) -> None:
    table = merge_round_trips([round_trips(np.array(values))])
    assert percentile(table, share) == sorted(values)[int(np.ceil(share * len(values))) - 1]


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile(round_trips(np.zeros(0, np.int64)), 0.95) is None


@given(st.lists(st.integers(0, 2**62), min_size=1))
def test_quantising_is_idempotent_and_keeps_its_error(values: list[int]) -> None:
    exact = np.array(values, np.uint64)
    once = quantise(exact)
    assert (quantise(once) == once).all()
    error = np.abs(once.astype(np.float64) - exact.astype(np.float64))
    assert (error <= RELATIVE_ERROR * exact.astype(np.float64) + 1).all()


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 4 * MAX_EXACT), max_size=4))
def test_sketching_does_not_depend_on_the_order_of_merging(seed: int, cuts: list[int]) -> None:
    values = np.random.default_rng(seed).integers(1_000, 10**12, 2 * MAX_EXACT)
    pieces = [round_trips(piece) for piece in np.split(values, sorted(cuts))]
    whole = merge_round_trips([round_trips(values)])
    stepwise = pieces[-1]
    for piece in pieces[-2::-1]:
        stepwise = merge_round_trips([stepwise, piece])
    merged = merge_round_trips([stepwise])
    assert whole.flags.all()
    assert (merged.keys == whole.keys).all()
    assert (merged.sums == whole.sums).all()
