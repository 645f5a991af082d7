from __future__ import annotations

from typing import Any

import pytest

from infra.store import Store
from schemas.analysis import RunRow
from schemas.enums import RunKind, RunState
from tests.api.analysis import insert_run
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.stack import ORIGIN_NS, Running, S, insert_stored_capture, insert_windows, window_values

LIST = "/api/anomalies/"


def listed(stack: Running, **query: Any) -> list[str]:
    """Return the ids that a list shows."""
    answer = stack.http.get(LIST, params=query)
    assert answer.status_code == 200, answer.text
    return [anomaly["anomaly_id"] for anomaly in answer.json()["anomalies"]]


def ids(*numbers: int) -> list[str]:
    return [f"{number:016x}" for number in numbers]


@pytest.fixture
def capture_id(store: Store) -> str:
    """A capture with six windows and an anomaly in each of the first five."""
    capture_id = insert_stored_capture(store, windows=6)
    insert_anomalies(store, *(anomaly_values(capture_id, number) for number in range(5)))
    return capture_id


def test_an_empty_store_lists_no_anomaly(stack: Running) -> None:
    body = stack.http.get(LIST).json()
    assert (body["count"], body["total"], body["offset"], body["limit"]) == (0, 0, 0, 100)
    assert (body["filters"], body["anomalies"], body["next_cursor"]) == ({"type": None, "severity": None}, [], None)
    assert stack.http.get(f"{LIST}by-type").json()["by_type"] == {}
    assert stack.http.get(f"{LIST}top").json()["top"] == []
    assert stack.http.get(f"{LIST}incidents").json()["incidents"] == []


def test_an_anomaly_is_one_flat_object(stack: Running, capture_id: str) -> None:
    [anomaly] = stack.http.get(LIST, params={"limit": 1, "order": "oldest"}).json()["anomalies"]
    assert (anomaly["type"], anomaly["severity"], anomaly["window_id"]) == ("port_scan", "high", 0)
    assert (anomaly["window_start"], anomaly["window_end"]) == (1234567890.5, 1234567900.5)
    assert (anomaly["current_value"], anomaly["threshold"]) == (120.0, 20.0)
    assert (anomaly["source_ip"], anomaly["flow_src"], anomaly["run_id"]) == ("10.0.0.9", None, None)
    assert anomaly["explanation"]["signal"] == "vertical_scan"
    assert anomaly["capture_id"] == capture_id


def test_a_ratio_to_nothing_is_null_and_no_error(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    insert_anomalies(store, anomaly_values(capture_id, deviation=float("inf")))
    assert stack.http.get(LIST).json()["anomalies"][0]["deviation"] is None


def test_pages_follow_each_other_in_both_orders(stack: Running, capture_id: str) -> None:
    assert listed(stack) == ids(4, 3, 2, 1, 0)
    assert listed(stack, order="oldest") == ids(0, 1, 2, 3, 4)
    assert listed(stack, limit=2, offset=1) == ids(3, 2)
    body = stack.http.get(LIST, params={"limit": 2, "offset": 4}).json()
    assert (body["count"], body["total"], body["next_cursor"]) == (1, 5, None)


@pytest.mark.parametrize(("order", "expected"), [("newest", (4, 3, 2, 1, 0)), ("oldest", (0, 1, 2, 3, 4, 5))])
def test_a_cursor_goes_on_where_it_was_whatever_comes_in(
    stack: Running, store: Store, capture_id: str, order: str, expected: tuple[int, ...]
) -> None:
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2, "order": order}
    for page in range(4):
        body = stack.http.get(LIST, params=query).json()
        seen += [anomaly["anomaly_id"] for anomaly in body["anomalies"]]
        if page == 0:
            # A newer capture becomes the current one, and a newer anomaly comes into this one.
            newer = insert_stored_capture(store)
            insert_anomalies(store, anomaly_values(newer, 0, anomaly_id=ids(99)[0]))
            insert_anomalies(store, anomaly_values(capture_id, 5))
        if body["next_cursor"] is None:
            break
        query = {"limit": 2, "cursor": body["next_cursor"]}
    assert seen == ids(*expected)


