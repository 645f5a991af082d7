from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.classifier.bundle import About, Bundle
from agents.classifier.dataset import load_flows
from agents.classifier.fitting import fit
from agents.classifier.network import Architecture
from agents.classifier.predict import Classifier
from agents.classifier.training import TrainingPlan
from schemas.classes import BENIGN, N_CLASSES
from schemas.errors import FeaturesError
from tests.agents.classifier.labelled import features_of, flows_of
from tests.shared_data import shared_data


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """A small classifier of made-up classes that can be told apart."""
    torch.set_num_threads(1)
    plan = TrainingPlan(epochs=12, batch=32, benign_weight=1, architecture=Architecture(width=32))
    model = fit(flows_of(np.random.default_rng(0).integers(0, N_CLASSES, 600)), plan)
    return Classifier(Bundle(model.network, model.scaler, model.calibration, plan.architecture, About("test")))


LABELS = np.arange(N_CLASSES).repeat(4)


def test_verdicts_are_the_likeliest_classes_and_probabilities_sum_to_one(classifier: Classifier) -> None:
    said = classifier.predict(features_of(LABELS, seed=7))
    assert said.classes.shape == (60,)
    assert said.probabilities.shape == said.q_values.shape == (60, N_CLASSES)
    assert np.allclose(said.probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(said.classes, said.q_values.argmax(axis=1))
    assert np.array_equal(said.confidence, said.probabilities.max(axis=1))
    assert (said.classes == LABELS).mean() > 0.95


def test_a_flow_gets_the_same_verdict_alone_and_in_any_batch(classifier: Classifier) -> None:
    features = features_of(LABELS, seed=7)
    together = classifier.predict(features).probabilities
    alone = np.concatenate([classifier.predict(features[row : row + 1]).probabilities for row in range(len(LABELS))])
    assert np.allclose(together, alone, atol=1e-5)
    many = np.tile(features, (700, 1))
    assert np.allclose(classifier.predict(many).probabilities, np.tile(together, (700, 1)), atol=1e-5)


def test_no_flows_are_no_verdicts(classifier: Classifier) -> None:
    said = classifier.predict(np.empty((0, 78)))
    assert said.classes.shape == (0,)
    assert said.probabilities.shape == (0, N_CLASSES)


def test_what_is_not_finite_gets_no_verdict(classifier: Classifier) -> None:
    features = features_of(LABELS)
    features[3, 1] = np.nan
    with pytest.raises(FeaturesError, match="Flow Duration"):
        classifier.predict(features)


def test_contributions_sum_to_what_speaks_for_a_verdict(classifier: Classifier) -> None:
    features = features_of(LABELS, seed=7)
    said = classifier.predict(features)
    parts = classifier.contributions(features, said.classes, steps=256)
    rows = np.arange(len(LABELS))
    second = np.argsort(said.q_values, axis=1)[:, -2]
    mean = classifier.bundle.network(torch.zeros(1, 78)).detach().numpy()[0]
    margin = said.q_values[rows, said.classes] - said.q_values[rows, second]
    assert np.allclose(parts.sum(axis=1), margin - (mean[said.classes] - mean[second]), atol=0.05)


def test_reasons_are_features_with_their_values_strongest_first(classifier: Classifier) -> None:
    features = features_of(LABELS[:8])
    for row, reasons in zip(features, classifier.explain(features, LABELS[:8], top=4), strict=True):
        strengths = [reason.contribution for reason in reasons]
        assert len(reasons) == 4
        assert strengths == sorted(strengths, reverse=True)
        assert all(reason.value in row for reason in reasons)


def test_the_shipped_model_names_the_flows_it_was_trained_on() -> None:
    folder = shared_data()
    if folder is None:
        pytest.skip("the public data are not here")
    flows = load_flows([folder / "cicids2017" / "corrected_train.parquet"])
    shipped = Classifier.load()
    assert shipped.bundle.about.data_sha256 == flows.digest
    classes = shipped.predict(flows.features).classes
    assert (classes == flows.labels).mean() > 0.995
    assert (classes[flows.labels == BENIGN] != BENIGN).mean() < 0.003
