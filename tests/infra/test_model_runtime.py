from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agents.classifier.bundle import About, Bundle
from agents.classifier.dataset import load_flows
from agents.classifier.fitting import fit
from agents.classifier.network import JOINING_TEMPERATURE, Architecture, joined
from agents.classifier.plan import TrainingPlan
from infra.model_runtime import BEYOND, ROWS_PER_PASS, Model
from infra.settings import SHIPPED_MODEL
from schemas.classes import BENIGN, CLASS_NAMES, N_CLASSES
from schemas.errors import FeaturesError, ModelError
from schemas.flows import N_FEATURES
from tests.agents.classifier import reference
from tests.agents.classifier.labelled import features_of, flows_of
from tests.shared_data import shared_data

LABELS = np.arange(N_CLASSES).repeat(4)
Rows = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """A small model of made-up classes that can be told apart."""
    torch.set_num_threads(1)
    plan = TrainingPlan(epochs=12, batch=32, benign_weight=1, architecture=Architecture(width=32))
    model = fit(flows_of(np.random.default_rng(0).integers(0, N_CLASSES, 600)), plan)
    return Bundle(model.network, model.scaler, model.calibration, About("test"))


@pytest.fixture(scope="module")
def model(bundle: Bundle) -> Model:
    return Model.from_bytes(bundle.to_bytes(), "a test's model")


@pytest.fixture(scope="module")
def shipped() -> tuple[Bundle, Model]:
    torch.set_num_threads(1)
    return Bundle.load(), Model.load(SHIPPED_MODEL)


def real_rows() -> Rows:
    folder = shared_data()
    if folder is None:
        pytest.skip("the public data are not here")
    return load_flows([folder / "cicids2017" / "corrected_train.parquet"]).features


def assert_same_as_pytorch(bundle: Bundle, model: Model, rows: Rows) -> None:
    said = model.predict(rows)
    expected = reference.probabilities(bundle, rows)
    assert said.probabilities.dtype == np.float32
    assert np.allclose(said.probabilities, expected, atol=2e-5)
    best = np.sort(expected, axis=1)
    is_clear = best[:, -1] - best[:, -2] > 1e-4  # the order of equals is anyone's
    assert np.array_equal(said.classes[is_clear], expected.argmax(axis=1)[is_clear])
    q_values = np.sort(reference.q_values(bundle, rows), axis=1)
    is_clear &= q_values[:, -2] - q_values[:, -3] > 1e-4  # and which is second decides what a contribution is of
    parts = model.contributions(rows[is_clear], said.classes[is_clear])
    wanted = reference.contributions(bundle, rows[is_clear], said.classes[is_clear])
    assert np.allclose(parts, wanted, atol=1e-4, rtol=1e-3)


FLOWS = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.just(N_FEATURES)),
    elements=st.one_of(
        st.floats(-1, 1, width=32),
        st.floats(-(2.0**30), 2.0**30, width=32),
        st.integers(-40_000, 70_000).map(float),
        st.sampled_from([0.0, -0.0, 1e-30, 3e38, -3e38, 65_535.0]),
    ),
    fill=st.sampled_from([0.0, 1.0, 20.0, 1000.0]),
)


@given(rows=FLOWS)
@settings(max_examples=60)
def test_any_flow_gets_the_probabilities_and_reasons_of_pytorch(shipped: tuple[Bundle, Model], rows: Rows) -> None:
    assert_same_as_pytorch(*shipped, rows)


def test_numbers_that_no_flow_has_get_probabilities_as_well(shipped: tuple[Bundle, Model]) -> None:
    largest = float(np.finfo(np.float32).max)
    rows = np.random.default_rng(0).choice([largest, -largest, 0, 1], (200, N_FEATURES)).astype(np.float32)
    rows[0] = largest
    assert_same_as_pytorch(*shipped, rows)


