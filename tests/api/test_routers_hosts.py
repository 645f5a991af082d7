from __future__ import annotations

import pytest

from infra.store import Store
from tests.api.classifications import insert_verdicts, verdict_values
from tests.api.flows import flow_values, insert_flows, mapped
from tests.api.stack import ORIGIN_NS, Running, S, insert_stored_capture

HOSTS = "/api/hosts/"


@pytest.fixture
def capture_id(store: Store) -> str:
    """A capture of 20 s: 10.0.0.1 asks 10.0.0.2 twice and is asked by 10.0.0.3, over ten seconds, once."""
    capture_id = insert_stored_capture(store)
    insert_flows(
        store,
        flow_values(capture_id, 0),
        flow_values(capture_id, 1, protocol=17, dst_port=53),
        flow_values(capture_id, 5, src_ip=mapped(3), dst_ip=mapped(1), end_ns=ORIGIN_NS + 15 * S, dst_port=22),
    )
    return capture_id


def test_an_empty_store_has_no_hosts(stack: Running) -> None:
    body = stack.http.get(HOSTS).json()
    assert (body["count"], body["total"], body["hosts"], body["capture_id"]) == (0, 0, [], None)
    assert stack.http.get(f"{HOSTS}10.0.0.1").status_code == 404


def test_hosts_are_counted_whichever_end_they_are(stack: Running, store: Store, capture_id: str) -> None:
    insert_verdicts(store, verdict_values(capture_id, 0), verdict_values(capture_id, 1, class_name="BENIGN"))
    body = stack.http.get(HOSTS).json()
    assert (body["total"], body["capture_id"]) == (3, capture_id)
    assert [host["ip"] for host in body["hosts"]] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    first = body["hosts"][0]
    assert (first["flows_begun"], first["flows_answered"], first["peers"], first["country"]) == (2, 1, 2, "LAN")
    assert (first["bytes_sent"], first["bytes_received"]) == (300 + 300 + 1200, 1200 + 1200 + 300)
    assert (first["attack_flows"], first["anomalies"]) == (1, 0)
    assert body["hosts"][1]["attack_flows"] == 0


@pytest.mark.parametrize("order", ["bytes", "flows", "peers", "attacks"])
def test_pages_of_hosts_are_parts_of_the_list(stack: Running, capture_id: str, order: str) -> None:
    whole = stack.http.get(HOSTS, params={"order": order}).json()["hosts"]
    for place, host in enumerate(whole):
        page = stack.http.get(HOSTS, params={"order": order, "limit": 1, "offset": place}).json()
        assert page["hosts"] == [host]


def test_a_host_says_what_it_did_with_whom(stack: Running, capture_id: str) -> None:
    body = stack.http.get(f"{HOSTS}::ffff:10.0.0.1").json()
    assert (body["ip"], body["country"], body["capture_id"], body["peer_count"]) == ("10.0.0.1", "LAN", capture_id, 2)
    assert (body["total"]["packets_sent"], body["total"]["packets_received"]) == (3 + 3 + 2, 2 + 2 + 3)
    assert [(peer["ip"], peer["flows_begun"], peer["flows_answered"]) for peer in body["peers"]] == [
        ("10.0.0.2", 2, 0),
        ("10.0.0.3", 0, 1),
    ]
    assert [port["service"] for port in body["offers"]] == ["tcp/22"]
    assert [port["service"] for port in body["uses"]] == ["udp/53", "tcp/443"]


def test_the_time_line_is_the_traffic_in_sum_and_spread_over_a_flow(stack: Running, capture_id: str) -> None:
    body = stack.http.get(f"{HOSTS}10.0.0.1", params={"points": 20}).json()
    line = body["series"]
    assert (body["step_s"], len(line), line[0]["time"]) == (1, 20, ORIGIN_NS / S)
    assert sum(point["bytes_sent"] for point in line) == pytest.approx(body["total"]["bytes_sent"])
    assert sum(point["bytes_received"] for point in line) == pytest.approx(body["total"]["bytes_received"])
    assert [point["bytes_sent"] for point in line[5:15]] == pytest.approx([120.0] * 10)
    assert [point["flows_begun"] for point in line[:7]] == [1, 1, 0, 0, 0, 1, 0]


def test_a_time_range_takes_flows_that_had_a_packet_in_it(stack: Running, capture_id: str) -> None:
    times = {"from": ORIGIN_NS / S + 6, "to": ORIGIN_NS / S + 8, "points": 10}
    body = stack.http.get(f"{HOSTS}10.0.0.1", params=times).json()
    assert (body["total"]["flows_begun"], body["total"]["flows_answered"]) == (0, 1)
    assert [point["bytes_sent"] for point in body["series"]] == pytest.approx([120.0, 120.0])
    assert stack.http.get(HOSTS, params=times).json()["total"] == 2


def test_a_host_without_flows_is_no_error(stack: Running, capture_id: str) -> None:
    body = stack.http.get(f"{HOSTS}2001:db8::1").json()
    assert (body["total"]["flows_begun"], body["total"]["first_seen"], body["peers"]) == (0, None, [])
    assert all(point["bytes_sent"] == 0 for point in body["series"])


@pytest.mark.parametrize("path", ["no-address", "10.0.0.1?capture=x&from=2&to=1", "?order=none"])
def test_what_makes_no_sense_is_refused(stack: Running, capture_id: str, path: str) -> None:
    assert stack.http.get(HOSTS + path).status_code == 400
