from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from api.limits import MAX_CALLERS, Limit, counted_as


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    limit = Limit("60/minute")
    assert [limit.ask("a", 0.0) for _ in range(60)] == [None] * 60
    first, second = limit.ask("a", 0.0), limit.ask("a", 0.0)
    assert first is not None
    assert (round(first.seconds, 6), first.is_first) == (1.0, True)
    assert second is not None
    assert (round(second.seconds, 6), second.is_first) == (1.0, False)
    assert limit.ask("b", 0.0) is None
    assert limit.ask("a", 1.0) is None
    again = limit.ask("a", 1.5)
    assert again is not None
    assert again.is_first


def test_no_rate_is_no_limit() -> None:
    limit = Limit("none")
    assert {limit.ask("a", 0.0) for _ in range(1000)} == {None}


@given(st.integers(1, 50), st.lists(st.floats(0, 3), max_size=200))
def test_nobody_gets_more_than_a_burst_and_the_rate(count: int, pauses: list[float]) -> None:
    limit, now_s, allowed = Limit(f"{count}/second"), 0.0, 0
    for pause_s in pauses:
        now_s += pause_s
        wait = limit.ask("a", now_s)
        allowed += wait is None
        # Who waits as long as it was told is let in.
        if wait is not None:
            now_s += wait.seconds + 1e-6
            assert limit.ask("a", now_s) is None
            allowed += 1
    assert allowed <= count + now_s * count + 1


def test_only_so_many_callers_are_remembered() -> None:
    limit = Limit("1/hour")
    for number in range(MAX_CALLERS + 1):
        assert limit.ask(str(number), 0.0) is None
    assert limit.ask("1", 0.0) is not None
    assert limit.ask("0", 0.0) is None


def test_an_ipv6_host_is_counted_by_its_network() -> None:
    assert counted_as("2001:db8::1") == counted_as("2001:db8::ffff:2") == "2001:db8::/64"
    assert counted_as("::ffff:10.0.0.1") == counted_as("10.0.0.1") == "10.0.0.1"
    assert counted_as("no:address") == "no:address"
