from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agents.classifier.calibration import COOLEST, HOTTEST, Calibration, reliability


def drawn(temperature: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Return Q-values, and labels drawn with the probabilities that they have at a temperature."""
    rng = np.random.default_rng(0)
    q_values = rng.uniform(-1, 1, (n, 15)).astype(np.float32)
    chances = Calibration(temperature).apply(q_values).astype(np.float64).cumsum(axis=1)
    return q_values, (rng.random((n, 1)) * chances[:, -1:] > chances).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.1, 0.4, 1.0])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    q_values, labels = drawn(temperature)
    found = Calibration.fit(q_values, labels)
    assert found.temperature == pytest.approx(temperature, rel=0.1)
    assert reliability(found.apply(q_values), labels).expected_error < 0.02


@given(
    arrays(np.float32, (4, 15), elements=st.floats(-10, 10, width=32)),
    st.floats(COOLEST, HOTTEST),
)
def test_probabilities_sum_to_one_and_keep_the_best_verdict(q_values: np.ndarray, temperature: float) -> None:
    probabilities = Calibration(temperature).apply(q_values)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities >= 0).all()
    rows = np.arange(len(q_values))
    assert (q_values[rows, probabilities.argmax(axis=1)] >= q_values.max(axis=1) - 1e-5).all()


def test_flows_without_a_mistake_do_not_prove_certainty() -> None:
    q_values = np.full((10, 15), -1, np.float32)
    q_values[:, 3] = 1
    found = Calibration.fit(q_values, np.full(10, 3))
    assert found.apply(q_values).max() < 0.95


def test_the_calibration_error_is_the_mean_gap_over_flows() -> None:
    probabilities = np.zeros((10, 15))
    probabilities[:, 0], probabilities[:, 1] = 0.8, 0.2
    labels = np.array([0] * 6 + [1] * 4)
    bins = reliability(probabilities, labels)
    assert bins.expected_error == pytest.approx(0.2)
    assert bins.flows.sum() == bins.flows.max() == 10
