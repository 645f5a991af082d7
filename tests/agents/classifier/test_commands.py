from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from agents.classifier.commands import evaluate_command, train_command
from schemas.classes import N_CLASSES
from tests.agents.classifier.labelled import flows_of, write_published


def flows_file(folder: Path, seed: int) -> str:
    labels = np.random.default_rng(seed).integers(0, N_CLASSES, 450)
    return str(write_published(folder / f"{seed}.parquet", flows_of(labels, seed)))


def run(command: object, *arguments: str) -> str:
    found = CliRunner().invoke(command, [*arguments, "--threads", "1"])  # type: ignore[arg-type]
    assert found.exit_code == 0, found.output
    return found.output


def test_a_model_is_trained_then_judged_on_other_flows_and_reported(tmp_path: Path) -> None:
    model = tmp_path / "model.pt"
    told = run(train_command, flows_file(tmp_path, 1), "--out", str(model), "--epochs", "2", "--device", "cpu")
    assert "450 flows" in told
    assert model.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    judged = run(evaluate_command, flows_file(tmp_path, 2), "--model", str(model))
    assert "macro-F1" in judged
    assert "Heartbleed" in judged
    assert "these very flows" in run(evaluate_command, flows_file(tmp_path, 1), "--model", str(model))


def test_a_file_that_does_not_serve_is_told_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "flows.csv"
    path.write_text("a,b\n1,2\n")
    found = CliRunner().invoke(train_command, [str(path), "--out", str(tmp_path / "model.pt")])
    assert found.exit_code == 1
    assert found.output.splitlines()[-1] == "Error: flows.csv has no column Label."


def test_a_command_line_that_does_not_classify_never_loads_pytorch() -> None:
    code = (
        "import sys, agents.classifier.commands; print(sorted({'torch', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
