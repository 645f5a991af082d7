from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score

from agents.classifier.scores import confusion, macro_f1, scores
from schemas.classes import BENIGN, N_CLASSES


@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), min_size=1, max_size=60))
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    labels, verdicts = (np.array(values, np.int64) for values in zip(*pairs, strict=True))
    found = scores(labels, np.eye(N_CLASSES)[verdicts])
    known = {"labels": range(N_CLASSES), "average": None, "zero_division": 0}
    assert np.array_equal(found.confusion, confusion_matrix(labels, verdicts, labels=range(N_CLASSES)))
    assert np.allclose(found.precision, precision_score(labels, verdicts, **known))
    assert np.allclose(found.recall, recall_score(labels, verdicts, **known))
    assert np.allclose(found.f1, f1_score(labels, verdicts, **known))
    assert found.macro_f1 == pytest.approx(f1_score(labels, verdicts, average="macro", zero_division=0))
    assert found.weighted_f1 == pytest.approx(f1_score(labels, verdicts, average="weighted", zero_division=0))
    assert found.macro_f1 == macro_f1(labels, verdicts)


def test_false_alarms_and_missed_attacks_are_counted_apart() -> None:
    labels = np.array([BENIGN] * 100 + [9] * 10)
    verdicts = labels.copy()
    verdicts[:3], verdicts[100:102], verdicts[102] = 6, BENIGN, 13
    found = scores(labels, np.eye(N_CLASSES)[verdicts])
    assert (found.false_alarms, found.missed) == (3, 2)
    assert found.false_alarms_per_10_000 == pytest.approx(300)
    assert confusion(labels, verdicts).sum() == 110
