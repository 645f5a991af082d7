from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.packets import Packets
from streams.sampling import LEAST_RATE, STEP_DOWN_S, STEP_UP_S, FlowSampling, kept_flows
from streams.split import partition_of

from .traffic import captures, packets, row


def flow_of(capture: Packets, at: int) -> frozenset[tuple[bytes, int]]:
    ends = [
        (capture.src_ip[at].tobytes(), int(capture.src_port[at])),
        (capture.dst_ip[at].tobytes(), int(capture.dst_port[at])),
    ]
    return frozenset(ends)


def many_flows(flows: int) -> Packets:
    return packets([row(src=number % 251, src_port=1024 + number) for number in range(flows)])


@settings(max_examples=40)
@given(captures(), st.sampled_from([0.5, 0.25, 1 / 16]))
def test_a_flow_is_kept_whole_or_not_at_all(capture: Packets, rate: float) -> None:
    frames = set(kept_flows(capture, rate).frame.tolist())
    fates: defaultdict[object, set[bool]] = defaultdict(set)
    for at in range(len(capture.ts_ns)):
        key = (flow_of(capture, at), int(capture.protocol[at]), int(capture.fragment[at]) > 0)
        fates[key].add(int(capture.frame[at]) in frames)
    assert all(len(fate) == 1 for fate in fates.values())


@settings(max_examples=30)
@given(captures())
def test_what_a_rate_keeps_every_higher_one_keeps(capture: Packets) -> None:
    kept = [set(kept_flows(capture, rate).frame.tolist()) for rate in (0.0, 0.1, 0.5, 1.0)]
    assert kept[0] <= kept[1] <= kept[2] <= kept[3] == set(capture.frame.tolist())


@settings(max_examples=30)
@given(captures(), st.floats(0, 1))
def test_kept_packets_stay_in_order_and_as_they_are(capture: Packets, rate: float) -> None:
    kept = kept_flows(capture, rate)
    rows = np.flatnonzero(np.isin(capture.frame, kept.frame))
    for name in Packets._fields:
        np.testing.assert_array_equal(getattr(kept, name), getattr(capture, name)[rows])


@pytest.mark.parametrize("rate", [0.5, 0.125])
def test_the_share_that_is_kept_is_the_rate_on_every_partition(rate: float) -> None:
    flows = many_flows(40_000)
    kept = kept_flows(flows, rate)
    for partition in range(4):
        before = int((partition_of(flows, 4) == partition).sum())
        after = int((partition_of(kept, 4) == partition).sum())
        # Five standard deviations of a binomial distribution.
        assert abs(after - rate * before) < 5 * (before * rate * (1 - rate)) ** 0.5


def test_pressure_halves_the_rate_but_not_faster_than_it_can_help() -> None:
    sampling = FlowSampling()
    rates = [sampling.look(1.5, now_s / 10) for now_s in range(50)]
    assert rates[0] == 0.5
    assert rates[round(STEP_DOWN_S * 10) - 1] == 0.5
    assert rates[round(STEP_DOWN_S * 10)] == 0.25
    assert sampling.lowest == rates[-1] == 0.125


def test_the_rate_comes_back_after_a_calm_while() -> None:
    sampling = FlowSampling()
    sampling.look(2.0, 0.0)
    sampling.look(0.0, 1.0)
    assert sampling.look(0.0, STEP_UP_S) == 0.5
    assert sampling.look(0.0, 1.0 + STEP_UP_S) == 1.0
    assert sampling.look(0.0, 100.0) == 1.0
    assert sampling.lowest == 0.5


def test_between_calm_and_pressure_nothing_changes() -> None:
    sampling = FlowSampling()
    sampling.look(1.0, 0.0)
    assert {sampling.look(0.6, float(now_s)) for now_s in range(1, 100)} == {0.5}


def test_a_little_pressure_begins_the_calm_anew() -> None:
    sampling = FlowSampling()
    sampling.look(1.0, 0.0)
    sampling.look(0.0, 1.0)
    sampling.look(0.5, 1.0 + STEP_UP_S / 2)
    assert sampling.look(0.0, 1.0 + STEP_UP_S) == 0.5


def test_something_is_always_kept() -> None:
    sampling = FlowSampling()
    for step in range(100):
        sampling.look(10.0, step * STEP_DOWN_S)
    assert sampling.rate == LEAST_RATE
