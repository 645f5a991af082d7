from __future__ import annotations

import pytest

from tests.agents.observations import ATTACKER, CLIENT, SERVER, Row, found, ordinary, service_client, signals, window


def logins(number: int, begun: int, port: int = 22, source: str = ATTACKER, name: str = "ssh") -> Row:
    return window(number, service_clients=[service_client(source, port, begun, name=name)])


@pytest.mark.parametrize(("begun", "severity"), [(3, None), (4, "medium"), (8, "medium"), (20, "high")])
def test_several_logins_at_once_are_brute_force(begun: int, severity: str | None) -> None:
    assert signals(found([logins(0, begun)])) == ([(0, "brute_force", severity)] if severity else [])


def test_many_logins_within_a_minute_are_brute_force() -> None:
    anomalies = found([logins(number, 2, port=21, name="ftp") for number in range(6)])
    assert signals(anomalies)[0] == (3, "brute_force", "medium")
    first = anomalies[0]
    assert (first["type"], first["source_ip"], first["destination_ip"]) == ("traffic_spike", ATTACKER, SERVER)
    assert (
        first["message"]
        == f"Brute force detected: {ATTACKER} opened 8 connections to ftp at {SERVER}:21 within a minute"
    )
    assert len({one["incident_id"] for one in anomalies}) == 1


def test_a_login_now_and_then_is_none() -> None:
    assert found([logins(number, 1) for number in range(30)]) == []


def test_several_connections_to_a_web_server_are_none() -> None:
    assert found([logins(0, 30, port=443, name="https")]) == []


def test_where_logins_are_frequent_it_takes_more() -> None:
    rows = [row | {"service_clients": [service_client(CLIENT, 22, 4, name="ssh")]} for row in ordinary(60)]
    tool = [one for one in found(rows) if one["window_id"] > 40]
    assert tool == [] or all(one["source_ip"] == CLIENT for one in tool)
    attack = window(60, service_clients=[service_client(ATTACKER, 22, 40, name="ssh")])
    assert (60, "brute_force", "high") in signals(found([*rows, attack]))
