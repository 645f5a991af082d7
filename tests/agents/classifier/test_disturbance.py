from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from agents.classifier.disturbance import Disturbance
from agents.classifier.plan import TrainingPlan
from agents.classifier.scaler import Scaler
from schemas.flows import FEATURE_NAMES, FEATURES
from tests.agents.classifier.labelled import features_of

STILL = TrainingPlan(noise=0, own_noise=0, port_mixing=0, window_mixing=(0, 0), length_mixing=0)
ROWS = np.arange(600)
RAW = features_of(np.tile(np.arange(15), 40))
SCALER = Scaler.fit(RAW)
STATES = SCALER.apply(RAW)
IS_OWN = ROWS % 2 == 1
PORT = FEATURE_NAMES.index("Destination Port")
WINDOWS = [FEATURE_NAMES.index(f"Init_Win_bytes_{way}") for way in ("forward", "backward")]


def disturbance(**changes: Any) -> Disturbance:
    torch.manual_seed(0)
    return Disturbance(torch.from_numpy(STATES), replace(STILL, **changes), SCALER)


def changed(**changes: Any) -> np.ndarray:
    found: np.ndarray = disturbance(**changes).of(ROWS, IS_OWN).numpy() - STATES
    return found


def test_lengths_of_our_own_flows_get_no_noise_and_their_times_less() -> None:
    change = changed(noise=0.1, own_noise=0.05)
    is_timed = np.array([feature.unit in ("us", "1/s", "bytes/s") for feature in FEATURES])
    assert not change[IS_OWN][:, ~is_timed].any()
    assert change[IS_OWN][:, is_timed].std() == pytest.approx(0.05, rel=0.1)
    assert change[~IS_OWN].std() == pytest.approx(0.1, rel=0.1)


def test_ports_of_other_flows_are_mixed_in_and_nothing_else() -> None:
    mixed = disturbance(port_mixing=0.3).of(ROWS, IS_OWN).numpy()
    is_other = mixed != STATES
    assert np.flatnonzero(is_other.any(axis=0)).tolist() == [PORT]
    assert 0.1 < is_other.any(axis=1).mean() <= 0.35
    assert set(mixed[:, PORT]) <= set(STATES[:, PORT])


def test_windows_of_our_own_flows_are_mixed_in_as_pairs_for_each_trunk_by_itself() -> None:
    one = disturbance(window_mixing=(0.2, 0.6))
    states = one.of(ROWS, IS_OWN)
    seen = [mixed.numpy() for mixed in one.with_other_windows(states, IS_OWN)]
    assert np.array_equal(states.numpy(), STATES)
    pairs = {tuple(pair) for pair in STATES[:, WINDOWS].tolist()}
    for mixed, least, most in zip(seen, (0.1, 0.4), (0.3, 0.7), strict=True):
        is_other = mixed != STATES
        assert set(np.flatnonzero(is_other.any(axis=0))) <= set(WINDOWS)
        assert not is_other[~IS_OWN].any()
        assert least < is_other[IS_OWN].any(axis=1).mean() < most
        assert {tuple(pair) for pair in mixed[:, WINDOWS].tolist()} <= pairs


def test_only_our_own_flows_get_other_lengths_as_many_as_the_plan_says() -> None:
    change = changed(length_mixing=0.4, length_spread=0.3)
    assert not change[~IS_OWN].any()
    assert 0.3 < change[IS_OWN].any(axis=1).mean() < 0.5


def test_without_its_scaler_lengths_stay() -> None:
    plan = replace(STILL, length_mixing=1.0)
    states = Disturbance(torch.from_numpy(STATES), plan).of(ROWS, IS_OWN)
    assert np.array_equal(states.numpy(), STATES)
