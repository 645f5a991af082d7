from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.classifier.bundle import About, Bundle
from agents.classifier.calibration import Calibration
from agents.classifier.cuts import Cuts
from agents.classifier.network import Architecture, DuelingNetwork
from agents.classifier.scaler import Scaler
from infra.model_runtime import Model
from infra.settings import SHIPPED_MODEL
from schemas.classes import CLASS_NAMES
from schemas.errors import ModelError
from tests.agents.classifier import reference
from tests.agents.classifier.labelled import features_of

FEATURES = features_of(np.arange(15))


def network() -> DuelingNetwork:
    """Return a network of chance with one cut."""
    made = DuelingNetwork(Architecture(width=16, n_cuts=1)).eval()
    made.put(Cuts(np.eye(1, 78, 4, np.float32), np.zeros(1, np.float32)))
    return made


def bundle() -> Bundle:
    torch.manual_seed(0)
    about = About("0.0.1", flows_by_class={"BENIGN": 3}, metrics={"validation_macro_f1": 0.5}, plan={"seed": "0"})
    return Bundle(network(), Scaler.fit(FEATURES), Calibration(0.3), about)


def changed(path: Path, **changes: Any) -> Path:
    """Save a bundle with some of its content changed."""
    bundle().save(path)
    content = torch.load(path, weights_only=True) | changes
    torch.save(content, path)
    return path


def test_a_bundle_is_the_same_after_saving_and_loading(tmp_path: Path) -> None:
    made = bundle()
    made.save(tmp_path / "models" / "one.pt")
    read = Bundle.load(tmp_path / "models" / "one.pt")
    assert read.about == made.about
    assert read.fingerprint == made.fingerprint
    assert np.array_equal(*(reference.probabilities(one, FEATURES) for one in (made, read)))
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["one.pt"]


def test_a_bundle_without_cuts_as_they_were_before_is_one_network(tmp_path: Path) -> None:
    plain = replace(bundle(), network=DuelingNetwork(Architecture(width=24)).eval())
    plain.save(tmp_path / "one.pt")
    read = Bundle.load(tmp_path / "one.pt")
    assert (read.network.width, read.network.second) == (24, None)
    expected = reference.probabilities(plain, FEATURES)
    assert np.array_equal(reference.probabilities(read, FEATURES), expected)
    assert np.allclose(Model.load(tmp_path / "one.pt").predict(FEATURES).probabilities, expected, atol=1e-5)


def test_the_same_model_is_the_same_file_whatever_its_name(tmp_path: Path) -> None:
    bundle().save(tmp_path / "one.pt")
    bundle().save(tmp_path / "other.pt")
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "other.pt").read_bytes()


def test_a_bundle_with_its_classes_in_another_order_says_the_same(tmp_path: Path) -> None:
    order = list(reversed(range(15)))
    weights = dict(bundle().network.state_dict())
    for name in [name for name in weights if "advantage" in name]:
        weights[name] = weights[name][order]
    path = changed(tmp_path / "one.pt", weights=weights, classes=[CLASS_NAMES[place] for place in order])
    first, second = (reference.probabilities(one, FEATURES) for one in (bundle(), Bundle.load(path)))
    assert np.allclose(first, second, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 99}, "format 1"),
        ({"features": ["Flow Duration"] * 77}, "expects 77 features"),
        ({"features": ["Src Port"] + ["x"] * 77}, "'Src Port' as feature 1"),
        ({"feature_schema": "0" * 16}, "other units"),
        ({"classes": ["BENIGN"] * 15}, "classes"),
        ({"width": 32}, "do not fit"),
    ],
)
def test_a_bundle_that_does_not_match_is_refused_in_words(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Bundle.load(changed(tmp_path / "one.pt", **changes))


def test_what_is_no_bundle_is_refused_and_never_executed(tmp_path: Path) -> None:
    path = tmp_path / "one.pt"
    with pytest.raises(ModelError, match="There is no model"):
        Bundle.load(path)
    path.write_bytes(b"no bundle")
    with pytest.raises(ModelError, match="no model bundle"):
        Bundle.load(path)

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    path.write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(ModelError, match="no model bundle"):
        Bundle.load(path)
    torch.save({"format": 1, "weights": Trap()}, path)
    with pytest.raises(ModelError, match="no model bundle"):
        Bundle.load(path)
    assert not (tmp_path / "sprung").exists()
    torch.save({"format": 1}, path)
    with pytest.raises(ModelError, match="lacks weights"):
        Bundle.load(path)


def test_the_shipped_model_loads_and_says_where_it_comes_from() -> None:
    shipped = Bundle.load()
    assert SHIPPED_MODEL.stat().st_size < 4_000_000
    assert set(shipped.about.flows_by_class) == set(CLASS_NAMES)
    assert min(shipped.about.flows_by_class.values()) > 0
    assert len(shipped.about.data_sha256) == 64
