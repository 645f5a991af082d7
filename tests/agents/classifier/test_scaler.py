from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agents.classifier.scaler import CLIP, Scaler
from tests.agents.classifier.labelled import features_of

FITTED = Scaler.fit(features_of(np.arange(15).repeat(20)))


@given(arrays(np.float32, (3, 78), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_any_finite_flow_stays_on_the_map(features: np.ndarray) -> None:
    before = features.copy()
    states = FITTED.apply(features)
    assert np.isfinite(states).all()
    assert np.abs(states).max() <= CLIP
    assert np.array_equal(features, before)


def test_the_training_flows_are_standardised_and_order_is_kept() -> None:
    states = FITTED.apply(features_of(np.arange(15).repeat(20)))
    varied = states.std(axis=0) > 0
    assert np.abs(states.mean(axis=0)).max() < 1e-3
    assert np.abs(states[:, varied].std(axis=0) - 1).max() < 0.01
    ladder = np.zeros((3, 78), np.float32)
    ladder[:, 0] = -5, 0, 5
    assert (np.diff(FITTED.apply(ladder)[:, 0]) > 0).all()