def test_real_flows_get_the_probabilities_and_reasons_of_pytorch(shipped: tuple[Bundle, Model]) -> None:
    rows = real_rows()
    assert_same_as_pytorch(*shipped, rows[:: len(rows) // 2000])
    said = shipped[1].predict(rows)
    assert np.allclose(said.probabilities, reference.probabilities(shipped[0], rows), atol=2e-5)


def test_verdicts_are_the_likeliest_classes_and_probabilities_sum_to_one(model: Model) -> None:
    said = model.predict(features_of(LABELS, seed=7))
    assert said.classes.shape == (60,)
    assert said.probabilities.shape == (60, N_CLASSES)
    assert np.allclose(said.probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(said.confidence, said.probabilities.max(axis=1))
    assert (said.classes == LABELS).mean() > 0.95


def test_a_flow_gets_the_same_verdict_alone_and_in_any_batch(model: Model) -> None:
    features = features_of(LABELS, seed=7)
    together = model.predict(features).probabilities
    alone = np.concatenate([model.predict(features[row : row + 1]).probabilities for row in range(len(LABELS))])
    assert np.allclose(together, alone, atol=1e-5)
    copies = 3 * ROWS_PER_PASS // len(LABELS)
    many = model.predict(np.tile(features, (copies, 1))).probabilities
    assert np.allclose(many, np.tile(together, (copies, 1)), atol=1e-5)


def test_a_verdict_is_by_the_mean_of_what_both_trunks_find_probable(bundle: Bundle) -> None:
    states = torch.from_numpy(reference.states_of(bundle, features_of(LABELS, seed=8)))
    with torch.no_grad():
        each, both = bundle.network.each(states), bundle.network(states)
    assert len(each) == 2
    mean = (each / JOINING_TEMPERATURE).softmax(dim=2).mean(dim=0)
    assert torch.allclose((both / JOINING_TEMPERATURE).softmax(dim=1), mean, atol=1e-5)
    assert torch.allclose(joined(each[:1].repeat(2, 1, 1)), each[0], atol=1e-5)


def test_threads_share_a_model(model: Model) -> None:
    features = features_of(LABELS, seed=7)
    expected = model.predict(features)
    with ThreadPoolExecutor(4) as pool:
        for said in pool.map(lambda _: model.predict(features), range(40)):
            assert np.array_equal(said.probabilities, expected.probabilities)
        reasons = list(pool.map(lambda _: model.contributions(features, expected.classes), range(8)))
    assert all(np.array_equal(one, reasons[0]) for one in reasons)


def test_no_flows_are_no_verdicts(model: Model) -> None:
    said = model.predict(np.empty((0, 78), np.float32))
    assert said.classes.shape == (0,)
    assert said.probabilities.shape == (0, N_CLASSES)
    assert model.contributions(np.empty((0, 78)), np.empty(0, np.int64)).shape == (0, N_FEATURES)


def test_what_is_not_finite_gets_no_verdict(model: Model) -> None:
    features = features_of(LABELS)
    features[3, 1] = np.nan
    with pytest.raises(FeaturesError, match="Flow Duration"):
        model.predict(features)


@pytest.mark.parametrize("classes", [[0], [0, N_CLASSES], [0, -1], [0.0, 1.0]])
def test_verdicts_that_are_none_are_not_explained(model: Model, classes: list[float]) -> None:
    with pytest.raises(FeaturesError, match="class"):
        model.contributions(features_of(LABELS[:2]), np.array(classes))  # type: ignore[arg-type]


def test_contributions_of_many_steps_sum_to_what_speaks_for_a_verdict(bundle: Bundle, model: Model) -> None:
    # Of the oracle, which takes any number of steps; the model is held to it above.
    features = features_of(LABELS, seed=7)
    classes = model.predict(features).classes
    rows, states = np.arange(len(LABELS)), torch.from_numpy(reference.states_of(bundle, features))
    second = np.argsort(reference.q_values(bundle, features), axis=1)[:, -2]
    with torch.no_grad():
        each, mean = (bundle.network.each(one).numpy() for one in (states, torch.zeros(1, 78)))
    grown = each[:, rows, classes] - each[:, rows, second] - (mean[:, 0, classes] - mean[:, 0, second])
    said = np.exp(each / JOINING_TEMPERATURE)
    shares = (said / said.sum(axis=2, keepdims=True))[:, rows, classes]
    expected = (grown * shares / shares.sum(axis=0)).sum(axis=0)
    assert np.allclose(reference.contributions(bundle, features, classes, 256).sum(axis=1), expected, atol=0.05)


def test_a_model_says_what_it_is(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path / "one.pt")
    facts = Model.load(tmp_path / "one.pt").facts
    assert facts.fingerprint == bundle.fingerprint
    assert (facts.version, facts.n_features, facts.classes) == ("test", N_FEATURES, CLASS_NAMES)
    assert facts.size_bytes == (tmp_path / "one.pt").stat().st_size


def test_a_model_that_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model"):
        Model.load(tmp_path / "none.pt")
    with pytest.raises(ModelError, match="cannot be read"):
        Model.load(tmp_path)


def test_the_shipped_model_names_the_flows_it_was_trained_on(shipped: tuple[Bundle, Model]) -> None:
    folder = shared_data()
    if folder is None:
        pytest.skip("the public data are not here")
    flows = load_flows([folder / "cicids2017" / "corrected_train.parquet"])
    classes = shipped[1].predict(flows.features).classes
    assert (classes == flows.labels).mean() > 0.99
    assert (classes[flows.labels == BENIGN] != BENIGN).mean() < 0.003


def test_values_far_from_the_training_data_are_outside_of_its_range(bundle: Bundle, model: Model) -> None:
    features = features_of(LABELS, 1)
    states = bundle.scaler.apply(features)
    expected = (np.abs(states) > BEYOND).mean(axis=1)
    assert np.allclose(model.outside(features), expected, atol=1e-6)
    far = features[:1].copy()
    far[0, :39] = 3e38
    assert model.outside(far)[0] >= 0.5
    assert model.outside(far).dtype == np.float32
