from __future__ import annotations

from typing import Any

import pytest

from infra.store import Store
from schemas.flows import FEATURE_NAMES
from tests.api.flows import COMMUNITY_ID, FLOW_ID, flow_values, insert_flows, insert_packets, mapped, packet_values
from tests.api.stack import ORIGIN_NS, Running, S, capture_row, insert_captures, insert_stored_capture

LIST = "/api/flows/"


def listed(stack: Running, **query: Any) -> list[int]:
    """Return the numbers of the flows that a list shows."""
    answer = stack.http.get(LIST, params=query)
    assert answer.status_code == 200, answer.text
    return [int(flow["flow_id"], 16) - FLOW_ID for flow in answer.json()["flows"]]


@pytest.fixture
def capture_id(store: Store) -> str:
    """A capture with five flows, one of which goes on."""
    capture_id = insert_stored_capture(store)
    insert_flows(
        store,
        flow_values(capture_id, 0),
        flow_values(capture_id, 1, protocol=17, dst_port=53, bwd_bytes=9_000),
        flow_values(capture_id, 2, src_ip=mapped(3), dst_ip=mapped(1), fwd_packets=70),
        flow_values(capture_id, 3, end_reason="interim", end_ns=ORIGIN_NS + 60 * S),
        flow_values(capture_id, 4, src_ip=bytes(15) + b"\1", community_id="1:" + "a" * 27 + "="),
    )
    return capture_id


def test_an_empty_store_lists_no_flow(stack: Running) -> None:
    body = stack.http.get(LIST).json()
    assert (body["count"], body["total"], body["flows"], body["next_cursor"]) == (0, 0, [], None)


def test_a_flow_is_one_flat_object(stack: Running, capture_id: str) -> None:
    [flow] = stack.http.get(LIST, params={"limit": 1, "order": "oldest"}).json()["flows"]
    assert (flow["flow_id"], flow["capture_id"]) == ("5d41402abc4b2a76", capture_id)
    assert (flow["start"], flow["duration_s"]) == (ORIGIN_NS / S, 0.5)
    assert (flow["source_ip"], flow["source_port"]) == ("10.0.0.1", 40_000)
    assert (flow["destination_ip"], flow["destination_port"], flow["protocol_name"]) == ("10.0.0.2", 443, "tcp")
    assert (flow["packets"], flow["bytes"], flow["is_ended"]) == (5, 1500, True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"order": "oldest"}, [0, 1, 2, 3, 4]),
        ({"order": "bytes", "limit": 2}, [1, 4]),
        ({"order": "packets", "limit": 1}, [2]),
        ({"order": "duration", "limit": 1}, [3]),
        ({"source_ip": "10.0.0.1"}, [3, 1, 0]),
        ({"destination_ip": "::ffff:10.0.0.1"}, [2]),
        ({"ip": "10.0.0.1"}, [3, 2, 1, 0]),
        ({"ip": "0:0:0:0:0:0:0:1"}, [4]),
        ({"port": 53}, [1]),
        ({"port": 40_003}, [3]),
        ({"source_port": 443}, []),
        ({"destination_port": 443, "source_ip": "10.0.0.1"}, [3, 0]),
        ({"protocol": "udp"}, [1]),
        ({"protocol": "17"}, [1]),
        ({"community_id": COMMUNITY_ID}, [3, 2, 1, 0]),
        ({"end_reason": "interim"}, [3]),
        ({"min_packets": 6}, [2]),
        ({"min_bytes": 1501}, [1]),
        ({"from": str(ORIGIN_NS / S + 5)}, [3]),
        ({"to": str(ORIGIN_NS / S + 2)}, [1, 0]),
    ],
)
def test_filters_and_orders(stack: Running, capture_id: str, query: dict[str, Any], expected: list[int]) -> None:
    assert listed(stack, **query) == expected
    assert listed(stack, capture=capture_id, **query) == expected


@pytest.mark.parametrize("order", ["newest", "oldest", "bytes", "packets", "duration"])
def test_a_cursor_goes_on_where_it_was_whatever_comes_in(
    stack: Running, store: Store, capture_id: str, order: str
) -> None:
    whole = listed(stack, order=order)
    seen: list[int] = []
    query: dict[str, Any] = {"limit": 2, "order": order}
    for page in range(4):
        body = stack.http.get(LIST, params=query).json()
        seen += [int(flow["flow_id"], 16) - FLOW_ID for flow in body["flows"]]
        if page == 0:
            insert_flows(store, flow_values(insert_stored_capture(store), 0))
        if body["next_cursor"] is None:
            break
        query = {"limit": 2, "cursor": body["next_cursor"]}
    assert seen == whole


def test_the_record_with_most_packets_is_shown(stack: Running, store: Store, capture_id: str) -> None:
    insert_flows(store, flow_values(capture_id, 0, fwd_packets=2, end_reason="interim", window_id=6))
    insert_flows(store, flow_values(capture_id, 3, fwd_packets=3, end_reason="timeout"))
    rows = {flow["flow_id"]: flow for flow in stack.http.get(LIST).json()["flows"]}
    assert len(rows) == 5
    assert rows[f"{FLOW_ID:016x}"]["packets"] == 5
    assert rows[f"{FLOW_ID + 3:016x}"]["end_reason"] == "timeout"


