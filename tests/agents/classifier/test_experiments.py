from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.classifier.experiments import NETWORK, Findings, Questions, investigate
from agents.classifier.network import Architecture
from agents.classifier.plan import TrainingPlan
from agents.classifier.trees import TREES
from schemas.classes import N_CLASSES
from tests.agents.classifier.labelled import flows_of

PLAN = TrainingPlan(epochs=2, batch=32, architecture=Architecture(width=16))


def test_every_question_is_answered_on_flows_that_did_not_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TREES, "gradient boosting")  # seconds, for no other path
    torch.set_num_threads(1)
    flows = flows_of(np.random.default_rng(0).integers(0, N_CLASSES, 300))
    said: list[str] = []
    kept: list[Findings] = []
    questions = Questions(other_fractions=(0.5,), n_seeds=2)
    found = investigate(flows, PLAN, questions, lambda _phase, _epoch: None, said.append, kept.append)
    n_unseen = len(flows) - sum(int(0.7 * count + 1e-9) for count in flows.counts())
    everything = [*found.main.scores.values(), *found.seeds, *found.ablations.values()]
    assert {int(one.support.sum()) for one in everything} == {n_unseen}
    assert set(found.main.scores) == {NETWORK, "random forest"}
    assert len(found.seeds) == 2
    assert len(found.ablations) == 3
    assert found.main.scores["random forest"].macro_f1 > 0.9
    assert [split.fraction for split in found.others] == [0.5]
    assert kept[-1] is found
    assert {"seed 1", "split at 50%", "trained without the port"} <= set(said)
