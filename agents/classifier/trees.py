"""What the network is measured against: trees, fitted on the same rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from agents.classifier.dataset import LabelledFlows
from schemas.classes import N_CLASSES


def _forest(seed: int) -> Any:
    return RandomForestClassifier(200, class_weight="balanced", n_jobs=1, random_state=seed)


def _boosting(seed: int) -> Any:
    return HistGradientBoostingClassifier(class_weight="balanced", random_state=seed)


TREES: dict[str, Callable[[int], Any]] = {"random forest": _forest, "gradient boosting": _boosting}
"""scikit-learn's, as they come, with balanced classes; the seed makes them repeatable."""


def tree_probabilities(
    name: str, known: LabelledFlows, features: npt.NDArray[np.float32], seed: int = 0
) -> npt.NDArray[np.float64]:
    """Fit trees on known flows; return the probabilities (n_flows, 15) they give to others (n_flows, 78)."""
    model = TREES[name](seed).fit(known.features, known.labels)
    probabilities = np.zeros((len(features), N_CLASSES))
    probabilities[:, model.classes_] = model.predict_proba(features)
    return probabilities
