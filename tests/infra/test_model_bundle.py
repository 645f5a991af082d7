from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from infra.model_bundle import FACTS, MAX_BYTES, SERVING, read_bundle
from infra.model_runtime import Model
from infra.settings import SHIPPED_MODEL
from schemas.classes import CLASS_NAMES
from schemas.errors import ModelError

SHIPPED = SHIPPED_MODEL.read_bytes()

Records = dict[str, bytes]


def rewritten(change: Callable[[Records], Any]) -> bytes:
    """Return the shipped bundle with some of its records changed; a valid archive again."""
    with zipfile.ZipFile(io.BytesIO(SHIPPED)) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    change(records)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return out.getvalue()


def with_facts(**changes: Any) -> bytes:
    def change(records: Records) -> None:
        place = f"archive/{FACTS}"
        records[place] = json.dumps(json.loads(records[place]) | changes).encode()

    return rewritten(change)


def with_weights_of_another_model(records: Records) -> None:
    records["archive/data/0"] = bytes(len(records["archive/data/0"]))


def with_a_graph_that_is_none(records: Records) -> None:
    records[f"archive/{SERVING}"] = b"no graph"


def with_another_graph(records: Records) -> None:
    records[f"archive/{SERVING}"] = records["archive/extra/reasons.onnx"]


def test_a_bundle_says_where_it_comes_from() -> None:
    facts = read_bundle(SHIPPED, "the shipped model").facts
    assert len(facts.fingerprint) == 12
    assert facts.classes == CLASS_NAMES
    assert set(facts.flows_by_class) == set(CLASS_NAMES)
    assert facts.size_bytes == len(SHIPPED) < 4_000_000
    assert facts.epochs > 0
    assert facts.trained_at.endswith("+00:00")
    assert facts.plan["gamma"] == "0.0"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no model bundle"),
        (b"no bundle", "no model bundle"),
        (SHIPPED[:-1000], "no model bundle, or damaged"),
        (bytes(MAX_BYTES + 1), "larger than 64 MiB"),
        (rewritten(dict.clear), "no model bundle"),
        (with_facts(format=99), "format 1"),
        (with_facts(features=["Flow Duration"] * 77), "expects 77 features; this version makes 78"),
        (with_facts(features=["Src Port"] * 78), "'Src Port' as feature 1; this version makes 'Destination Port'"),
        (with_facts(feature_schema="0" * 16), "other units"),
        (with_facts(classes=list(reversed(CLASS_NAMES))), "classes of the model .* are not the 15"),
        (with_facts(temperature=0.5), "numbers are not those of the model"),
        (with_facts(temperature=float("nan")), "numbers are not those of the model"),
        (with_facts(numbers=None), "what it says of itself is wrong"),
        (with_facts(metrics=3), "what it says of itself is wrong"),
        (rewritten(with_weights_of_another_model), "numbers are not those of the model"),
        (rewritten(with_a_graph_that_is_none), "graph of the model .* cannot be used"),
        (rewritten(with_another_graph), "graph of the model .* cannot be used"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Model.from_bytes(content, "it")


def test_a_bundle_without_graphs_says_what_to_do() -> None:
    out = io.BytesIO()
    torch.save({"format": 1}, out)
    with pytest.raises(ModelError, match=r"saved by an earlier version.*Load and save it once"):
        Model.from_bytes(out.getvalue(), "an old model")


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.8, 0.95])
def test_a_bundle_with_one_changed_byte_is_refused(place: float) -> None:
    content = bytearray(SHIPPED)
    content[int(len(content) * place)] ^= 1
    with pytest.raises(ModelError, match=r"damaged|no model bundle"):
        Model.from_bytes(bytes(content), "it")


def test_the_file_is_still_one_that_pytorch_reads(tmp_path: Path) -> None:
    path = tmp_path / "one.pt"
    path.write_bytes(SHIPPED)
    assert torch.load(path, weights_only=True)["classes"] == list(CLASS_NAMES)