@pytest.mark.parametrize("cursor", ["", "x", "w.a.1.", "n.a.99999999999999999999.", "n.a.1.zz", "n.a b.1.", "n.a.1"])
def test_what_is_no_cursor_of_this_list_is_refused(stack: Running, cursor: str) -> None:
    answer = stack.http.get(LIST, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")


def test_filters_narrow_a_list_down(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store, windows=6)
    insert_anomalies(
        store,
        anomaly_values(capture_id, 0),
        anomaly_values(capture_id, 1, severity="medium", source_ip="10.0.0.8"),
        anomaly_values(capture_id, 2, type="packet_loss", signal="flow_loss", message="High packet loss: 83.33%"),
        anomaly_values(capture_id, 3, type="packet_loss", signal="flow_loss", severity="medium", destination_ip="::1"),
        anomaly_values(capture_id, 4, incident_id="00000000000000bb"),
    )
    assert listed(stack, type="packet_loss") == ids(3, 2)
    assert listed(stack, type="packet_loss", severity="high") == ids(2)
    assert listed(stack, source_ip="10.0.0.8") == ids(1)
    assert listed(stack, source_ip="::ffff:10.0.0.8") == ids(1)
    assert listed(stack, destination_ip="0:0:0:0:0:0:0:1") == ids(3)
    assert listed(stack, signal="flow_loss") == ids(3, 2)
    assert listed(stack, incident="00000000000000bb") == ids(4)
    assert listed(stack, q="PACKET loss") == ids(2)
    assert listed(stack, q="83.33%") == ids(2)
    body = stack.http.get(LIST, params={"type": "packet_loss", "severity": "high", "q": "loss"}).json()
    assert body["filters"] == {"type": "packet_loss", "severity": "high", "q": "loss"}
    assert (body["count"], body["total"]) == (1, 1)


def test_times_are_seconds_or_iso_and_overlap_windows(stack: Running, capture_id: str) -> None:
    start_s = ORIGIN_NS / S
    assert listed(stack, **{"from": start_s + 10, "to": start_s + 30}) == ids(2, 1)
    assert listed(stack, **{"from": "2009-02-13T23:31:55"}) == ids(4, 3, 2)
    assert listed(stack, **{"from": "2009-02-13T23:32:00.500000+00:00"}) == ids(4, 3)
    assert listed(stack, to="2009-02-14T00:31:40.500+01:00") == ids(0)
    # A plus that was not escaped arrives as a blank.
    answer = stack.http.get(f"{LIST}?to=2009-02-14T00:31:40.500+01:00")
    assert [anomaly["window_id"] for anomaly in answer.json()["anomalies"]] == [0]


@pytest.mark.parametrize(
    "query",
    [
        "type=nonsense",
        "type=",
        "severity=low",
        "severity=HIGH!",
        "limit=0",
        "limit=1001",
        "offset=-1",
        "from=yesterday",
        "from=inf",
        "from=1e300",
        "from=20&to=10",
        "source_ip=300.1.1.1",
        "destination_ip=host",
        "signal=A B",
        "incident=xyz",
        "q=",
        "order=sideways",
        "capture=a/b",
    ],
)
def test_nonsense_is_refused(stack: Running, query: str) -> None:
    for path in ("", "incidents"):
        if query.startswith("order") and path:
            continue
        answer = stack.http.get(f"{LIST}{path}?{query}")
        assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request"), path
        assert answer.json()["timestamp"]


def test_the_list_is_of_one_capture_unless_all_are_asked_for(stack: Running, store: Store, capture_id: str) -> None:
    newer = insert_stored_capture(store)
    insert_anomalies(store, anomaly_values(newer, 0, anomaly_id=ids(99)[0]))
    assert listed(stack) == ids(99)
    assert listed(stack, capture=capture_id) == ids(4, 3, 2, 1, 0)
    assert len(listed(stack, capture="all")) == 6
    assert stack.http.get(LIST, params={"capture": "nobody"}).status_code == 404


def test_by_type_counts_severities(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    insert_anomalies(
        store,
        *(anomaly_values(capture_id, n, type="packet_loss", severity="high") for n in range(3)),
        anomaly_values(capture_id, 3, type="packet_loss", severity="medium"),
        anomaly_values(capture_id, 4, type="high_latency", severity="medium"),
    )
    body = stack.http.get(f"{LIST}by-type").json()
    assert body["total"] == 5
    assert list(body["by_type"]) == ["packet_loss", "high_latency"]
    assert body["by_type"]["packet_loss"] == {"count": 4, "by_severity": {"high": 3, "medium": 1}}
    assert body["by_type"]["high_latency"] == {"count": 1, "by_severity": {"high": 0, "medium": 1}}


def test_a_windows_anomalies_are_those_of_its_number(stack: Running, capture_id: str) -> None:
    body = stack.http.get(f"{LIST}window/3").json()
    assert (body["window_id"], body["count"]) == (3, 1)
    assert body["anomalies"][0]["anomaly_id"] == ids(3)[0]
    assert stack.http.get(f"{LIST}window/5").json()["anomalies"] == []
    missing = stack.http.get(f"{LIST}window/6")
    assert missing.status_code == 404
    assert (missing.json()["error"], missing.json()["total_windows"]) == ("Window not found", 6)
    assert stack.http.get(f"{LIST}window/x").status_code == 400


def test_the_top_counts_what_is_about_the_same(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store, windows=6)
    insert_anomalies(
        store,
        anomaly_values(capture_id, 0, severity="medium", message="first"),
        anomaly_values(capture_id, 2, message="second", folded=3),
        anomaly_values(capture_id, 3, subject="10.0.0.7"),
    )
    top = stack.http.get(f"{LIST}top").json()["top"]
    assert [(entry["subject"], entry["count"]) for entry in top] == [("10.0.0.9", 5), ("10.0.0.7", 1)]
    assert (top[0]["severity"], top[0]["message"]) == ("high", "second")
    assert (top[0]["first_seen"], top[0]["last_seen"]) == (1234567890.5, 1234567910.5)
    assert len(stack.http.get(f"{LIST}top?limit=1").json()["top"]) == 1


def test_a_storm_is_one_incident(stack: Running, store: Store, capture_id: str) -> None:
    insert_anomalies(
        store, anomaly_values(capture_id, 5, incident_id="00000000000000bb", current_value=7.0, severity="medium")
    )
    body = stack.http.get(f"{LIST}incidents").json()
    assert (body["count"], body["total"]) == (2, 2)
    newest, storm = body["incidents"]
    assert (newest["incident_id"], newest["count"], newest["severity"]) == ("00000000000000bb", 1, "medium")
    assert (storm["count"], storm["windows"], storm["severity"]) == (5, 5, "high")
    assert (storm["first_seen"], storm["last_seen"], storm["ended"]) == (1234567890.5, 1234567930.5, 1234567940.5)
    assert storm["last_anomaly_id"] == ids(4)[0]
    assert stack.http.get(f"{LIST}incidents?limit=1&offset=1").json()["incidents"] == [storm]
    assert stack.http.get(f"{LIST}incidents?severity=medium").json()["total"] == 1


FLOW = {
    "src_ip": "10.0.0.9",
    "src_port": 40000,
    "dst_ip": "2001:db8::1",
    "dst_port": 443,
    "protocol": 6,
    "name": "https",
    "first_ts_ns": ORIGIN_NS,
    "last_ts_ns": ORIGIN_NS + S,
    "packets_forward": 9,
    "packets_backward": 3,
    "bytes_forward": 900,
    "bytes_backward": 300,
    "data_segments_forward": 6,
    "data_segments_backward": 1,
    "retransmissions_forward": 5,
    "retransmissions_backward": 0,
    "rtt_count": 2,
    "rtt_sum_ns": 30_000_000,
    "rtt_max_ns": 20_000_000,
}


def test_one_anomaly_shows_its_evidence(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store, windows=3)
    insert_windows(store, window_values(capture_id, 3, bytes=99_000))
    insert_anomalies(
        store,
        anomaly_values(
            capture_id,
            3,
            type="traffic_spike",
            signal="byte_spike",
            metric="bytes_per_s",
            subject="network",
            current_value=9900.0,
            threshold=1500.0,
            baseline_mean=990.0,
            explanation='{"signal": "byte_spike", "value": 9900.0, "unit": "bytes/s", "threshold": 1500.0, "rule": "r",'
            ' "baseline": {"std": 170.0}}',
            flows=[FLOW],
        ),
    )
    body = stack.http.get(f"{LIST}{ids(3)[0]}").json()
    assert body["is_current"] is True
    assert body["flows"][0]["src"] == "10.0.0.9:40000"
    assert body["flows"][0]["dst"] == "[2001:db8::1]:443"
    assert (body["flows"][0]["retransmissions"], body["flows"][0]["mean_rtt"]) == (5, 15.0)
    assert body["picture"]["band"] == {"mean": 990.0, "std": 170.0, "low": 480.0, "high": 1500.0}
    assert [(p["window_id"], p["value"]) for p in body["picture"]["windows"]] == [
        (0, 990.0),
        (1, 990.0),
        (2, 990.0),
        (3, 9900.0),
    ]
    assert body["incident"]["count"] == 1
    shown = stack.http.get(f"{LIST}{ids(3)[0]}?before=1&after=0").json()["picture"]["windows"]
    assert [point["window_id"] for point in shown] == [2, 3]


PICTURES = {
    ("packets_per_s", "packet_spike"): 8.7,
    ("mean_rtt_ms", "slow_round_trips"): 45.0,
    ("packet_loss_percent", "network_loss"): 12.5,
    ("protocol_share_points", "protocol_grew"): 100 * 30 / 87,
    ("failed_ports", "vertical_scan"): 30.0,
    ("failed_hosts", "horizontal_scan"): 4.0,
    ("failed_arp_hosts", "arp_sweep"): 77.0,
    ("connections_begun", "brute_force"): 7.0,
    ("sources", "distributed_flood"): 120.0,
    ("connection_age_s", "old_connection"): 9.0,
    ("bytes_per_s", "host_spike"): 300.0,
    ("packets_per_s", "packet_flood"): 5.0,
    ("packet_loss_percent", "flow_loss"): 500 / 6,
}


@pytest.mark.parametrize(("metric", "signal"), PICTURES)
def test_every_metric_has_a_picture(stack: Running, store: Store, metric: str, signal: str) -> None:
    capture_id = insert_stored_capture(store, windows=1)
    asked = {"conversations": 7, "begun": 7, "failed": 0, "packets_forward": 50, "packets_backward": 5}
    asked |= {"bytes_forward": 1, "bytes_backward": 1}
    client = {"src_ip": "10.0.0.9", "dst_ip": "10.0.0.2", "dst_port": 22, "protocol": 6, "name": "ssh", **asked}
    insert_windows(
        store,
        window_values(
            capture_id,
            0,
            version=2,
            host_traffic=[{"ip": "10.0.0.9", "bytes_sent": 2000, "bytes_received": 1000, "conversations": 1}],
            scan_sources=[
                {"src_ip": "10.0.0.9", "targets": 30, "failed_targets": 30, "max_ports": 30, "max_hosts": 4},
                {"src_ip": "10.0.0.9", "targets": 80, "failed_targets": 77, "max_ports": 0, "max_hosts": 77},
                {"src_ip": "10.0.0.8", "targets": 90, "failed_targets": 90, "max_ports": 90, "max_hosts": 9},
            ],
            service_clients=[client, {**client, "src_ip": "10.0.0.8", "begun": 90}],
            responders=[{"dst_ip": "10.0.0.2", "sources": 120, **asked}],
            conversations=[{**FLOW, "dst_ip": "10.0.0.2"}],
        ),
    )
    subject = "10.0.0.9"
    insert_anomalies(store, anomaly_values(capture_id, metric=metric, signal=signal, protocol="dns", subject=subject))
    [point] = stack.http.get(f"{LIST}{ids(0)[0]}").json()["picture"]["windows"]
    assert point["value"] == pytest.approx(PICTURES[metric, signal])


def test_the_picture_of_a_protocol_is_its_share_in_percent(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store, windows=1)
    insert_anomalies(
        store,
        anomaly_values(capture_id, metric="protocol_share_points", protocol="dns", baseline_mean=0.2, threshold=30.0),
    )
    picture = stack.http.get(f"{LIST}{ids(0)[0]}").json()["picture"]
    assert picture["metric"] == "protocol_share_percent"
    assert picture["band"] == {"mean": 20.0, "std": None, "low": 0.0, "high": 50.0}


def test_a_bound_from_below_is_the_low_end_of_the_band(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store, windows=1)
    insert_anomalies(
        store, anomaly_values(capture_id, signal="silence", current_value=0.0, threshold=100.0, baseline_mean=900.0)
    )
    band = stack.http.get(f"{LIST}{ids(0)[0]}").json()["picture"]["band"]
    assert (band["low"], band["high"]) == (100.0, 1700.0)


def test_an_unknown_anomaly_is_not_found(stack: Running) -> None:
    answer = stack.http.get(f"{LIST}{'f' * 16}")
    assert (answer.status_code, answer.json()["error"]) == (404, "Anomaly not found")
    assert stack.http.get(f"{LIST}nonsense").status_code == 400
    answer = stack.http.get(f"{LIST}detect")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_the_newest_run_that_was_no_dry_run_counts(stack: Running, store: Store, capture_id: str) -> None:
    for run_id, is_dry_run, number in (("r1", False, 20), ("r2", True, 30)):
        insert_anomalies(store, anomaly_values(capture_id, 3, run_id=run_id, anomaly_id=ids(number)[0]))
        run = RunRow(
            run_id=run_id,
            capture_id=capture_id,
            kind=RunKind.DETECT,
            state=RunState.COMPLETE,
            is_dry_run=is_dry_run,
            first_window_id=2,
            last_window_id=4,
            started_ns=1,
        )
        insert_run(store, run)
    assert listed(stack) == ids(20, 1, 0)
    assert stack.http.get(f"{LIST}{ids(20)[0]}").json()["is_current"] is True
    for superseded in (3, 30):
        detail = stack.http.get(f"{LIST}{ids(superseded)[0]}").json()
        assert detail["is_current"] is False
