"""What the network sees of the features: logarithms, standardised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CLIP = 6.0
"""Standard deviations beyond which a value says no more: traffic unlike all training data stays on the map."""

LEAST_SCALE = 1e-3
"""Added to the standard deviation: a feature that never varied in training has none."""


@dataclass(frozen=True)
class Scaler:
    """Standardises sign(x)·log(1 + |x|): durations, sizes and rates spread over nine orders of magnitude.

    Parameters
    ----------
    mean, scale : array (78,) of float32
        Mean and standard deviation of the logarithms in the training rows.
    """

    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, features: npt.NDArray[np.float32], weights: npt.NDArray[np.float64] | None = None) -> Scaler:
        """Learn mean and scale from features (n_flows, 78), flows by their weights (n_flows,), alike unless given."""
        logs = _logs(features).astype(np.float64)
        mean = np.average(logs, axis=0, weights=weights)
        scale = np.sqrt(np.average((logs - mean) ** 2, axis=0, weights=weights)) + LEAST_SCALE
        return cls(mean.astype(np.float32), scale.astype(np.float32))

    def apply(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the scaled features (n_flows, 78), float32, between -6 and 6."""
        logs = _logs(features)
        logs -= self.mean
        logs /= self.scale
        return np.clip(logs, -CLIP, CLIP, out=logs)


def _logs(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    magnitude = np.abs(features)
    np.log1p(magnitude, out=magnitude)
    return np.copysign(magnitude, features, out=magnitude)
