"""Which features are lengths, and whose: what changes when one side says the same at another length."""

from __future__ import annotations

import numpy as np
import torch

from agents.classifier.scaler import Scaler
from schemas.flows import FEATURE_NAMES, N_FEATURES

_OF_ONE_SIDE = (
    "Total Length of {way} Packets",
    "{way} Packet Length Max",
    "{way} Packet Length Min",
    "{way} Packet Length Mean",
    "{way} Packet Length Std",
    "Avg {way} Segment Size",
    "Subflow {way} Bytes",
    "{way} Avg Bytes/Bulk",
    "{way} Avg Bulk Rate",
)

_OF_BOTH = (
    "Flow Bytes/s",
    "Min Packet Length",
    "Max Packet Length",
    "Packet Length Mean",
    "Packet Length Std",
    "Packet Length Variance",
    "Average Packet Size",
)


def _places(names: tuple[str, ...], way: str = "") -> list[int]:
    return [FEATURE_NAMES.index(name.format(way=way)) for name in names]


def _effects() -> torch.Tensor:
    """Return by how much (2, 78) the logarithms of features grow when those of one side's lengths grow by 1."""
    effects = torch.zeros(2, N_FEATURES)
    for side, way in enumerate(("Fwd", "Bwd")):
        effects[side, _places(_OF_ONE_SIDE, way)] = 1
        effects[side, _places(_OF_BOTH)] = 0.5
    effects[:, FEATURE_NAMES.index("Packet Length Variance")] *= 2
    return effects


class OtherLengths:
    """Makes the flows that a program of the same kind would make, whose messages are longer or shorter.

    All lengths of one side of a flow grow by one factor, those of the other by another. Lengths of 0 stay. What is of
    both sides grows by the geometric mean of the factors, which is near enough.

    Parameters
    ----------
    scaler : Scaler
    spread : float
        Standard deviation of the factors' logarithms.
    """

    def __init__(self, scaler: Scaler, spread: float) -> None:
        self._effects = spread * _effects() / torch.from_numpy(scaler.scale)
        none = scaler.apply(np.zeros((1, N_FEATURES), np.float32)) + _LEEWAY
        self._none = torch.from_numpy(none)

    def of(self, states: torch.Tensor) -> torch.Tensor:
        """Return scaled features (n_flows, 78) with other lengths."""
        device = states.device
        growth = torch.randn(len(states), 2).to(device) @ self._effects.to(device)
        return torch.where(states > self._none.to(device), states + growth, states)


_LEEWAY = 0.02
"""Standard deviations from the state of a length of 0 that noise may have added to it."""
