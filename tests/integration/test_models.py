"""Another model takes over while the stack runs, and gives way again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.stack import Stack, until
from tests.model_variants import stubborn

pytestmark = pytest.mark.timeout(300)


def judges(stack: Stack, capture_id: str) -> set[tuple[str, str]]:
    """Return who gave a capture's flows which classes, as far as a page shows."""
    answer = stack.remote.get("/api/classifications/", capture=capture_id, limit=1000)
    return {(row["model"], row["class_name"]) for row in answer["classifications"]}


def compute(stack: Stack, file: Path) -> str:
    body = {"pcap_file": str(file), "force": True}
    return str(stack.remote.post("/api/metrics/compute", body)["capture_id"])


def wait_until_judged_by(stack: Stack, champion: str, challenger: str | None) -> None:
    """Wait until the worker says who judges: it follows what the store has been told a moment later."""

    def is_so() -> bool:
        lines = (stack.settings.logs_folder / "analysis.log").read_text().splitlines()
        told = [str(json.loads(line)["message"]) for line in lines if "flows are judged by" in line]
        by, _, shadow = told[-1].partition(", and in its shadow by ") if told else ("", "", "")
        return champion in by and (challenger or "none") in shadow

    until(is_so, 60, stack.said)


def test_a_challenger_is_compared_promoted_and_rolled_back_without_a_restart(stack: Stack, sample: Path) -> None:
    shipped = stack.remote.get("/api/models")["champion"]
    added: dict[str, Any] = stack.remote.act("POST", "/api/models", stubborn("Heartbleed"))
    bold = added["fingerprint"]
    processes = {stack.process.pid, stack.child("worker").pid}
    try:
        stack.remote.act("POST", f"/api/models/{bold}/challenger")
        wait_until_judged_by(stack, shipped, bold)
        watched = compute(stack, sample)
        [agreement] = stack.remote.get(f"/api/models/{bold}")["agreement"]
        flows = stack.remote.get("/api/flows/", capture=watched, limit=1)["total"]
        assert (agreement["champion"], agreement["flows"]) == (shipped, flows)
        assert 0 <= agreement["same_class"] < 0.1
        assert {model for model, _ in judges(stack, watched)} == {shipped}
        stack.remote.act("POST", f"/api/models/{bold}/champion")
        wait_until_judged_by(stack, bold, None)
        assert judges(stack, compute(stack, sample)) == {(bold, "Heartbleed")}
        assert stack.remote.get("/model/info")["model_version"] == "stubborn"
    finally:
        stack.remote.act("POST", "/api/models/rollback")
        stack.remote.act("DELETE", "/api/models/challenger")
        wait_until_judged_by(stack, shipped, None)
    assert {model for model, _ in judges(stack, compute(stack, sample))} == {shipped}
    assert stack.remote.get("/model/info")["model_version"] != "stubborn"
    assert {stack.process.pid, stack.child("worker").pid} == processes
    drift = {model["fingerprint"]: model["drift"] for model in stack.remote.get("/api/models")["models"]}
    assert {row["signal"] for row in drift[shipped]} <= {"confidence", "outside"}
