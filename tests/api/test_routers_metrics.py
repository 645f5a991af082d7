from __future__ import annotations

import pytest

from api.compute import new_capture_id
from infra.store import Store
from schemas.enums import CaptureState
from tests.api.stack import (
    ORIGIN_NS,
    Running,
    capture_row,
    empty_window_values,
    insert_captures,
    insert_stored_capture,
    insert_windows,
    window_values,
)


def test_an_empty_store_lists_no_window(stack: Running) -> None:
    assert stack.http.get("/api/metrics/").json() == {
        "count": 0,
        "total": 0,
        "offset": 0,
        "limit": 50,
        "capture_id": None,
        "next_cursor": None,
        "metrics": [],
    }


def test_bandwidth_is_in_bytes_per_second_of_the_time_seen(stack: Running, store: Store) -> None:
    insert_stored_capture(store)
    bandwidth = stack.http.get("/api/metrics/0").json()["bandwidth"]
    assert bandwidth["duration_s"] == pytest.approx(9.9)
    assert bandwidth["avg_bps"] == pytest.approx(1000.0)
    assert bandwidth["avg_bits_per_s"] == pytest.approx(8000.0)
    assert bandwidth["avg_pps"] == pytest.approx(87 / 9.9)
    assert bandwidth["total_bytes"] == 9900
    assert bandwidth["top_src_bytes"] == [["10.0.0.1", 6000], ["10.0.0.2", 3900]]


def test_a_window_with_one_packet_divides_by_its_size(stack: Running, store: Store) -> None:
    capture_id = new_capture_id()
    insert_windows(
        store,
        window_values(capture_id, record_count=1, bytes=100, first_ts_ns=ORIGIN_NS, last_ts_ns=ORIGIN_NS),
    )
    insert_captures(store, capture_row(capture_id))
    bandwidth = stack.http.get("/api/metrics/0").json()["bandwidth"]
    assert (bandwidth["duration_s"], bandwidth["avg_bps"], bandwidth["avg_pps"]) == (0.0, 10.0, 0.1)


def test_latency_is_in_milliseconds(stack: Running, store: Store) -> None:
    insert_stored_capture(store)
    assert stack.http.get("/api/metrics/0").json()["latency"] == {
        "mean_rtt": 45.0,
        "max_rtt": 120.5,
        "p95_rtt": 90.1,
        "count": 4,
        "p95_is_estimate": False,
        "mean_handshake_rtt": 30.0,
        "handshake_count": 2,
    }


def test_an_empty_window_has_zeros_and_no_latency(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store, windows=1)
    insert_windows(store, empty_window_values(capture_id, 1))
    window = stack.http.get("/api/metrics/1").json()
    assert window["bandwidth"]["avg_bps"] == 0
    assert window["latency"]["mean_rtt"] is window["latency"]["p95_rtt"] is None
    assert window["protocol"] == {}
    assert window["record_count"] == 0


def test_protocols_have_shares_of_packets_and_bytes(stack: Running, store: Store) -> None:
    insert_stored_capture(store)
    window = stack.http.get("/api/metrics/0").json()
    assert list(window["protocol"]) == ["https", "dns"]
    assert window["protocol"]["dns"] == {
        "packets": 30,
        "bytes": 3000,
        "packet_share": pytest.approx(30 / 87),
        "byte_share": pytest.approx(3000 / 9900),
    }
    assert window["ip_protocols"]["17"]["packets"] == 30
    assert window["tcp"]["retransmissions"] == 5


def test_a_late_correction_replaces_its_window(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    insert_windows(store, window_values(capture_id, 0, version=2, record_count=88, late_packets=1))
    listed = stack.http.get("/api/metrics/").json()
    assert [window["record_count"] for window in listed["metrics"]] == [88, 87]
    assert listed["total"] == 2
    assert stack.http.get("/api/metrics/0").json()["late_packets"] == 1


def test_pages_follow_each_other(stack: Running, store: Store) -> None:
    insert_stored_capture(store, windows=5)
    pages = [stack.http.get("/api/metrics/", params={"limit": 2, "offset": at}).json() for at in (0, 2, 4, 6)]
    assert [[window["window_id"] for window in page["metrics"]] for page in pages] == [[0, 1], [2, 3], [4], []]
    assert [(page["count"], page["total"]) for page in pages] == [(2, 5), (2, 5), (1, 5), (0, 5)]


def test_a_cursor_keeps_to_its_capture_and_place(stack: Running, store: Store) -> None:
    first = insert_stored_capture(store, windows=5)
    page = stack.http.get("/api/metrics/", params={"limit": 2}).json()
    insert_stored_capture(store, windows=3)
    insert_windows(store, window_values(first, 5))
    seen = [window["window_id"] for window in page["metrics"]]
    while page["next_cursor"]:
        page = stack.http.get("/api/metrics/", params={"limit": 2, "cursor": page["next_cursor"]}).json()
        assert page["capture_id"] == first
        seen += [window["window_id"] for window in page["metrics"]]
    assert seen == [0, 1, 2, 3, 4, 5]
    assert stack.http.get("/api/metrics/", params={"cursor": "n.a.1."}).status_code == 400


def test_a_time_range_takes_the_windows_with_a_part_in_it(stack: Running, store: Store) -> None:
    insert_stored_capture(store, windows=5)
    start_s = ORIGIN_NS / 10**9
    body = stack.http.get("/api/metrics/", params={"from": start_s + 15, "to": "2009-02-13T23:32:00.500"}).json()
    assert [window["window_id"] for window in body["metrics"]] == [1, 2]
    assert body["total"] == 2
    assert stack.http.get("/api/metrics/", params={"from": "noon"}).status_code == 400


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=1001", "limit=ten", "limit=", "limit=1.5", "offset=-1", "offset=4294967296"],
)
def test_nonsense_pages_are_refused(stack: Running, query: str) -> None:
    answer = stack.http.get(f"/api/metrics/?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"] == "Bad Request"
    assert answer.json()["message"].startswith(query.partition("=")[0])