def test_a_flow_has_its_features_by_name_and_its_interim_records(stack: Running, store: Store, capture_id: str) -> None:
    for window_id in (4, 5):
        record = flow_values(capture_id, 0, fwd_packets=window_id - 3, end_reason="interim", window_id=window_id)
        insert_flows(store, record)
    body = stack.http.get(f"{LIST}{FLOW_ID:016x}").json()
    assert list(body["features"]) == list(FEATURE_NAMES)
    assert (body["features"]["Destination Port"], body["features"]["Idle Min"]) == (0.0, 38.5)
    assert body["end_reason"] == "fin"
    assert [(record["window_id"], record["packets_forward"]) for record in body["interim"]] == [(4, 1), (5, 2)]


def test_the_newest_capture_that_has_a_flow_is_meant(stack: Running, store: Store, capture_id: str) -> None:
    insert_captures(store, capture_row("00oldest"))
    insert_flows(store, flow_values("00oldest", 0, fwd_packets=9))
    path = f"{LIST}{FLOW_ID:016x}"
    assert stack.http.get(path).json()["capture_id"] == capture_id
    assert stack.http.get(path, params={"capture": "00oldest"}).json()["packets_forward"] == 9
    answer = stack.http.get(path, params={"capture": "00other"})
    assert (answer.status_code, answer.json()["error"]) == (404, "Flow not found")


def test_the_packets_of_a_flow_are_those_of_both_directions_in_its_frames(
    stack: Running, store: Store, capture_id: str
) -> None:
    insert_packets(
        store,
        packet_values(capture_id, 1, 1, 2),
        packet_values(capture_id, 2, 2, 1),
        packet_values(capture_id, 3, 1, 2, src_port=40_001),
        packet_values(capture_id, 4, 1, 2, protocol=17),
        packet_values(capture_id, 5, 1, 2, fragment=1),
        packet_values(capture_id, 6, 1, 2, vlan=7),
        packet_values(capture_id, 7, 1, 2, ts_ns=ORIGIN_NS),
        packet_values(capture_id, 101, 1, 2, ts_ns=ORIGIN_NS),
        packet_values("another", 8, 1, 2),
    )
    path = f"{LIST}{FLOW_ID:016x}/packets"
    body = stack.http.get(path).json()
    assert [(packet["frame"], packet["is_forward"]) for packet in body["packets"]] == [(1, True), (2, False), (7, True)]
    assert (body["count"], body["total"], body["next_cursor"]) == (3, 3, None)
    assert body["packets"][0]["tcp_flags"] == ["SYN", "ACK"]
    first = stack.http.get(path, params={"limit": 2}).json()
    rest = stack.http.get(path, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [packet["frame"] for packet in (*first["packets"], *rest["packets"])] == [1, 2, 7]


def test_fragments_are_the_packets_of_a_flow_without_ports(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    insert_flows(store, flow_values(capture_id, 0, src_port=0, dst_port=0, protocol=17))
    parts = [packet_values(capture_id, 10 + part, 1, 2, protocol=17, fragment=part) for part in (0, 1, 2)]
    insert_packets(store, *parts)
    body = stack.http.get(f"{LIST}{FLOW_ID:016x}/packets").json()
    assert [(packet["fragment"], packet["is_forward"]) for packet in body["packets"]] == [
        ("first", True),
        ("later", True),
    ]


@pytest.mark.parametrize(
    "query",
    [
        {"ip": "no"},
        {"protocol": "nonsense"},
        {"protocol": "256"},
        {"port": 65_536},
        {"community_id": "2:x"},
        {"end_reason": "bored"},
        {"min_bytes": -1},
        {"order": "best"},
        {"cursor": "x"},
        {"cursor": "k.a.1."},
    ],
)
def test_what_makes_no_sense_is_refused(stack: Running, query: dict[str, Any]) -> None:
    answer = stack.http.get(LIST, params=query)
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")


def test_a_cursor_of_another_flows_packets_is_refused(stack: Running, capture_id: str) -> None:
    path = f"{LIST}{FLOW_ID:016x}/packets"
    for cursor in (f"k.{capture_id}.1.{FLOW_ID + 1:016x}", f"n.{capture_id}.1.{FLOW_ID:016x}"):
        assert stack.http.get(path, params={"cursor": cursor}).status_code == 400


@pytest.mark.parametrize("path", ["0000000000000000", "0000000000000000/packets"])
def test_an_unknown_flow_is_not_found(stack: Running, path: str) -> None:
    answer = stack.http.get(LIST + path)
    assert (answer.status_code, answer.json()["flow_id"]) == (404, "0000000000000000")


def test_flows_are_exported_as_they_are_listed(stack: Running, capture_id: str) -> None:
    answer = stack.http.get("/api/export/flows", params={"format": "csv", "columns": "flow_id,src_ip,fwd_packets"})
    assert answer.text.splitlines()[:2] == ["flow_id,src_ip,fwd_packets", '"5d41402abc4b2a76","10.0.0.1",3']
    assert len(answer.text.splitlines()) == 6
