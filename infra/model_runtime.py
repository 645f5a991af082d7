"""A model in use: names flows and says why, with ONNX Runtime."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state

from infra.model_bundle import TEMPERATURE, BundleContent, ModelFacts, read_bundle
from schemas.classes import N_CLASSES
from schemas.errors import FeaturesError, ModelError
from schemas.features import checked
from schemas.flows import N_FEATURES

ROWS_PER_PASS = 512
"""Flows of one forward pass; so many states and hidden layers stay in a processor's second-level cache."""

ROWS_PER_EXPLANATION = 16
"""Flows explained at a time: each is looked at in sixteen places."""

BEYOND = 4.0
"""Standard deviations from the mean beyond which at most a sixteenth of the training data lies (Chebyshev)."""

LEEWAY = 1e-3
"""By how much probabilities may miss a sum of 1."""

_ERRORS = tuple(
    kind for kind in vars(onnxruntime_pybind11_state).values() if isinstance(kind, type) and issubclass(kind, Exception)
)
"""What ONNX Runtime raises: a dozen kinds with nothing in common."""

_ONLY_ERRORS = 3
"""ONNX Runtime's severity; what goes wrong comes as an exception as well."""


@dataclass(frozen=True)
class Named:
    """What a model says of flows.

    Parameters
    ----------
    classes : array (n_flows,) of int64
        The likeliest class of each, a number in ``CLASS_NAMES``.
    probabilities : array (n_flows, 15) of float32
        Calibrated; each row sums to 1.
    """

    classes: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """Probability of the likeliest class (n_flows,)."""
        highest: npt.NDArray[np.float32] = self.probabilities.max(axis=1)
        return highest


class Model:
    """A model, ready for use: may be shared by threads, does not hold the GIL while it computes, uses one core.

    Parameters
    ----------
    content : BundleContent
    origin : str
        Where it is from, for the texts of errors.
    """

    def __init__(self, content: BundleContent, origin: str) -> None:
        self.facts: ModelFacts = content.facts
        self._origin = origin
        self._content = content
        self._serving = self._session(content.serving, content.numbers)
        self._reasons: onnxruntime.InferenceSession | None = None
        self._opening = threading.Lock()
        self._range = self._trained_range()
        self._check_shape()

    @classmethod
    def load(cls, path: Path) -> Model:
        """Read a bundle from a file; raises ``ModelError``."""
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise ModelError(f"There is no model {path}.") from error
        except OSError as error:
            raise ModelError(f"The model {path} cannot be read: {error.strerror}.") from error
        return cls.from_bytes(content, str(path))

    @classmethod
    def from_bytes(cls, content: bytes, origin: str) -> Model:
        """Read a bundle; nothing in it is executed.

        Parameters
        ----------
        content : bytes
        origin : str
            Where it is from, for the texts of errors.

        Raises
        ------
        ModelError
            When it is no bundle, is damaged, has no graph to serve, or is not for this version's features and classes.
        """
        return cls(read_bundle(content, origin), origin)

    def predict(self, features: npt.ArrayLike) -> Named:
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
        if len(rows) <= ROWS_PER_PASS:
            probabilities = self._serving.run(None, {"features": rows})[0]
        else:
            probabilities = np.empty((len(rows), N_CLASSES), np.float32)
            for first in range(0, len(rows), ROWS_PER_PASS):
                part = slice(first, first + ROWS_PER_PASS)
                probabilities[part] = self._serving.run(None, {"features": rows[part]})[0]
        return Named(probabilities.argmax(axis=1), probabilities)

    def contributions(self, features: npt.ArrayLike, classes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Say what each feature adds to verdicts, by integrated gradients (Sundararajan et al., ICML 2017).

        They are taken in 16 steps from the mean flow of the training data to the flow itself, of the Q-value of the
        verdict less that of the best other one. A row sums to what that difference has grown by on the way, up to the
        error of so many steps. A row costs as much as thirty predictions, alone as much as five.

        Parameters
        ----------
        features : array-like (n_flows, 78)
        classes : array (n_flows,) of int64
            The verdicts to explain.

        Returns
        -------
        array (n_flows, 78) of float32

        Raises
        ------
        FeaturesError
            As of ``predict``, or when the classes are not one for each flow.
        """
        rows = checked(features)
        if classes.shape != (len(rows),) or classes.dtype != np.int64 or not np.isin(classes, range(N_CLASSES)).all():
            raise FeaturesError(f"Every flow to explain needs a class, a whole number from 0 to {N_CLASSES - 1}.")
        found = np.empty((len(rows), N_FEATURES), np.float32)
        session = self._explaining()
        for first in range(0, len(rows), ROWS_PER_EXPLANATION):
            part = slice(first, first + ROWS_PER_EXPLANATION)
            found[part] = session.run(None, {"features": rows[part], "classes": classes[part]})[0]
        return found

    def outside(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return which share of each flow's features lies beyond the range of the training data.

        That is ``BEYOND`` standard deviations of the scaled feature from its mean. Costs a third of a verdict.

        Parameters
        ----------
        features : array (n_flows, 78) of float32

        Returns
        -------
        array (n_flows,) of float32
            From 0 to 1.
        """
        low, high = self._range
        return np.asarray(((features < low) | (features > high)).mean(axis=1, dtype=np.float32))

    def _trained_range(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the raw values (78,) between which the training data lies; the scaler takes logarithms."""
        mean, scale = (self._content.numbers[name].astype(np.float64) for name in ("mean", "scale"))
        ends = (mean - BEYOND * scale, mean + BEYOND * scale)
        low, high = (np.copysign(np.expm1(np.abs(end)), end).astype(np.float32) for end in ends)
        return low, high

    def _check_shape(self) -> None:
        """Name one flow: a graph that cannot, or that gives something else than probabilities, is found out now."""
        try:
            said = self._serving.run(None, {"features": np.zeros((1, N_FEATURES), np.float32)})
        except _ERRORS as error:
            raise ModelError(f"The graph of the model {self._origin} cannot be used.") from error
        shapes = [np.shape(values) for values in said]
        if shapes != [(1, N_CLASSES)] or not abs(float(np.sum(said[0])) - 1) < LEEWAY:
            raise ModelError(f"The graph of the model {self._origin} does not give {N_CLASSES} probabilities.")

    def _explaining(self) -> onnxruntime.InferenceSession:
        with self._opening:
            if self._reasons is None:
                # Reasons are differences of Q-values: the temperature is no part of them.
                numbers = {name: values for name, values in self._content.numbers.items() if name != TEMPERATURE}
                self._reasons = self._session(self._content.reasons, numbers)
            return self._reasons

    def _session(self, graph: bytes, numbers: dict[str, npt.NDArray[np.float32]]) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _ONLY_ERRORS
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(number) for number in numbers.values()]
        options.add_external_initializers(list(numbers), values)
        try:
            return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except _ERRORS as error:
            raise ModelError(f"The graph of the model {self._origin} cannot be used.") from error
