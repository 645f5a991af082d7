from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agents.classifier.experiments import Findings, Split, load_findings, save_findings, with_shuffled_ports
from agents.classifier.plan import TrainingPlan
from agents.classifier.report import scores_table, write_report
from agents.classifier.scores import Scores, scores
from agents.classifier.training import Epoch
from schemas.classes import CLASS_NAMES, N_CLASSES
from schemas.flows import FEATURE_NAMES
from tests.agents.classifier.labelled import flows_of


def made_up(seed: int) -> Scores:
    rng = np.random.default_rng(seed)
    return scores(rng.integers(0, N_CLASSES, 500), rng.dirichlet(np.ones(N_CLASSES), 500))


def findings() -> Findings:
    models = {"DQN": made_up(0), "random forest": made_up(1)}
    history = {
        "selection": [Epoch(1, 0.5, -0.2, 0.6, 0.1), Epoch(2, 0.4, 0.1, 0.5, 0.2)],
        "training": [Epoch(1, 0.5, 0.0)],
    }
    others = [Split(0.4, {"DQN": made_up(2)})]
    return Findings(
        "ab" * 32, 2, 0.25, Split(0.7, models), others, [made_up(0), made_up(3)], {"no port": made_up(4)}, history
    )


def test_findings_are_the_same_after_saving_and_loading(tmp_path: Path) -> None:
    save_findings(findings(), tmp_path / "figures.json")
    read = load_findings(tmp_path / "figures.json")
    assert read.main.scores["DQN"].macro_f1 == findings().main.scores["DQN"].macro_f1
    assert np.isnan(read.history["training"][0].validation_loss)
    save_findings(read, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == (tmp_path / "figures.json").read_text()


def test_the_page_shows_every_class_with_its_count_and_every_model(tmp_path: Path) -> None:
    found = findings()
    write_report(found, TrainingPlan(), None, tmp_path / "model.md")
    page = (tmp_path / "model.md").read_text()
    for number, name in enumerate(CLASS_NAMES):
        assert f"| {name} | {found.main.scores['DQN'].support[number]} |" in page
    assert "| **DQN** |" in page
    assert "| random forest |" in page
    assert page.count("| no port |") == 1
    pictures = {path.name for path in (tmp_path / "model").iterdir()}
    assert pictures == {"confusion.png", "learning-curve.png", "reliability.png"}
    assert all(f"(model/{name})" in page for name in pictures)


def test_a_table_of_scores_leaves_out_classes_that_do_not_occur() -> None:
    table = scores_table(scores(np.zeros(5, np.int64), np.eye(N_CLASSES)[[0, 0, 0, 0, 9]]))
    assert "BENIGN" in table
    assert "DoS Hulk" in table
    assert "Heartbleed" not in table


def test_shuffled_ports_are_the_same_ports_in_another_order() -> None:
    flows = flows_of(np.arange(N_CLASSES))
    shuffled = with_shuffled_ports(flows)
    port = FEATURE_NAMES.index("Destination Port")
    assert sorted(shuffled.features[:, port]) == sorted(flows.features[:, port])
    assert shuffled.features[:, port].tolist() != flows.features[:, port].tolist()
    assert np.array_equal(np.delete(shuffled.features, port, 1), np.delete(flows.features, port, 1))
    assert flows.features[0, port] == pytest.approx(flows_of(np.arange(N_CLASSES)).features[0, port])
