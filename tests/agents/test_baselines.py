from __future__ import annotations

import json

import pytest

from agents.baselines import BYTES, CONNECTIONS, PACKETS, RTT, Baselines, measured
from agents.figures import Doubt
from agents.memory import Memory
from agents.observed import Observed, observed_windows
from schemas.enums import BaselineKind
from schemas.thresholds import Thresholds
from tests.agents.observations import Row, empty_window, host, ordinary, service_client, table, window

QUICK = Thresholds(baseline_min_windows=5, baseline_max_hosts=3)


def seen(row: Row) -> Observed:
    return next(observed_windows(table([row])))


def learnt(rows: list[Row], thresholds: Thresholds = QUICK) -> Baselines:
    baselines, memory = Baselines(thresholds), Memory()
    for one in observed_windows(table(rows)):
        memory.take(one, thresholds, is_correction=False)
        baselines.learn(one, measured(one, memory), {}, {})
    return baselines


def test_every_kind_is_learnt() -> None:
    baselines = learnt(ordinary(60))
    assert all(baselines.is_ready(kind) for kind in BaselineKind)
    means = {name: figure.everything() for name, figure in baselines.figures.items()}
    for name, mean in ((BYTES, 10_000), (PACKETS, 20), (RTT, 20), (CONNECTIONS, 20)):
        known = means[name]
        assert known is not None
        assert known.mean == pytest.approx(mean, rel=0.05)
    assert {name: usual.mean for name, usual in baselines.usual_shares().items()} == pytest.approx(
        {"dns": 0.1, "http": 0.9}
    )


def test_nothing_speaks_before_the_minimum_of_windows() -> None:
    baselines = learnt(ordinary(4))
    assert not any(baselines.is_ready(kind) for kind in BaselineKind)
    assert baselines.usual_of_host("10.0.0.2") is None
    assert baselines.usual_shares() == {}


def test_an_empty_window_is_no_traffic_and_no_measurement() -> None:
    baselines = learnt([*ordinary(10), *(empty_window(number) for number in range(10, 20))])
    assert baselines.windows_of(BaselineKind.BANDWIDTH) == 20
    assert baselines.windows_of(BaselineKind.LATENCY) == baselines.windows_of(BaselineKind.PROTOCOL) == 10
    known = baselines.figures[BYTES].everything()
    assert known is not None
    assert known.mean == pytest.approx(5000, rel=0.1)


def test_a_sampled_window_is_scaled_up() -> None:
    whole, sampled = (
        seen(window(0)),
        seen(window(0, sampling_rate=0.25, bytes=25_000, record_count=50, connections_total=5)),
    )
    assert (sampled.bytes_per_s, sampled.packets_per_s, sampled.connections) == (
        whole.bytes_per_s,
        whole.packets_per_s,
        whole.connections,
    )
    assert sampled.rtt_ms == whole.rtt_ms
    (server,) = sampled.hosts
    assert sampled.host_bytes_per_s(server) == 4 * whole.host_bytes_per_s(server)


def test_a_sampled_window_weighs_less() -> None:
    baselines = learnt([window(number, sampling_rate=0.25) for number in range(8)])
    known = baselines.figures[BYTES].everything()
    assert known is not None
    assert known.windows == 2


def test_the_hosts_seen_last_are_kept() -> None:
    rows = [window(n, host_traffic=[host(f"10.0.0.{n % 4}", 100, 0), host("10.0.0.9", 100, 0)]) for n in range(4)]
    assert list(learnt(rows).hosts) == ["10.0.0.2", "10.0.0.3", "10.0.0.9"]


def test_no_host_is_learnt_when_none_is_wanted() -> None:
    assert learnt(ordinary(10), Thresholds(baseline_max_hosts=0)).hosts == {}


def test_a_protocol_seen_for_the_first_time_was_absent_before() -> None:
    rows = [*ordinary(19), window(19, protocol_packets=[("http", 100), ("quic", 100)])]
    usual = learnt(rows).usual_shares()
    assert usual["quic"].mean == pytest.approx(0.5 / 20)
    assert learnt(rows).share_present("quic") == pytest.approx(1 / 20)


def test_tiny_windows_do_not_teach_a_mix() -> None:
    tiny = [window(number, record_count=9, protocol_packets=[("ntp", 9)]) for number in range(10, 20)]
    assert set(learnt([*ordinary(10), *tiny]).usual_shares()) == {"dns", "http"}


def test_what_is_doubtful_is_held_back() -> None:
    baselines, memory = Baselines(QUICK), Memory()
    one = seen(window(0))
    baselines.learn(one, measured(one, memory), {BaselineKind.BANDWIDTH: Doubt.CERTAIN}, {"10.0.0.2": Doubt.CERTAIN})
    assert baselines.figures[BYTES].held_back == baselines.hosts["10.0.0.2"].held_back == 1
    assert baselines.figures[RTT].held_back == 0


def test_requests_are_learnt_by_service_and_acknowledgements_are_none() -> None:
    rows = [window(n, service_clients=[service_client("10.0.0.1", 80, 10, forward=20)]) for n in range(6)]
    usual = learnt(rows).usual_requests("http")
    assert usual is not None
    assert usual.mean == 2
    bulk = service_client("10.0.0.1", 80, 10, forward=500)  # ten bytes a packet: nothing but acknowledgements
    assert learnt([window(n, service_clients=[bulk]) for n in range(6)]).usual_requests("http") is None


def test_restored_baselines_are_the_same() -> None:
    baselines = learnt(ordinary(50))
    restored = Baselines.restore(json.loads(json.dumps(baselines.state())), QUICK)
    assert restored.state() == baselines.state()
    assert restored.usual_shares() == baselines.usual_shares()
