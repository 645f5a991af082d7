"""How good verdicts are, counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agents.classifier.calibration import Reliability, reliability
from schemas.classes import BENIGN, N_CLASSES


@dataclass(frozen=True)
class Scores:
    """What comes of comparing verdicts with labels.

    Parameters
    ----------
    confusion : array (15, 15) of int64
        Flows by class (row) and verdict (column).
    reliability : Reliability or None
        None without probabilities.
    """

    confusion: npt.NDArray[np.int64]
    reliability: Reliability | None = None

    @property
    def support(self) -> npt.NDArray[np.int64]:
        """Flows of each class (15,)."""
        flows: npt.NDArray[np.int64] = self.confusion.sum(axis=1)
        return flows

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Share of the verdicts of each class that are right (15,); 0 without any."""
        shares: npt.NDArray[np.float64] = np.diag(self.confusion) / np.maximum(1, self.confusion.sum(axis=0))
        return shares

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Share of the flows of each class that are named so (15,); 0 without any."""
        return np.diag(self.confusion) / np.maximum(1, self.support)

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """Harmonic mean of the two (15,)."""
        both = self.support + self.confusion.sum(axis=0)
        means: npt.NDArray[np.float64] = 2 * np.diag(self.confusion) / np.maximum(1, both)
        return means

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that occur as label or verdict, as scikit-learn counts."""
        occurs = (self.support + self.confusion.sum(axis=0)) > 0
        return float(self.f1[occurs].mean())

    @property
    def weighted_f1(self) -> float:
        """Mean F1 over the flows."""
        return float((self.f1 * self.support).sum() / max(1, self.support.sum()))

    @property
    def false_alarms(self) -> int:
        """Benign flows that were called an attack."""
        return int(self.support[BENIGN] - self.confusion[BENIGN, BENIGN])

    @property
    def false_alarms_per_10_000(self) -> float:
        """Of 10,000 benign flows, those that are called an attack."""
        return 10_000 * self.false_alarms / max(1, int(self.support[BENIGN]))

    @property
    def missed(self) -> int:
        """Attack flows that were called benign."""
        return int(self.confusion[:, BENIGN].sum() - self.confusion[BENIGN, BENIGN])


def scores(labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.floating]) -> Scores:
    """Count verdicts, the likeliest class each.

    Parameters
    ----------
    labels : array (n_flows,)
    probabilities : array (n_flows, 15)
    """
    return Scores(confusion(labels, probabilities.argmax(axis=1)), reliability(probabilities, labels))


def confusion(labels: npt.NDArray[np.int64], verdicts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Count flows (15, 15) by class and verdict."""
    return np.bincount(labels * N_CLASSES + verdicts, minlength=N_CLASSES**2).reshape(N_CLASSES, N_CLASSES)


def macro_f1(labels: npt.NDArray[np.int64], verdicts: npt.NDArray[np.int64]) -> float:
    """Return the mean F1 over the classes."""
    return Scores(confusion(labels, verdicts)).macro_f1
