from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.packets import NO_PROTOCOL
from tests.agents.observations import ATTACKER, SERVER, Row, contact, found, scan, signals, window


def vertical(ports: range, number: int = 0, contacted: int | None = None) -> Row:
    return window(number, **scan([contact(ATTACKER, SERVER, port) for port in ports], contacted))


def horizontal(hosts: range, number: int = 0, port: int = 23, protocol: int = 6) -> Row:
    targets = [contact(ATTACKER, f"10.1.{n // 256}.{n % 256}", port, protocol) for n in hosts]
    return window(number, **scan(targets))


@pytest.mark.parametrize(("ports", "severity"), [(20, None), (21, "medium"), (50, "medium"), (51, "high")])
def test_many_ports_of_one_host_are_a_vertical_scan(ports: int, severity: str | None) -> None:
    assert signals(found([vertical(range(ports))])) == ([(0, "vertical_scan", severity)] if severity else [])


@pytest.mark.parametrize(("hosts", "severity"), [(50, None), (51, "medium"), (125, "medium"), (126, "high")])
def test_many_hosts_on_one_port_are_a_horizontal_scan(hosts: int, severity: str | None) -> None:
    assert signals(found([horizontal(range(hosts))])) == ([(0, "horizontal_scan", severity)] if severity else [])


def test_a_scan_names_who_whom_and_what() -> None:
    (anomaly,) = found([vertical(range(1, 101))])
    assert (anomaly["type"], anomaly["source_ip"], anomaly["destination_ip"]) == ("port_scan", ATTACKER, SERVER)
    assert (anomaly["metric"], anomaly["current_value"], anomaly["threshold"]) == ("failed_ports", 100, 50)
    assert anomaly["baseline_mean"] is None
    assert anomaly["hosts"][:2] == [ATTACKER, SERVER]
    assert anomaly["message"].startswith(f"Port scan detected: {ATTACKER} tried 100 ports of {SERVER} within 60 s")


def test_a_ping_sweep_is_a_horizontal_scan() -> None:
    (anomaly,) = found([horizontal(range(80), port=0, protocol=1)])
    assert "80 hosts by ping" in anomaly["message"]


def test_who_reaches_most_of_what_it_tries_does_not_scan() -> None:
    assert found([vertical(range(40), contacted=200)]) == []
    assert found([vertical(range(40), contacted=60)]) != []


@settings(max_examples=20)
@given(st.integers(1, 6))
def test_a_scan_is_found_however_it_falls_into_the_windows_of_a_minute(parts: int) -> None:
    rows = [vertical(range(number * 60 // parts, (number + 1) * 60 // parts), number) for number in range(parts)]
    assert signals(found(rows))[-1] == (parts - 1, "vertical_scan", "high")


def test_the_same_ports_again_are_no_more_ports() -> None:
    assert found([vertical(range(15), number) for number in range(60)]) == []


def test_a_slow_scan_is_found_within_the_hour() -> None:
    rows = [
        vertical(range(number // 6, number // 6 + 1), number) if number % 6 == 0 else window(number)
        for number in range(240)
    ]
    anomalies = found(rows)
    assert signals(anomalies)[0] == (180, "slow_vertical_scan", "medium")
    assert anomalies[0]["current_value"] == 31
    assert len({one["incident_id"] for one in anomalies}) == 1


def test_a_very_slow_scan_is_forgotten_after_the_hour() -> None:
    rows = [vertical(range(number, number + 1), number * 18) for number in range(60)]
    assert found(rows) == []


def test_a_window_without_a_new_failure_repeats_nothing() -> None:
    assert signals(found([vertical(range(30)), *(window(number) for number in range(1, 8))])) == [
        (0, "vertical_scan", "medium")
    ]


def test_where_the_list_was_cut_short_the_windows_own_counts_stand_in() -> None:
    row = vertical(range(25))
    row["scan_sources"][0] |= {"targets": 9000, "failed_targets": 9000, "max_ports": 9000}
    (anomaly,) = found([row])
    assert (anomaly["current_value"], anomaly["severity"]) == (9000, "high")


def test_traceroute_does_not_scan() -> None:
    targets = [contact(ATTACKER, SERVER, port, protocol=17) for port in range(33_434, 33_524)]
    row = window(0, **scan(targets))
    row["scan_sources"][0] |= {"max_ports": 1}
    assert found([row]) == []


def test_many_sources_with_one_failure_each_do_not_scan() -> None:
    targets = [contact(f"10.9.{n // 256}.{n % 256}", SERVER, 80) for n in range(256)]
    assert [one["signal"] for one in found([window(0, **scan(targets))]) if one["type"] == "port_scan"] == []


def arp(hosts: range, number: int = 0, contacted: int | None = None) -> Row:
    columns = scan([contact(ATTACKER, f"10.1.{n // 256}.{n % 256}", 0, NO_PROTOCOL) for n in hosts], contacted)
    columns["scan_sources"][0]["max_ports"] = 0
    return window(number, **columns)


@pytest.mark.parametrize(("hosts", "severity"), [(50, None), (51, "medium"), (125, "medium"), (126, "high")])
def test_who_asks_for_many_hosts_by_arp_sweeps(hosts: int, severity: str | None) -> None:
    assert signals(found([arp(range(hosts))])) == ([(0, "arp_sweep", severity)] if severity else [])


def test_a_sweep_says_who_asked_and_for_whom() -> None:
    (anomaly,) = found([arp(range(60))])
    assert (
        anomaly["message"] == f"ARP sweep detected: {ATTACKER} asked for 60 hosts by ARP within 60 s, 100% unanswered"
    )
    assert (anomaly["type"], anomaly["source_ip"], anomaly["destination_ip"]) == ("port_scan", ATTACKER, "")
    assert (anomaly["metric"], anomaly["current_value"], anomaly["threshold"]) == ("failed_arp_hosts", 60, 50)
    assert anomaly["hosts"][:3] == [ATTACKER, "10.1.0.0", "10.1.0.1"]
    assert anomaly["flows"] == []


def test_who_asks_for_hosts_that_answer_does_not_sweep() -> None:
    assert found([arp(range(60), contacted=200)]) == []


def test_a_router_that_asks_for_one_after_the_other_all_the_time_does_not_sweep() -> None:
    assert found([arp(range(number, number + 1), number) for number in range(359)]) == []


def test_a_sweep_that_falls_into_several_windows_of_a_minute_is_found() -> None:
    rows = [arp(range(number * 15, number * 15 + 15), number) for number in range(4)]
    assert signals(found(rows)) == [(3, "arp_sweep", "medium")]


def test_what_arp_asked_for_counts_for_no_scan_of_ports_or_hosts() -> None:
    both = scan([contact(ATTACKER, f"10.1.0.{n}", 23) for n in range(40)], 100)
    asked = arp(range(40))
    assert found([window(0, **{name: both[name] + asked[name] for name in both})]) == []


def test_a_sweep_and_a_scan_of_one_source_are_two_anomalies() -> None:
    scanned, asked = horizontal(range(60)), arp(range(60))
    row = scanned | {name: asked[name] + scanned[name] for name in ("contacts", "scan_sources")}
    assert sorted(signals(found([row]))) == [(0, "arp_sweep", "medium"), (0, "horizontal_scan", "medium")]
