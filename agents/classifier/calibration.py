"""From Q-values to probabilities that mean what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

N_BINS = 15
"""Bins of confidence, equally wide (Guo et al., ICML 2017)."""

COOLEST, HOTTEST = 0.02, 2.0
"""Bounds of the temperature; Q-values lie between about -1.5 and 1."""


@dataclass(frozen=True)
class Calibration:
    """Temperature scaling (Guo et al., ICML 2017): probabilities are softmax(Q / temperature).

    One number cannot learn a rare class by heart, and does not change which verdict is best; a scale for each class can
    and does.
    """

    temperature: float

    @classmethod
    def fit(
        cls,
        q_values: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float64] | None = None,
    ) -> Calibration:
        """Learn the temperature under which labels are likeliest, on flows that did not train the network.

        Labels are softened as Platt (1999) does, by 1 in n + 2: n flows without a mistake do not prove certainty.

        Parameters
        ----------
        q_values : array (n_flows, 15)
        labels : array (n_flows,)
        weights : array (n_flows,), optional
            How much each counts; all alike unless given.
        """
        softening = 1 / (len(labels) + 2)
        weights = np.ones(len(labels)) if weights is None else weights

        def loss(log_temperature: float) -> float:
            logs = _log_softmax(q_values / np.exp(log_temperature))
            right = logs[np.arange(len(labels)), labels]
            losses = -((1 - softening) * right + softening * logs.mean(axis=1))
            return float(np.average(losses, weights=weights))

        found = minimize_scalar(loss, bounds=(np.log(COOLEST), np.log(HOTTEST)), method="bounded")
        return cls(float(np.exp(found.x)))

    def apply(self, q_values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return probabilities (n_flows, 15) that sum to 1."""
        return np.exp(_log_softmax(q_values / self.temperature)).astype(np.float32)


def _log_softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    logs: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


@dataclass(frozen=True)
class Reliability:
    """How often verdicts were right, by how sure they were.

    Parameters
    ----------
    flows : array (15,) of int64
        Flows in each bin of confidence.
    confidence, accuracy : array (15,) of float64
        Mean confidence, and share of right verdicts; 0 in empty bins.
    """

    flows: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean of abs(confidence - accuracy) over flows (Naeini et al., AAAI 2015)."""
        gaps = np.abs(self.confidence - self.accuracy)
        return float((self.flows * gaps).sum() / max(1, self.flows.sum()))


def reliability(probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> Reliability:
    """Compare the confidence of verdicts with how often they are right.

    Parameters
    ----------
    probabilities : array (n_flows, 15)
    labels : array (n_flows,)
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_right = probabilities.argmax(axis=1) == labels
    # A bin holds what is above its lower edge, up to and with its upper edge.
    bins = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    flows = np.bincount(bins, minlength=N_BINS)
    size = np.maximum(flows, 1)
    return Reliability(
        flows,
        np.bincount(bins, confidence, N_BINS) / size,
        np.bincount(bins, is_right.astype(np.float64), N_BINS) / size,
    )
