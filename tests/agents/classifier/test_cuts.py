from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.classifier.cuts import CUT_FEATURES, LEAST_GAP, Cuts, cuts_of
from agents.classifier.network import Architecture, DuelingNetwork
from schemas.classes import N_CLASSES
from schemas.flows import N_FEATURES

LENGTH, TIME = CUT_FEATURES[2], 1


def states_of(lengths: list[float]) -> np.ndarray:
    states = np.zeros((len(lengths), N_FEATURES), np.float32)
    states[:, LENGTH] = lengths
    states[:, TIME] = np.arange(len(lengths))
    return states


def cuts(states: np.ndarray, most: int) -> Cuts:
    return cuts_of(states, np.arange(len(states)) % (2 * N_CLASSES), most, np.random.default_rng(0))


def ramps(found: Cuts, states: np.ndarray) -> np.ndarray:
    return np.clip(states @ found.weight.T + found.bias, 0, 1)


def test_every_cut_is_a_ramp_over_one_exact_feature() -> None:
    found = cuts(states_of([0.0, 0.1, 0.25, 1.0] * 60), 8)
    assert found.weight.shape == (3, N_FEATURES)
    assert ((found.weight > 0).sum(axis=1) == 1).all()
    assert set(found.weight.argmax(axis=1)) == {LENGTH}


def test_neighbouring_values_differ_by_a_whole_ramp() -> None:
    values = [0.0, 0.1, 0.103, 0.25, 1.0]
    seen = ramps(cuts(states_of(values * 60), 8), states_of(values))
    assert np.allclose(np.diff(seen.sum(axis=1)), 1, atol=1e-4)
    assert ramps(cuts(states_of(values * 60), 8), states_of([-3.0, 7.0])).sum(axis=1).tolist() == [0, 4]


def test_of_many_values_the_frequent_ones_are_ends_and_no_feature_has_more_cuts_than_allowed() -> None:
    chance = np.random.default_rng(1)
    states = states_of([*chance.normal(0, 1, 900).tolist(), *[0.5] * 300])
    found = cuts(states, 6)
    assert 2 <= len(found.bias) <= 6
    lows = -found.bias / found.weight[:, LENGTH]
    assert np.isclose(lows, 0.5, atol=1e-5).any()


def test_values_that_are_as_good_as_one_have_no_cut_between_them() -> None:
    assert len(cuts(states_of([0.0, LEAST_GAP / 2] * 60), 8).bias) == 0
    assert len(cuts(states_of([0.0, 1.0] * 60), 0).bias) == 0


@pytest.mark.parametrize("n_cuts", [0, 5])
def test_a_network_sees_its_cuts_beside_the_features_and_never_learns_them(n_cuts: int) -> None:
    states = states_of([0.0, 0.1, 0.2, 0.5, 0.6, 1.0] * 40)
    found = cuts(states, n_cuts)
    network = DuelingNetwork(Architecture(width=8, n_cuts=len(found.bias)))
    network.put(found)
    seen = network.encoded(torch.from_numpy(states)).numpy()
    assert seen.shape == (len(states), N_FEATURES + n_cuts)
    assert np.allclose(seen[:, N_FEATURES:], ramps(found, states), atol=1e-4)
    assert not any(name.startswith("cuts") and one.requires_grad for name, one in network.named_parameters())
