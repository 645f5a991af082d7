from __future__ import annotations

import pytest

from tests.agents.observations import SERVER, Row, conversation, found, ordinary, signals, window


def slow(number: int, rtt_ms: float, count: int = 50) -> Row:
    return window(number, rtt_count=count, rtt_sum_ns=round(count * rtt_ms * 1e6))


@pytest.mark.parametrize(("rtt_ms", "severity"), [(28, None), (33, "medium"), (39, "medium"), (43, "high")])
def test_a_multiple_of_the_baseline_is_high_latency(rtt_ms: float, severity: str | None) -> None:
    anomalies = found([*ordinary(40), slow(40, rtt_ms), slow(41, rtt_ms)])
    assert signals(anomalies) == ([(41, "slow_round_trips", severity)] if severity else [])
    for one in anomalies:
        assert one["deviation"] == pytest.approx(rtt_ms / 20, rel=0.05)
        assert one["metric"] == "mean_rtt_ms"


def test_one_slow_window_is_chance() -> None:
    assert found([*ordinary(40), slow(40, 90), *ordinary(3, first=41), slow(44, 90)]) == []


def test_few_round_trips_say_nothing() -> None:
    assert found([*ordinary(40), *(slow(number, 90, count=19) for number in (40, 41, 42))]) == []


def test_there_is_no_latency_without_a_baseline() -> None:
    assert found([*ordinary(20), slow(20, 90), slow(21, 90)]) == []


def test_a_rise_of_microseconds_in_a_lan_is_no_trouble() -> None:
    rows = [row | {"rtt_sum_ns": row["rtt_sum_ns"] // 100} for row in ordinary(40)]
    assert found([*rows, slow(40, 0.6), slow(41, 0.6)]) == []


def test_the_slowest_conversations_are_the_evidence() -> None:
    flows = [conversation(port, rtt_count=10, rtt_sum_ns=10 * port * 1_000_000) for port in (50, 90, 10)]
    (anomaly,) = found([*ordinary(40), slow(40, 60), slow(41, 60) | {"conversations": flows}])
    assert [flow["src_port"] for flow in anomaly["flows"]] == [90, 50, 10]
    assert anomaly["destination_ip"] == SERVER
