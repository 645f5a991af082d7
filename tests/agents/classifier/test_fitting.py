from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.classifier.fitting import NEAR, Fitted, fit
from agents.classifier.network import Architecture
from agents.classifier.plan import TrainingPlan
from agents.classifier.training import Epoch
from schemas.classes import N_CLASSES
from tests.agents.classifier.labelled import flows_of

PLAN = TrainingPlan(epochs=12, batch=32, benign_weight=1, architecture=Architecture(width=32))
FLOWS = flows_of(np.random.default_rng(0).integers(0, N_CLASSES, 600))


def fitted(plan: TrainingPlan) -> tuple[Fitted, list[tuple[str, Epoch]]]:
    torch.set_num_threads(1)
    told: list[tuple[str, Epoch]] = []
    return fit(FLOWS, plan, progress=lambda phase, epoch: told.append((phase, epoch))), told


def test_the_chosen_number_of_epochs_is_the_last_with_nearly_the_least_loss_on_flows_set_aside() -> None:
    model, told = fitted(PLAN)
    selection = [epoch for phase, epoch in told if phase == "selection"]
    least = min(epoch.validation_loss for epoch in selection)
    assert selection[model.n_epochs - 1].validation_loss <= least * NEAR
    assert all(epoch.validation_loss > least * NEAR for epoch in selection[model.n_epochs :])
    assert [epoch.number for phase, epoch in told if phase == "training"] == list(range(1, model.n_epochs + 1))
    assert model.history["selection"] == selection
    unseen = flows_of(np.arange(N_CLASSES).repeat(10), seed=5)
    probabilities = model.calibration.apply(model.q_values(unseen.features))
    assert (probabilities.argmax(axis=1) == unseen.labels).mean() > 0.95


def test_selection_stops_when_nothing_gets_better() -> None:
    # A learning rate that throws the network about never betters its first epochs for long.
    model, told = fitted(replace(PLAN, epochs=40, patience=1, learning_rate=3.0))
    n_selection = sum(phase == "selection" for phase, _ in told)
    assert n_selection < 40
    assert model.n_epochs == n_selection - 1


def test_a_class_of_one_flow_is_learned_and_not_judged() -> None:
    labels = np.concatenate([np.zeros(60, np.int64), np.ones(60, np.int64), [11]])
    model = fit(flows_of(labels), replace(PLAN, epochs=2))
    assert np.isfinite(model.q_values(flows_of(labels).features)).all()
    assert model.calibration.temperature == pytest.approx(model.calibration.temperature)


def test_without_patience_a_plan_takes_all_its_epochs() -> None:
    model, _ = fitted(replace(PLAN, epochs=5, patience=0, learning_rate=3.0))
    assert model.n_epochs == 5
