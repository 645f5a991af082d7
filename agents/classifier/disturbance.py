"""What is changed of flows before a network learns from them, so that it goes by what stays the same elsewhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from agents.classifier.lengths import OtherLengths
from agents.classifier.plan import TrainingPlan
from agents.classifier.scaler import Scaler
from schemas.flows import FEATURE_NAMES, FEATURES

_PORT = FEATURE_NAMES.index("Destination Port")
_WINDOWS = [FEATURE_NAMES.index(f"Init_Win_bytes_{way}") for way in ("forward", "backward")]
_IS_TIMED = np.array([feature.unit in ("us", "1/s", "bytes/s") for feature in FEATURES])


class Disturbance:
    """Changes scaled features: adds noise, mixes in others' ports and windows, makes our own flows' lengths others.

    Parameters
    ----------
    states : tensor (n_flows, 78)
        Those whose ports and windows are mixed in.
    plan : TrainingPlan
    scaler : Scaler, optional
        Of the states; without it all lengths stay.
    """

    def __init__(self, states: torch.Tensor, plan: TrainingPlan, scaler: Scaler | None = None) -> None:
        self._states, self._plan = states, plan
        self._rng = np.random.default_rng(plan.seed)
        noise = [np.full(len(_IS_TIMED), plan.noise), np.where(_IS_TIMED, plan.own_noise, 0.0)]
        self._noise = torch.from_numpy(np.array(noise, np.float32)).to(states.device)
        self._lengths = OtherLengths(scaler, plan.length_spread) if scaler is not None else None

    def of(self, rows: npt.NDArray[np.int64], is_own: npt.NDArray[np.bool_]) -> torch.Tensor:
        """Return the states (n, 78) of rows (n,), changed; ``is_own`` (n,) says which are of our own flows."""
        states = self._states[rows]
        states = states + self._noise[torch.from_numpy(is_own.astype(np.int64))] * torch.randn_like(states)
        states = self._mixed(states, [_PORT], self._plan.port_mixing)
        if self._lengths is not None:
            others = self._drawn(len(rows), self._plan.length_mixing)
            others = others[is_own[others]]
            states[others] = self._lengths.of(states[others])
        return states

    def with_other_windows(
        self, states: torch.Tensor, is_own: npt.NDArray[np.bool_]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what each trunk sees of states (n, 78): some of those that ``is_own`` (n,) says have other windows."""
        first, second = (
            self._mixed(states.clone(), _WINDOWS, np.where(is_own, share, 0.0)) for share in self._plan.window_mixing
        )
        return first, second

    def _mixed(self, states: torch.Tensor, columns: list[int], shares: npt.NDArray[np.float64] | float) -> torch.Tensor:
        swapped = self._drawn(len(states), shares)
        others = self._rng.integers(0, len(self._states), len(swapped))
        for column in columns:
            states[swapped, column] = self._states[others, column]
        return states

    def _drawn(self, n: int, shares: npt.NDArray[np.float64] | float) -> npt.NDArray[np.int64]:
        return np.flatnonzero(self._rng.random(n) < shares)
