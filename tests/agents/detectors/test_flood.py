from __future__ import annotations

import pytest

from tests.agents.observations import (
    ATTACKER,
    CLIENT,
    SERVER,
    Row,
    asked,
    found,
    ordinary,
    scan,
    service_client,
    signals,
    window,
)

VIDEO = {"protocol": 17, "name": "rtp"}


def served(number: int, *clients: Row) -> Row:
    return window(number, service_clients=list(clients))


@pytest.mark.parametrize(("begun", "severity"), [(120, None), (121, "medium"), (301, "high")])
def test_many_connections_to_one_service_are_a_flood(begun: int, severity: str | None) -> None:
    anomalies = found([served(0, service_client(ATTACKER, 80, begun))])
    assert signals(anomalies) == ([(0, "connection_flood", severity)] if severity else [])
    for one in anomalies:
        assert (one["type"], one["source_ip"], one["destination_ip"]) == ("traffic_spike", ATTACKER, SERVER)


def test_connections_of_a_minute_are_counted_together() -> None:
    assert signals(found([served(n, service_client(ATTACKER, 80, 25)) for n in range(7)]))[0][0] == 4
    assert found([served(n, service_client(ATTACKER, 80, 19)) for n in range(20)]) == []


def test_a_busy_proxy_is_no_flood_once_it_is_learnt() -> None:
    proxy = [row | {"service_clients": [service_client(CLIENT, 80, 200)]} for row in ordinary(60)]
    anomalies = found(proxy)
    assert max(one["window_id"] for one in anomalies) < 60
    learnt = [row | {"service_clients": [service_client(CLIENT, 80, 15)]} for row in ordinary(60)]
    assert found(learnt) == []
    assert signals(found([*learnt, served(60, service_client(ATTACKER, 80, 60))])) == [
        (60, "connection_flood", "medium")
    ]


def test_answered_names_are_no_flood_and_unanswered_ones_are() -> None:
    names = {"protocol": 17, "name": "dns"}
    assert found([served(0, service_client(CLIENT, 53, 500, **names))]) == []
    assert signals(found([served(0, service_client(ATTACKER, 53, 500, failed=500, **names))])) == [
        (0, "connection_flood", "high")
    ]


def test_a_flood_of_pings_is_found_and_a_ping_is_not() -> None:
    ping = {"protocol": 1, "name": "icmp"}
    assert found([served(0, service_client(CLIENT, 0, 1, forward=50, backward=50, **ping))]) == []
    (flood,) = found([served(0, service_client(ATTACKER, 0, 1, forward=5000, backward=5000, **ping))])
    assert (flood["signal"], flood["severity"], flood["source_ip"]) == ("packet_flood", "high", ATTACKER)


def test_unanswered_datagrams_at_a_high_rate_are_a_flood() -> None:
    assert found([served(0, service_client(CLIENT, 5004, 1, forward=4000, backward=0, **VIDEO))]) == []
    assert found([served(0, service_client(CLIENT, 5004, 1, forward=90_000, backward=80_000, **VIDEO))]) == []
    anomalies = found([served(0, service_client(ATTACKER, 5004, 1, forward=9000, backward=0, **VIDEO))])
    assert signals(anomalies) == [(0, "packet_flood", "medium")]


def many(sources: int, **more: int) -> Row:
    clients = [service_client(f"10.9.{n // 256}.{n % 256}", 80, 1, forward=more.get("forward", 1)) for n in range(128)]
    responder = {"dst_ip": SERVER, "sources": sources} | asked(sources, **more)
    return window(0, service_clients=clients, responders=[responder])


def test_a_flood_of_forged_sources_names_the_victim_and_how_many_there_are() -> None:
    (flood,) = found([many(2000, failed=2000, forward=2000)])
    assert (flood["signal"], flood["severity"]) == ("distributed_flood", "high")
    assert (flood["source_ip"], flood["destination_ip"], flood["current_value"]) == ("", SERVER, 2000)
    assert "2000 sources" in flood["message"]


def test_a_flood_of_forged_sources_is_found_though_each_syn_is_answered() -> None:
    assert signals(found([many(2000, forward=2000, backward=4000)])) == [(0, "distributed_flood", "high")]


def test_a_popular_server_is_not_flooded() -> None:
    assert found([many(2000, forward=14_000)]) == []


def test_few_sources_that_ask_one_host_far_more_than_usual_are_a_flood() -> None:
    rows = [row | {"responders": [{"dst_ip": SERVER, "sources": 3} | asked(8)]} for row in ordinary(40)]
    clients = [service_client(f"10.9.0.{n}", 80, 38) for n in range(10)]
    crowd = window(40, service_clients=clients, responders=[{"dst_ip": SERVER, "sources": 10} | asked(380)])
    (flood,) = found([*rows, crowd])
    assert (flood["signal"], flood["source_ip"], flood["destination_ip"]) == ("connection_flood", "", SERVER)


def test_a_quick_scan_is_a_scan_and_no_flood() -> None:
    rows = [row | {"responders": [{"dst_ip": SERVER, "sources": 3} | asked(8)]} for row in ordinary(40)]
    targets = [
        {"src_ip": ATTACKER, "dst_ip": SERVER, "dst_port": port, "protocol": 6, "conversations": 1, "resets": 1}
        for port in range(400)
    ]
    responders = [{"dst_ip": SERVER, "sources": 1} | asked(400, failed=400)]
    assert signals(found([*rows, window(40, responders=responders, **scan(targets))])) == [
        (40, "vertical_scan", "high")
    ]


def test_many_requests_on_few_connections_are_a_flood_once_requests_are_learnt() -> None:
    calm = {"service_clients": [service_client(CLIENT, 80, 8, forward=30)]}
    flooding = service_client(ATTACKER, 80, 8, forward=600) | {"bytes_forward": 140_000}
    rows = [row | calm for row in ordinary(40)]
    (flood,) = found([*rows, served(40, flooding)])
    assert (flood["signal"], flood["source_ip"]) == ("request_flood", ATTACKER)
    assert found([served(0, flooding)]) == []
    upload = flooding | {"bytes_forward": 600 * 1500}
    assert found([*rows, served(40, upload)]) == []
