"""Judging and learning again, through a whole stack."""

from __future__ import annotations

from pathlib import Path

from tests.integration.stack import Stack


def test_judging_again_from_the_start_finds_what_the_stream_found(stack: Stack, sample: Path) -> None:
    capture_id = stack.compute(sample)["capture_id"]
    body = {"capture": capture_id, "dry_run": True}
    changes = stack.remote.post("/api/anomalies/detect", body)["changes"]
    assert (changes["added_count"], changes["removed_count"]) == (0, 0)
    assert changes["kept_count"] > 0


def test_what_is_learnt_again_becomes_the_newest_version_each_time(stack: Stack, sample: Path) -> None:
    capture_id = stack.compute(sample)["capture_id"]
    versions = []
    for _ in range(2):
        answer = stack.remote.post("/api/baselines/generate", {"capture": capture_id, "force": True})
        assert answer["success"]
        rows = stack.remote.get("/api/baselines/", capture=capture_id)
        versions.append(str(rows))
    assert versions[0] != versions[1]


def test_a_threshold_that_cannot_be_is_refused_in_words(stack: Stack, sample: Path) -> None:
    capture_id = stack.compute(sample)["capture_id"]
    body = {"capture": capture_id, "dry_run": True, "thresholds": {"no_such_threshold": 1.0}}
    answer = stack.remote._send("POST", "/api/anomalies/detect", json=body)
    assert answer.status_code == 400
    assert "no_such_threshold" in answer.text
