from __future__ import annotations

import pytest

from schemas.thresholds import Thresholds
from tests.agents.observations import HOUR, SERVER, empty_window, found, host, ordinary, signals, window


def busy(number: int, factor: float) -> dict[str, object]:
    """Return a window with so many times the bytes, by one host, in as many packets as ever."""
    sent, received = round(80_000 * factor), round(20_000 * factor)
    return window(number, bytes=sent + received, host_traffic=[host(SERVER, sent=sent, received=received)])


def test_a_spike_on_the_network_and_at_the_host_is_found() -> None:
    anomalies = found([*ordinary(40), busy(40, 10)])
    assert signals(anomalies) == [(40, "byte_spike", "high"), (40, "host_spike", "high")]
    network, server = anomalies
    assert network["source_ip"] == server["source_ip"] == SERVER
    assert network["current_value"] == 100_000
    assert network["deviation"] == pytest.approx((100_000 - network["baseline_mean"]) / 1000, rel=0.3)
    assert server["subject"] == SERVER


def test_a_spike_of_small_packets_is_found_in_packets() -> None:
    (spike,) = found([*ordinary(40), window(40, record_count=4000, protocol_packets=[("dns", 400), ("http", 3600)])])
    assert (spike["signal"], spike["metric"], spike["source_ip"]) == ("packet_spike", "packets_per_s", "")


def test_there_is_no_spike_without_a_baseline() -> None:
    assert found([*ordinary(29), busy(29, 50)]) == []


def test_two_standard_deviations_alone_are_no_spike() -> None:
    assert found([*ordinary(40), busy(40, 1.3)]) == []


def test_the_bounds_are_settings() -> None:
    rows = [*ordinary(40), busy(40, 1.35)]
    strict = {"traffic_spike_ratio": 1, "traffic_spike_min_bytes_per_s": 0, "traffic_spike_host_ratio": 100}
    assert signals(found(rows, **strict)) == [(40, "byte_spike", "medium")]
    assert found(rows, **strict, traffic_spike_medium=8, traffic_spike_high=9) == []


def test_a_trickle_is_no_spike_whatever_is_usual() -> None:
    rows = [row | {"bytes": row["bytes"] // 100, "host_traffic": []} for row in ordinary(40)]
    assert found([*rows, window(40, bytes=100_000, host_traffic=[])]) == []


def test_half_the_flows_kept_are_the_traffic_of_all() -> None:
    half = busy(40, 0.5) | {"sampling_rate": 0.5, "record_count": 100, "connections_total": 10}
    assert found([*ordinary(40), half]) == []


def test_silence_is_found_on_a_link_that_is_never_silent() -> None:
    anomalies = found([*ordinary(HOUR), *(empty_window(number) for number in range(HOUR, HOUR + 4))])
    assert signals(anomalies) == [(HOUR + n, "silence", "high") for n in (1, 2, 3)]
    assert anomalies[-1]["incident_count"] == 3


def test_a_drop_is_found_and_a_short_one_is_not() -> None:
    rows = ordinary(HOUR + 10)
    for number in (HOUR, HOUR + 4, HOUR + 5):
        rows[number] |= {"bytes": 500}
    assert signals(found(rows)) == [(HOUR + 5, "traffic_drop", "medium")]


def test_a_link_that_is_often_quiet_cannot_drop() -> None:
    rows = ordinary(HOUR)
    for number in range(0, HOUR, 20):
        rows[number] = empty_window(number)
    assert found([*rows, *(empty_window(number) for number in range(HOUR, HOUR + 5))]) == []


def test_nothing_drops_before_half_an_hour() -> None:
    least = Thresholds().traffic_drop_min_windows
    assert found([*ordinary(least - 5), *(empty_window(number) for number in range(least - 5, least - 1))]) == []
