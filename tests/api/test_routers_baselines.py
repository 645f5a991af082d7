from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.store import Store
from schemas.enums import BaselineKind
from tests.api.analysis import Worker, baseline_values, insert_all_baselines, insert_baselines
from tests.api.stack import Running, insert_stored_capture, insert_windows, running, settings_in, window_values

LIST = "/api/baselines/"
GENERATE = "/api/baselines/generate"


@pytest.fixture
def worker(store: Store) -> Iterator[Worker]:
    worker = Worker(store)
    yield worker
    worker.close()


@pytest.fixture
def learning(store: Store, worker: Worker, tmp_path: Path) -> Iterator[Running]:
    with running(settings_in(tmp_path), store, send_windows=worker, stall_s=10) as stack:
        yield stack


def test_an_empty_store_has_no_baseline(stack: Running) -> None:
    body = stack.http.get(LIST).json()
    assert (body["available"], body["baselines"], body["source"]) == (0, {}, None)
    stats = stack.http.get(f"{LIST}stats").json()["baseline_stats"]
    assert stats == {"bandwidth": None, "latency": None, "protocol": None, "connection": None}
    assert stack.http.get(f"{LIST}hosts").json()["hosts"] == []


def test_the_list_has_flat_figures_and_detail_beside_them(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    insert_all_baselines(store, capture_id)
    body = stack.http.get(LIST).json()
    assert body["available"] == 4
    assert list(body["baselines"]) == ["bandwidth", "latency", "protocol", "connection"]
    bandwidth = body["baselines"]["bandwidth"]
    assert [bandwidth[name] for name in ("mean", "median", "min", "max", "p95", "p99")] == [
        9500.0,
        9200.0,
        1000.0,
        20000.0,
        15000.0,
        18000.0,
    ]
    assert bandwidth["detail"]["windows"] == 25
    assert bandwidth["detail"]["hours"] == {"23": 9500.0}
    assert body["baselines"]["protocol"]["distribution"] == {"https": 0.8, "dns": 0.2}
    assert body["baselines"]["connection"]["detail"]["extra"] == {"age_p95_s": 12.5}
    assert body["source"] == capture_id


def test_the_newest_version_counts(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    insert_baselines(store, baseline_values(capture_id, version=2, mean=2.0), baseline_values(capture_id, version=1))
    body = stack.http.get(f"{LIST}bandwidth").json()
    assert (body["type"], body["baseline"]["mean"], body["baseline"]["detail"]["version"]) == ("bandwidth", 2.0, 2)


@pytest.mark.parametrize("kind", ["bandwidth", "nonsense", "BANDWIDTH", "generated"])
def test_what_was_not_learnt_is_the_documented_404(stack: Running, store: Store, kind: str) -> None:
    insert_stored_capture(store)
    for path in (kind, f"{kind}/history"):
        answer = stack.http.get(f"{LIST}{path}")
        assert answer.status_code == 404
        assert (answer.json()["error"], answer.json()["type"]) == ("Baseline not found", kind)


def test_key_statistics_have_their_documented_names(stack: Running, store: Store) -> None:
    insert_all_baselines(store, insert_stored_capture(store))
    stats = stack.http.get(f"{LIST}stats").json()["baseline_stats"]
    assert stats["bandwidth"] == {
        "mean_bps": 9500.0,
        "median_bps": 9200.0,
        "max_bps": 20000.0,
        "min_bps": 1000.0,
        "p95_bps": 15000.0,
    }
    assert stats["latency"] == {"mean_rtt": 9500.0, "median_rtt": 9200.0, "p95_rtt": 15000.0, "p99_rtt": 18000.0}
    assert stats["protocol"] == {"distribution": {"https": 0.8, "dns": 0.2}}
    assert stats["connection"]["mean_connections"] == 9500.0


def test_a_ports_baselines_outlive_its_captures(stack: Running, store: Store) -> None:
    for started_ns in (1, 2):
        insert_stored_capture(store, source="live", name="eth0", sensor="probe-1", started_ns=started_ns)
    insert_all_baselines(store, "probe-1/eth0")
    of_file = insert_stored_capture(store, started_ns=1)
    assert stack.http.get(LIST).json()["source"] == "probe-1/eth0"
    assert stack.http.get(LIST).json()["available"] == 4
    assert stack.http.get(LIST, params={"capture": of_file}).json()["available"] == 0
    assert stack.http.get(LIST, params={"capture": of_file, "source": "probe-1/eth0"}).json()["available"] == 4
    assert stack.http.get(LIST, params={"source": "nobody/eth9"}).json()["available"] == 0
    assert stack.http.get(LIST, params={"capture": "nobody"}).status_code == 404


def test_a_version_of_more_digits_than_javascript_keeps_is_there_as_text(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    values = baseline_values(capture_id) | {"version": 1_767_225_600_000_000_001}
    insert_baselines(store, values)
    detail = stack.http.get("/api/baselines/bandwidth", params={"capture": capture_id}).json()["baseline"]["detail"]
    assert (detail["version"], detail["version_text"]) == (1_767_225_600_000_000_001, "1767225600000000001")


def test_history_goes_back_version_by_version(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    insert_baselines(store, *(baseline_values(capture_id, version=n, mean=float(n)) for n in range(1, 6)))
    url = f"{LIST}bandwidth/history"
    page = stack.http.get(url, params={"limit": 2}).json()
    assert [entry["mean"] for entry in page["history"]] == [5.0, 4.0]
    assert page["history"][0]["at"] == "2009-02-13T23:32:20.500000"
    assert page["total"] == 5
    insert_baselines(store, baseline_values(capture_id, version=6))
    seen = []
    while page["next_cursor"]:
        page = stack.http.get(url, params={"limit": 2, "cursor": page["next_cursor"]}).json()
        seen += [entry["mean"] for entry in page["history"]]
    assert seen == [3.0, 2.0, 1.0]
    assert stack.http.get(url, params={"cursor": "w.a.1."}).status_code == 400


def test_hosts_have_baselines_of_their_own(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    insert_all_baselines(store, capture_id)
    insert_baselines(
        store,
        baseline_values(capture_id, subject="10.0.0.1", windows=5),
        baseline_values(capture_id, "connection", subject="10.0.0.1", windows=5),
        baseline_values(capture_id, subject="2001:db8::1", windows=9),
        baseline_values(capture_id, subject="10.0.0.3", windows=1),
    )
    body = stack.http.get(f"{LIST}hosts", params={"limit": 2}).json()
    assert (body["count"], body["total"]) == (2, 3)
    assert [host["ip"] for host in body["hosts"]] == ["2001:db8::1", "10.0.0.1"]
    assert body["hosts"][1]["baselines"].keys() == {"bandwidth", "connection"}
    assert stack.http.get(f"{LIST}hosts", params={"offset": 2}).json()["hosts"][0]["ip"] == "10.0.0.3"
    assert stack.http.get(f"{LIST}hosts/2001:DB8:0::1").json()["baselines"]["bandwidth"]["mean"] == 9500.0
    assert stack.http.get(f"{LIST}hosts/10.0.0.9").status_code == 404
    assert stack.http.get(f"{LIST}hosts/host").status_code == 400


def test_without_windows_nothing_is_generated(stack: Running) -> None:
    answer = stack.http.post(GENERATE)
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert answer.json()["error"] == "Metrics not found. Run /api/metrics/compute first."
    assert stack.http.post(GENERATE, json={"capture": "nobody"}).status_code == 404
    assert stack.http.get(GENERATE).status_code == 405


def test_generating_learns_from_all_stored_windows(learning: Running, store: Store, worker: Worker) -> None:
    capture_id = insert_stored_capture(store, windows=7)
    body = learning.http.post(GENERATE).json()
    assert (body["success"], body["message"]) == (True, "Baselines generated successfully")
    assert body["generated"] == dict.fromkeys(map(str, BaselineKind), True)
    assert (body["window_count"], body["from_cache"], body["source"]) == (7, False, capture_id)
    assert worker.windows == list(range(7))
    assert worker.parts[0].kinds == list(BaselineKind)
    assert learning.http.get(f"{LIST}latency").json()["baseline"]["detail"]["origin"] == "generated"


def test_a_type_with_too_few_windows_is_false_and_says_why(learning: Running, store: Store, worker: Worker) -> None:
    insert_stored_capture(store)
    worker.learns[BaselineKind.LATENCY] = False
    body = learning.http.post(GENERATE, json={"types": ["latency", "bandwidth"]}).json()
    assert body["generated"] == {"bandwidth": True, "latency": False}
    assert body["reasons"] == {"latency": "Too few windows."}
    assert body["message"] == "Some baselines were not generated"
    assert worker.parts[0].kinds == [BaselineKind.BANDWIDTH, BaselineKind.LATENCY]


def test_the_same_windows_are_learnt_once_unless_forced(learning: Running, store: Store, worker: Worker) -> None:
    capture_id = insert_stored_capture(store)
    first = learning.http.post(GENERATE).json()
    again = learning.http.post(GENERATE, json={"types": ["bandwidth"]}).json()
    assert (again["from_cache"], again["run_id"], again["generated"]) == (True, first["run_id"], {"bandwidth": True})
    assert len(worker.parts) == 1
    assert learning.http.post(GENERATE, json={"force": True}).json()["from_cache"] is False
    insert_windows(store, window_values(capture_id, 2))
    assert learning.http.post(GENERATE).json()["from_cache"] is False


@pytest.mark.parametrize("body", [{"types": []}, {"types": ["nonsense"]}, {"types": "latency"}, {"force": 1}, []])
def test_nonsense_is_refused(stack: Running, store: Store, body: Any) -> None:
    insert_stored_capture(store)
    answer = stack.http.post(GENERATE, json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")


def test_status_says_what_there_is(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    insert_all_baselines(store, capture_id)
    assert stack.http.get("/api/status").json()["data"] == {"metrics": True, "baselines": True, "anomalies": False}
    data = stack.http.get("/api/control/status").json()["data"]
    assert (data["metric_count"], data["anomaly_count"], data["baseline_count"]) == (2, 0, 4)