def test_the_newest_capture_that_did_not_fail_is_the_current_one(stack: Running, store: Store) -> None:
    older = insert_stored_capture(store, windows=1, started_ns=1)
    newer = insert_stored_capture(store, windows=3, started_ns=2)
    insert_captures(store, capture_row(new_capture_id(), started_ns=3, state=CaptureState.FAILED))
    assert stack.http.get("/api/metrics/").json()["capture_id"] == newer
    assert stack.http.get("/api/metrics/", params={"capture": older}).json()["total"] == 1
    assert stack.http.get("/api/metrics/2").status_code == 200
    assert stack.http.get("/api/metrics/2", params={"capture": older}).status_code == 404


def test_an_unknown_capture_is_not_found(stack: Running) -> None:
    for path in ("/api/metrics/", "/api/metrics/0", "/api/metrics/summary"):
        answer = stack.http.get(path, params={"capture": "nobody"})
        assert (answer.status_code, answer.json()["error"]) == (404, "Capture not found")


def test_an_unknown_window_is_not_found_in_the_documented_words(stack: Running, store: Store) -> None:
    insert_stored_capture(store)
    answer = stack.http.get("/api/metrics/999")
    assert answer.status_code == 404
    assert answer.json()["error"] == "Window not found"
    assert answer.json()["window_id"] == 999
    assert answer.json()["total_windows"] == 2


@pytest.mark.parametrize("window_id", ["-1", "first", "1.5", "4294967296", "99999999999999999999"])
def test_what_is_no_window_number_is_refused(stack: Running, window_id: str) -> None:
    assert stack.http.get(f"/api/metrics/{window_id}").status_code == 400


def test_a_summary_aggregates_what_the_list_shows(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store, windows=2)
    insert_windows(
        store,
        window_values(capture_id, 2, bytes=990, connections_total=2, rtt_count=1, rtt_sum_ns=9_000_000),
        empty_window_values(capture_id, 3),
        window_values(capture_id, 4, record_count=1, bytes=70, last_ts_ns=ORIGIN_NS + 40 * 10**9),
    )
    listed = stack.http.get("/api/metrics/").json()["metrics"]
    summary = stack.http.get("/api/metrics/summary").json()
    rates = [window["bandwidth"]["avg_bps"] for window in listed]
    means = [w["latency"]["mean_rtt"] for w in listed if w["latency"]["mean_rtt"] is not None]
    assert summary["total_windows"] == 5
    assert summary["time_span"] == 50.0
    assert summary["bandwidth"]["mean_bps"] == pytest.approx(sum(rates) / 5)
    assert summary["bandwidth"]["max_bps"] == pytest.approx(max(rates))
    assert summary["bandwidth"]["min_bps"] == pytest.approx(min(rates))
    assert summary["latency"]["mean_rtt"] == pytest.approx(sum(means) / len(means))
    assert summary["latency"]["max_rtt"] == 120.5
    assert summary["latency"]["overall_mean_rtt"] == pytest.approx((3 * 180 + 9) / (3 * 4 + 1))
    assert summary["connections"] == {"total_across_windows": 128, "mean_per_window": 25.6}


def test_a_summary_without_round_trips_has_no_latency(stack: Running, store: Store) -> None:
    capture_id = new_capture_id()
    insert_windows(store, empty_window_values(capture_id, 0))
    insert_captures(store, capture_row(capture_id))
    latency = stack.http.get("/api/metrics/summary").json()["latency"]
    assert latency == {"mean_rtt": None, "max_rtt": None, "overall_mean_rtt": None, "count": 0}


def test_a_summary_of_nothing_is_not_found(stack: Running, store: Store) -> None:
    assert stack.http.get("/api/metrics/summary").status_code == 404
    insert_captures(store, capture_row(new_capture_id(), state=CaptureState.RUNNING))
    assert stack.http.get("/api/metrics/summary").status_code == 404
