"""Verdicts: what a flow is, how sure that is, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from agents.classifier.bundle import SHIPPED, Bundle
from agents.classifier.features import checked, unwrapped
from agents.classifier.training import q_values_of
from schemas.classes import N_CLASSES
from schemas.flows import FEATURE_NAMES


@dataclass(frozen=True)
class Verdicts:
    """What the model says of flows.

    Parameters
    ----------
    classes : array (n_flows,) of int64
        The likeliest class of each, a number in ``CLASS_NAMES``.
    probabilities : array (n_flows, 15) of float32
        Calibrated; each row sums to 1.
    q_values : array (n_flows, 15) of float32
        Expected reward of each verdict.
    """

    classes: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    q_values: npt.NDArray[np.float32]

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """Probability of the verdict (n_flows,)."""
        highest: npt.NDArray[np.float32] = self.probabilities.max(axis=1)
        return highest


@dataclass(frozen=True)
class Reason:
    """One feature's part in a verdict.

    Parameters
    ----------
    feature : str
    value : float
        As it was given: µs, bytes.
    contribution : float
        What it adds to the Q-value of the verdict over that of the next best one.
    """

    feature: str
    value: float
    contribution: float


class Classifier:
    """A model, ready for use; may be shared by threads.

    Parameters
    ----------
    bundle : Bundle
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @classmethod
    def load(cls, path: Path = SHIPPED) -> Classifier:
        """Read a model bundle, the shipped one unless told; raises ModelError."""
        return cls(Bundle.load(path))

    def predict(self, features: npt.ArrayLike) -> Verdicts:
        """Name flows.

        Parameters
        ----------
        features : array-like (n_flows, 78)
            Raw values (µs, bytes), in the order of ``FEATURE_NAMES``.

        Raises
        ------
        FeaturesError
            When there are not 78 in a row, or one is not a finite number.
        """
        rows = checked(features)
        if not len(rows):
            nothing = np.empty((0, N_CLASSES), np.float32)
            return Verdicts(np.empty(0, np.int64), nothing, nothing)
        q_values = q_values_of(self.bundle.network, self._states(rows))
        probabilities = self.bundle.calibration.apply(q_values)
        return Verdicts(probabilities.argmax(axis=1), probabilities, q_values)

    def contributions(
        self, features: npt.ArrayLike, classes: npt.NDArray[np.int64], steps: int = 8
    ) -> npt.NDArray[np.float32]:
        """Say what each feature adds to verdicts, by integrated gradients (Sundararajan et al., ICML 2017).

        They are taken from the mean flow of the training data to the flow itself, of the Q-value of the verdict less
        that of the best other one. A row sums to what that difference has grown by on the way, up to the error of so
        many steps.

        Parameters
        ----------
        features : array-like (n_flows, 78)
        classes : array (n_flows,) of int64
            The verdicts to explain.
        steps : int
            Points on the way; the cost is that of so many passes forward and back.

        Returns
        -------
        array (n_flows, 78) of float32
        """
        states = torch.from_numpy(self._states(checked(features)))
        chosen = torch.from_numpy(classes)[:, None]
        with torch.inference_mode():
            others = self.bundle.network(states).scatter(1, chosen, -torch.inf).argmax(dim=1, keepdim=True)
        others = others.clone()
        total = torch.zeros_like(states)
        for step in range(steps):
            point = (states * ((step + 0.5) / steps)).requires_grad_()
            q_values = self.bundle.network(point)
            margin = (q_values.gather(1, chosen) - q_values.gather(1, others)).sum()
            total += torch.autograd.grad(margin, point)[0]
        contributions: npt.NDArray[np.float32] = (total * states / steps).numpy()
        return contributions

    def explain(self, features: npt.ArrayLike, classes: npt.NDArray[np.int64], top: int = 3) -> list[list[Reason]]:
        """Return the features that speak most for each verdict, strongest first; see ``contributions``."""
        rows = checked(features)
        parts = self.contributions(rows, classes)
        best = np.argsort(-parts, axis=1, kind="stable")[:, :top]
        return [
            [Reason(FEATURE_NAMES[place], float(row[place]), float(part[place])) for place in places]
            for row, part, places in zip(rows, parts, best, strict=True)
        ]

    def _states(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self.bundle.scaler.apply(unwrapped(rows))
