from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.link import Impairment
from lab.wire import Direction

times = st.lists(st.floats(0, 10), min_size=1, max_size=60).map(sorted)


@given(sent_s=times, delay_ms=st.floats(0, 100), jitter_ms=st.floats(0, 100), rate_mbit=st.sampled_from([0, 1, 100]))
def test_a_link_without_reordering_keeps_the_order(
    sent_s: list[float], delay_ms: float, jitter_ms: float, rate_mbit: float
) -> None:
    link = Direction(Impairment(delay_ms=delay_ms, jitter_ms=jitter_ms, rate_mbit=rate_mbit), seed=1)
    arrivals = [due_s for now_s in sent_s for due_s in link.arrivals(now_s, 1500)]
    assert arrivals == sorted(arrivals)
    assert len(arrivals) == len(sent_s)
    assert all(due_s >= now_s for due_s, now_s in zip(arrivals, sent_s, strict=True))


@given(sent_s=times, seed=st.integers(0, 1000))
def test_the_same_seed_decides_the_same(sent_s: list[float], seed: int) -> None:
    bad = Impairment(delay_ms=5, jitter_ms=3, loss_percent=20, reorder_percent=20, duplicate_percent=20)
    first, second = Direction(bad, seed), Direction(bad, seed)
    assert [first.arrivals(s, 60) for s in sent_s] == [second.arrivals(s, 60) for s in sent_s]


def test_loss_and_duplicates_come_in_the_share_asked_for() -> None:
    link = Direction(Impairment(loss_percent=10, duplicate_percent=5), seed=3)
    copies = [len(link.arrivals(0.0, 60)) for _ in range(20_000)]
    assert 0.09 < copies.count(0) / 20_000 < 0.11
    assert 0.035 < copies.count(2) / 20_000 < 0.055


def test_a_reordered_frame_overtakes_those_that_are_delayed() -> None:
    link = Direction(Impairment(delay_ms=50, reorder_percent=30), seed=5)
    arrivals = [link.arrivals(number / 1000, 60)[0] for number in range(50)]
    assert arrivals != sorted(arrivals)


def test_a_line_rate_spreads_a_burst() -> None:
    link = Direction(Impairment(rate_mbit=12), seed=1)
    arrivals = [link.arrivals(0.0, 1500)[0] for _ in range(3)]
    assert [round(due_s * 1e3, 6) for due_s in arrivals] == [1.0, 2.0, 3.0]


def test_netem_is_asked_for_the_same_impairment() -> None:
    link = Impairment(delay_ms=20, jitter_ms=2, loss_percent=1.5, reorder_percent=5, rate_mbit=10)
    assert " ".join(link.netem_arguments()) == ("netem limit 1000 delay 20ms 2ms loss 1.5% reorder 5% rate 10mbit")
