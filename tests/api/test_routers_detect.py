from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.store import Store
from schemas.analysis import AnalysisRequest
from tests.api.analysis import Worker, nothing_found, scan_in_each
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.stack import ORIGIN_NS, Running, S, insert_stored_capture, running, settings_in, until

DETECT = "/api/anomalies/detect"


@contextmanager
def judging(store: Store, folder: Path, worker: Worker, stall_s: float = 60.0) -> Iterator[Running]:
    with running(settings_in(folder), store, send_windows=worker, stall_s=stall_s) as stack:
        try:
            yield stack
        finally:
            worker.close()


def detected(stack: Running, **body: Any) -> dict[str, Any]:
    answer = stack.http.post(DETECT, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_without_windows_it_is_the_documented_400(stack: Running) -> None:
    answer = stack.http.post(DETECT)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.json()["error"] == "Metrics not found. Run /api/metrics/compute first."
    assert stack.http.post(DETECT, json={"capture": "nobody"}).status_code == 404


def test_what_is_judged_already_is_the_answer(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store, windows=3)
    insert_anomalies(store, anomaly_values(capture_id, 0), anomaly_values(capture_id, 2, severity="medium"))
    body = detected(stack)
    assert (body["from_cache"], body["anomaly_count"], body["window_count"]) == (True, 2, 3)
    assert body["summary"] == {"by_type": {"port_scan": 2}, "by_severity": {"medium": 1, "high": 1}}
    assert stack.http.get(body["anomalies_file"]).json()["total"] == 2
    assert detected(stack, window_end=1)["anomaly_count"] == 1


def test_nothing_found_is_an_answer_too(stack: Running, store: Store) -> None:
    insert_stored_capture(store)
    body = detected(stack)
    assert (body["from_cache"], body["anomaly_count"], body["summary"]["by_type"]) == (True, 0, {})


def test_force_judges_all_windows_again(store: Store, tmp_path: Path) -> None:
    capture_id = insert_stored_capture(store, windows=300)
    insert_anomalies(store, anomaly_values(capture_id, 0, type="packet_loss"))
    worker = Worker(store, scan_in_each)
    with judging(store, tmp_path, worker) as stack:
        body = detected(stack, force=True)
        assert (body["from_cache"], body["anomaly_count"], body["window_count"]) == (False, 300, 300)
        assert body["summary"]["by_type"] == {"port_scan": 300}
        assert body["changes"] is None
        assert worker.windows == list(range(300))
        assert [part.part for part in worker.parts] == list(range(len(worker.parts)))
        assert [part.is_last for part in worker.parts] == [False] * (len(worker.parts) - 1) + [True]
        assert {(part.source, part.capture_id) for part in worker.parts} == {(capture_id, capture_id)}
        listed = stack.http.get("/api/anomalies/by-type").json()
        assert listed["by_type"].keys() == {"port_scan"}


def test_limits_are_moments_or_numbers_of_windows(store: Store, tmp_path: Path) -> None:
    insert_stored_capture(store, windows=10)
    start_s = ORIGIN_NS / S
    for limits, expected in (
        ({"window_start": 3, "window_end": 5}, (3, 5)),
        ({"window_start": start_s + 30, "window_end": start_s + 60}, (3, 5)),
        ({"window_start": "2009-02-13T23:32:00.5", "window_end": None}, (3, 9)),
        ({"window_end": start_s + 10}, (0, 0)),
    ):
        worker = Worker(store, scan_in_each)
        with judging(store, tmp_path, worker) as stack:
            assert detected(stack, force=True, **limits)["window_count"] == expected[1] - expected[0] + 1
            assert (worker.parts[-1].first_window_id, worker.parts[-1].last_window_id) == expected
            # What came before is sent along, to be learnt from.
            assert worker.windows == list(range(expected[1] + 1))


@pytest.mark.parametrize(
    "body",
    [
        {"window_start": 10},
        {"window_start": "noon"},
        {"window_end": 0.5},
        {"window_start": True},
        {"window_start": 1e300},
        {"force": "yes"},
        {"thresholds": {"port_scan_ports": "many"}},
        {"thresholds": {"port_scan_port": 5}},
        {"thresholds": {"port_scan_ports": 0}},
        {"thresholds": {"packet_loss_medium": 50, "packet_loss_high": 10}},
        {"thresholds": []},
        {"capture": "../x"},
    ],
)
def test_nonsense_is_refused(stack: Running, store: Store, body: dict[str, Any]) -> None:
    insert_stored_capture(store)
    answer = stack.http.post(DETECT, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"]


def test_a_misspelt_threshold_is_told_the_right_one(stack: Running, store: Store) -> None:
    insert_stored_capture(store)
    answer = stack.http.post(DETECT, json={"thresholds": {"port_scan_port": 5}})
    assert "port_scan_ports" in answer.json()["error"]


def test_thresholds_and_a_dry_run_go_to_the_worker(store: Store, tmp_path: Path) -> None:
    insert_stored_capture(store)
    worker = Worker(store)
    with judging(store, tmp_path, worker) as stack:
        body = detected(stack, dry_run=True, thresholds={"port_scan_ports": 5})
        assert (body["dry_run"], body["from_cache"], body["run_id"]) == (True, False, worker.parts[0].run_id)
        assert (worker.parts[0].is_dry_run, worker.parts[0].thresholds) == (True, {"port_scan_ports": 5.0})


def test_a_dry_run_says_what_would_change_and_changes_nothing(store: Store, tmp_path: Path) -> None:
    capture_id = insert_stored_capture(store, windows=4)
    insert_anomalies(store, *(anomaly_values(capture_id, number) for number in (0, 1)))

    def judge(request: AnalysisRequest, _: list[int]) -> list[dict[str, Any]]:
        found = {"run_id": request.run_id}
        return [
            anomaly_values(capture_id, 1, anomaly_id="a" * 16, **found),
            anomaly_values(capture_id, 1, anomaly_id="b" * 16, subject="10.0.0.3", **found),
            anomaly_values(capture_id, 2, anomaly_id="c" * 16, **found),
        ]

    with judging(store, tmp_path, Worker(store, judge)) as stack:
        body = detected(stack, dry_run=True)
        changes = body["changes"]
        assert (changes["added_count"], changes["removed_count"], changes["kept_count"]) == (2, 1, 1)
        assert [one["anomaly_id"][0] for one in changes["added"]] == ["b", "c"]
        assert [one["anomaly_id"][0] for one in changes["kept"]] == ["a"]
        assert [one["window_id"] for one in changes["removed"]] == [0]
        assert stack.http.get("/api/anomalies/").json()["total"] == 2
        assert stack.http.get(f"/api/anomalies/{'c' * 16}").json()["is_current"] is False


def test_a_live_captures_source_is_its_port(store: Store, tmp_path: Path) -> None:
    insert_stored_capture(store, source="live", name="eth0", sensor="probe-1")
    worker = Worker(store)
    with judging(store, tmp_path, worker) as stack:
        detected(stack, force=True)
    assert worker.parts[0].source == "probe-1/eth0"


def test_one_run_of_a_capture_at_a_time(store: Store, tmp_path: Path) -> None:
    insert_stored_capture(store)
    worker = Worker(store, nothing_found)
    worker.may_write.clear()
    with judging(store, tmp_path, worker) as stack, ThreadPoolExecutor(1) as threads:
        first = threads.submit(detected, stack, force=True)
        until(lambda: bool(worker.parts))
        second = stack.analyzer.post(DETECT, json={"force": True})
        assert (second.status_code, second.json()["success"]) == (409, False)
        worker.may_write.set()
        assert first.result()["from_cache"] is False
        assert stack.http.post(DETECT, json={"force": True}).status_code == 200


def test_a_run_that_fails_is_a_400_in_its_own_words(store: Store, tmp_path: Path) -> None:
    insert_stored_capture(store)
    worker = Worker(store)
    worker.fails_with = "The windows make no sense."
    with judging(store, tmp_path, worker) as stack:
        answer = stack.http.post(DETECT, json={"force": True})
        assert (answer.status_code, answer.json()["error"]) == (400, "The windows make no sense.")


def test_without_a_worker_it_is_given_up(store: Store, tmp_path: Path) -> None:
    insert_stored_capture(store)
    worker = Worker(store)
    worker.may_write.clear()
    with judging(store, tmp_path, worker, stall_s=0.5) as stack:
        answer = stack.http.post(DETECT, json={"force": True})
        assert answer.status_code == 503
        assert "no worker" in answer.json()["error"]


def test_no_body_and_no_content_type_are_fine(stack: Running, store: Store) -> None:
    insert_stored_capture(store)
    assert stack.http.post(DETECT).status_code == 200
    assert (
        stack.http.post(DETECT, content='{"force": false, "window_start": null, "window_end": null}').status_code == 200
    )
    assert stack.http.post(DETECT, content="<x/>", headers={"content-type": "text/xml"}).status_code == 415
