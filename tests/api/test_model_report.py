from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from api.model_report import FIGURES, ScoresAnswer, report_of
from schemas.classes import CLASS_NAMES
from schemas.models import ModelRow

N = len(CLASS_NAMES)


def row(data_sha256: str, epochs: int) -> ModelRow:
    return ModelRow.model_construct(fingerprint="0123456789ab", data_sha256=data_sha256, epochs=epochs)


def test_the_shipped_model_has_a_report_and_others_have_none() -> None:
    known = json.loads(FIGURES.read_bytes())
    report = report_of(row(known["data_sha256"], known["n_epochs"]))
    assert report.scores[0].name == "DQN"
    assert len(report.scores) == 3
    assert report_of(row(known["data_sha256"], known["n_epochs"] + 1)).scores == []
    assert report_of(row("", known["n_epochs"])).scores == []


def test_scores_are_those_of_the_matrix() -> None:
    confusion = np.zeros((N, N), np.int64)
    confusion[0, 0], confusion[0, 6], confusion[6, 6] = 8, 2, 6
    scores = ScoresAnswer.of("DQN", confusion)
    benign, scan = scores.classes[0], scores.classes[6]
    assert (benign.flows, benign.precision, benign.recall) == (10, 1.0, 0.8)
    assert (scan.flows, scan.precision, scan.recall) == (6, 0.75, 1.0)
    assert scan.f1 == pytest.approx(12 / 14)
    assert scores.macro_f1 == pytest.approx((16 / 18 + 12 / 14) / 2)
    assert scores.accuracy == 14 / 16
    assert (scores.classes[1].precision, scores.classes[1].recall, scores.classes[1].f1) == (None, None, None)


@pytest.mark.parametrize("text", [None, "{}", "not JSON"])
def test_a_report_that_cannot_be_read_has_no_scores(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "figures.json"
    if text is not None:
        path.write_text(text)
    assert report_of(row("", 0), path).scores == []
