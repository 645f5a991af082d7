"""The evaluation that ships with a model: how well it named held-out flows, class by class.

Written by ``spanwatch evaluate --page`` beside the pictures of its report; here only read.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict

from api.answers import example
from api.window_answers import Count
from schemas.classes import CLASS_NAMES
from schemas.models import ModelRow

logger = logging.getLogger(__name__)

FIGURES = Path(__file__).parents[1] / "docs" / "model" / "figures.json"
"""Figures of the report of the shipped model."""

NETWORK = "DQN"
"""Name of the network among what the report compares."""

_CLASS: JsonDict = {"class_name": "PortScan", "flows": 3096, "precision": 0.999, "recall": 1.0, "f1": 0.9995}
_SCORES: JsonDict = {
    "name": NETWORK,
    "macro_f1": 0.9948,
    "accuracy": 0.9991,
    "classes": [_CLASS],
    "confusion": [[3096]],
}


class _Score(BaseModel):
    model_config = ConfigDict(frozen=True)

    confusion: list[list[int]]


class _Split(BaseModel):
    fraction: float
    scores: dict[str, _Score]


class Figures(BaseModel):
    """What is read of the file."""

    data_sha256: str
    n_epochs: int
    splits: list[_Split]


class ClassScoreAnswer(BaseModel):
    """How well one class was named."""

    model_config = example(_CLASS)

    class_name: str
    flows: Count = Field(description="Held-out flows that are of this class.")
    precision: float | None = Field(description="Of the flows named so, the share that is; null when none was.")
    recall: float | None = Field(description="Of the flows that are, the share named so; null when there is none.")
    f1: float | None = Field(description="Harmonic mean of both.")


class ScoresAnswer(BaseModel):
    """How well one kind of model named them."""

    model_config = example(_SCORES)

    name: str = Field(description="`DQN` is this model's kind; the others are trees that had the same flows.")
    macro_f1: float = Field(description="Mean of the classes' F1, those without any flow left out.")
    accuracy: float = Field(description="Share of all flows that was named rightly.")
    classes: list[ClassScoreAnswer]
    confusion: list[list[Count]] = Field(description="Rows: what flows are; columns: what they were named.")

    @classmethod
    def of(cls, name: str, confusion: npt.NDArray[np.int64]) -> Self:
        """Return the scores of a confusion matrix (rows: what is, columns: what was said)."""
        right, there, said = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
        f1 = 2 * right / np.maximum(there + said, 1)
        return cls(
            name=name,
            macro_f1=float(f1[there > 0].mean()),
            accuracy=float(right.sum() / confusion.sum()),
            classes=[
                ClassScoreAnswer(
                    class_name=label,
                    flows=int(there[i]),
                    precision=float(right[i] / said[i]) if said[i] else None,
                    recall=float(right[i] / there[i]) if there[i] else None,
                    f1=float(f1[i]) if there[i] + said[i] else None,
                )
                for i, label in enumerate(CLASS_NAMES)
            ],
            confusion=confusion.tolist(),
        )


class ModelReportAnswer(BaseModel):
    """How well a model of this recipe and data named flows that it was not trained on."""

    model_config = example(
        {"fingerprint": "5c75548c0fa6", "trained_share": 0.7, "classes": list(CLASS_NAMES), "scores": [_SCORES]}
    )

    fingerprint: str
    trained_share: float | None = Field(
        description="Share of each class, the earliest, that the measured models learnt from; null without a report."
    )
    classes: list[str] = Field(description="In the order of the matrices.")
    scores: list[ScoresAnswer] = Field(
        description="The model's kind first, then what it is compared with; empty when no evaluation ships with it."
    )


@lru_cache(1)
def _read(path: Path) -> Figures | None:
    try:
        return Figures.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        logger.warning("the report of the shipped model cannot be read: %s", error)
        return None


def report_of(row: ModelRow, path: Path = FIGURES) -> ModelReportAnswer:
    """Return the report of a model, without scores when none is known: training data and epochs tell."""
    found = _read(path)
    if found is None or (found.data_sha256, found.n_epochs) != (row.data_sha256, row.epochs) or not found.splits:
        return ModelReportAnswer(fingerprint=row.fingerprint, trained_share=None, classes=list(CLASS_NAMES), scores=[])
    split = found.splits[0]
    ordered = sorted(split.scores.items(), key=lambda item: item[0] != NETWORK)
    return ModelReportAnswer(
        fingerprint=row.fingerprint,
        trained_share=split.fraction,
        classes=list(CLASS_NAMES),
        scores=[ScoresAnswer.of(name, np.asarray(score.confusion, np.int64)) for name, score in ordered],
    )
