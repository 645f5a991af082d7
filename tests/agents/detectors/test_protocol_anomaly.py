from __future__ import annotations

import pytest

from tests.agents.observations import Row, found, ordinary, signals, window


def mixed(number: int, **packets: int) -> Row:
    return window(number, record_count=sum(packets.values()), protocol_packets=sorted(packets.items()))


def run(first: int, count: int, **packets: int) -> list[Row]:
    return [mixed(number, **packets) for number in range(first, first + count)]


@pytest.mark.parametrize(("quic", "severity"), [(58, None), (62, "medium"), (92, "high")])
def test_a_protocol_appears(quic: int, severity: str | None) -> None:
    anomalies = found([*ordinary(40), *run(40, 3, dns=20, http=180 - quic, quic=quic)])
    assert signals(anomalies) == ([(42, "protocol_appeared", severity)] if severity else [])
    for one in anomalies:
        assert (one["protocol"], one["current_value"]) == ("quic", pytest.approx(quic / 2))


def test_a_protocol_grows_and_the_one_that_shrinks_is_a_contribution() -> None:
    (anomaly,) = found([*ordinary(40), *run(40, 3, dns=120, http=80)])
    assert (anomaly["signal"], anomaly["protocol"]) == ("protocol_grew", "dns")
    assert '"http","value":-50' in anomaly["explanation"]


def test_a_moment_is_no_change_of_mix() -> None:
    assert found([*ordinary(40), *run(40, 2, dns=190, http=10), *ordinary(5, first=42)]) == []


def test_a_tiny_window_has_no_mix() -> None:
    assert found([*ordinary(40), *run(40, 9, ntp=99)]) == []


def test_there_is_no_mix_without_a_baseline() -> None:
    assert found([*ordinary(20), *run(20, 5, ntp=200)]) == []


def test_a_usual_protocol_vanishes() -> None:
    anomalies = found([*ordinary(60), *run(60, 20, http=200)])
    assert signals(anomalies) == [(71, "protocol_vanished", "medium")]
    assert (anomalies[0]["protocol"], anomalies[0]["subject"]) == ("dns", "dns")


def test_a_protocol_that_comes_and_goes_cannot_vanish() -> None:
    rows = [row if number % 3 else mixed(number, http=200) for number, row in enumerate(ordinary(60))]
    assert found([*rows, *run(60, 20, http=200)]) == []


def test_a_mix_that_always_swings_is_usual() -> None:
    rows = [mixed(number, dns=200 * (number % 2), http=200 * (1 - number % 2) + 1) for number in range(80)]
    assert found(rows) == []
