from __future__ import annotations

import numpy as np
import torch

from agents.classifier.lengths import OtherLengths
from agents.classifier.scaler import Scaler
from schemas.flows import FEATURE_NAMES, N_FEATURES

FORWARD = [FEATURE_NAMES.index(name) for name in ("Total Length of Fwd Packets", "Fwd Packet Length Max")]
BACKWARD = [FEATURE_NAMES.index(name) for name in ("Total Length of Bwd Packets", "Bwd Packet Length Mean")]
BOTH, VARIANCE = (FEATURE_NAMES.index(name) for name in ("Packet Length Mean", "Packet Length Variance"))
OTHERS = [FEATURE_NAMES.index(name) for name in ("Flow Duration", "Total Fwd Packets", "Fwd Header Length")]

SCALER = Scaler(np.full(N_FEATURES, 5, np.float32), np.full(N_FEATURES, 2, np.float32))


def growth(features: np.ndarray, spread: float = 0.3) -> np.ndarray:
    """Return by how much the logarithms (n, 78) of features have grown."""
    torch.manual_seed(1)
    states = SCALER.apply(features)
    found: np.ndarray = (OtherLengths(SCALER, spread).of(torch.from_numpy(states)).numpy() - states) * SCALER.scale
    return found


def test_all_lengths_of_a_side_grow_alike_and_those_of_both_by_the_mean() -> None:
    grown = growth(np.full((50, N_FEATURES), 900, np.float32))
    ahead, back = grown[:, FORWARD[0]], grown[:, BACKWARD[0]]
    assert np.allclose(grown[:, FORWARD], ahead[:, None], atol=1e-5)
    assert np.allclose(grown[:, BACKWARD], back[:, None], atol=1e-5)
    assert np.abs(ahead - back).max() > 0.1
    assert np.allclose(grown[:, BOTH], (ahead + back) / 2, atol=1e-5)
    assert np.allclose(grown[:, VARIANCE], ahead + back, atol=1e-5)
    assert not grown[:, OTHERS].any()


def test_factors_spread_as_asked() -> None:
    grown = growth(np.full((4000, N_FEATURES), 900, np.float32), spread=0.2)
    assert abs(grown[:, FORWARD[0]].std() - 0.2) < 0.01
    assert abs(grown[:, FORWARD[0]].mean()) < 0.02


def test_what_is_not_said_stays_unsaid() -> None:
    features = np.full((20, N_FEATURES), 900, np.float32)
    features[:, BACKWARD] = 0
    grown = growth(features)
    assert not grown[:, BACKWARD].any()
    assert grown[:, FORWARD].any()
