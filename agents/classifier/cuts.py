"""Where the network is given cuts: ramps over a feature, as trees put their cuts between its values.

Requests differ in a few bytes. A network that sees a length as one number learns such differences slowly; with ramps
between the values that occur it sees them at once (piecewise-linear encoding: Gorishniy, Rubachev and Babenko,
NeurIPS 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from schemas.classes import BENIGN, N_CLASSES
from schemas.flows import FEATURE_NAMES, N_FEATURES

CUT_FEATURES = tuple(
    FEATURE_NAMES.index(name)
    for name in (
        "Total Fwd Packets",
        "Total Backward Packets",
        "Total Length of Fwd Packets",
        "Total Length of Bwd Packets",
        "Fwd Packet Length Max",
        "Fwd Packet Length Mean",
        "Bwd Packet Length Max",
        "Bwd Packet Length Mean",
        "Fwd Header Length",
        "Bwd Header Length",
        "Packet Length Std",
        "Init_Win_bytes_forward",
        "Init_Win_bytes_backward",
        "min_seg_size_forward",
    )
)
"""What is exact on every link: counts, lengths, headers and windows."""

LEAST_GAP = 1e-3
"""Standard deviations that two ends of ramps are apart at least: closer values are one."""

_DRAWN = 60_000
"""Flows that the values are looked up in."""


BENIGN_WEIGHT, OWN_WEIGHT = 4.0, 3.0
"""Classes count alike, benign flows so many times, and our own flows so many times."""


@dataclass(frozen=True)
class Cuts:
    """Ramps min(1, max(0, weight · state + bias)), each over one feature.

    Parameters
    ----------
    weight : array (n_cuts, 78) of float32
        One number above 0 in each row.
    bias : array (n_cuts,) of float32
    """

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]


def cuts_of(
    states: npt.NDArray[np.float32], numbers: npt.NDArray[np.int64], most: int, chance: np.random.Generator
) -> Cuts:
    """Return ramps between the values that occur.

    Of a feature with more values than ``most`` allows, frequent ones are ends of ramps, and the others are at
    quantiles.

    Parameters
    ----------
    states : array (n_flows, 78)
        Scaled features.
    numbers : array (n_flows,)
        Class and source of each; see ``training.strata``.
    most : int
        Ramps of a feature at most; 0 for none.
    chance : numpy.random.Generator
    """
    found: list[tuple[int, float, float]] = []
    if most:
        strata = np.arange(2 * N_CLASSES)
        shares = np.where(strata % N_CLASSES == BENIGN, BENIGN_WEIGHT, 1.0)
        shares[N_CLASSES:] *= OWN_WEIGHT
        weights = (shares / np.maximum(1, np.bincount(numbers, minlength=len(strata))))[numbers]
        rows = chance.choice(len(states), _DRAWN, p=weights / weights.sum())
        for feature in CUT_FEATURES:
            ends = _ends(states[rows, feature].astype(np.float64), most)
            found += [(feature, low, high) for low, high in pairwise(ends)]
    weight, bias = np.zeros((len(found), N_FEATURES), np.float32), np.zeros(len(found), np.float32)
    for number, (feature, low, high) in enumerate(found):
        weight[number, feature], bias[number] = 1 / (high - low), -low / (high - low)
    return Cuts(weight, bias)


def _ends(values: npt.NDArray[np.float64], most: int) -> list[float]:
    """Return where ramps begin and end, ascending; so many and one at most."""
    occurring, counts = np.unique(values, return_counts=True)
    ends = occurring
    if len(occurring) > most + 1:
        frequent = occurring[counts >= len(values) / most]
        rest = values[~np.isin(values, frequent)]
        places = np.quantile(rest, np.linspace(0, 1, max(2, most - 1 - len(frequent)))) if len(rest) else rest
        ends = np.unique(np.concatenate([frequent, occurring[[0, -1]], places]))
    kept: list[float] = []
    for end in ends.tolist():
        if not kept or end - kept[-1] > LEAST_GAP:
            kept.append(end)
    return kept[: most + 1]
