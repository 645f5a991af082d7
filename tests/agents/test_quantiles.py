from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.quantiles import RELATIVE_ERROR, Quantiles

VALUES = st.lists(
    st.floats(0, 1e12, allow_subnormal=False).filter(lambda v: v == 0 or v > 1e-6), min_size=1, max_size=300
)


def learnt(values: list[float], weight: float = 1.0) -> Quantiles:
    quantiles = Quantiles()
    for value in values:
        quantiles.learn(value, weight)
    return quantiles


@given(VALUES, st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_within_one_percent_of_numpys(values: list[float], share: float) -> None:
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    assert math.isclose(learnt(values).value_at(share), exact, rel_tol=RELATIVE_ERROR + 1e-9)


def test_quantiles_of_a_heavy_tail_are_numpys() -> None:
    values = np.random.default_rng(1).pareto(1.5, 20_000) * 10_000
    quantiles = learnt(values.tolist())
    for share in (0.5, 0.95, 0.99):
        assert math.isclose(quantiles.value_at(share), np.quantile(values, share), rel_tol=0.011)


@given(VALUES, VALUES)
def test_two_sketches_add_up_to_that_of_all_values(one: list[float], other: list[float]) -> None:
    together = learnt(one)
    together.add(learnt(other))
    both = learnt(one + other)
    assert [together.value_at(share) for share in (0, 0.5, 0.99)] == [both.value_at(share) for share in (0, 0.5, 0.99)]
    assert (together.least, together.greatest, together.weight) == (both.least, both.greatest, both.weight)


def test_a_light_value_counts_little() -> None:
    quantiles = learnt([10.0] * 99)
    quantiles.learn(1e9, 0.05)
    assert math.isclose(quantiles.value_at(0.99), 10, rel_tol=0.01)
    assert quantiles.value_at(1.0) == 1e9


def test_without_values_there_is_no_quantile() -> None:
    quantiles = Quantiles()
    quantiles.learn(5.0, 0.0)
    assert math.isnan(quantiles.value_at(0.5))


@given(VALUES)
def test_a_restored_sketch_is_the_same(values: list[float]) -> None:
    quantiles = learnt(values)
    restored = Quantiles.restore(json.loads(json.dumps(quantiles.state())))
    restored.learn(7.0, 1.0)
    quantiles.learn(7.0, 1.0)
    assert restored.state() == quantiles.state()
