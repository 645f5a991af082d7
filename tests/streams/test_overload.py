from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.overload import SentTimes


def test_nothing_behind_is_no_age() -> None:
    times = SentTimes()
    times.add(2, 1.0)
    assert times.age_s(0, 10.0) == 0.0


def test_the_age_is_that_of_the_oldest_message_behind() -> None:
    times = SentTimes()
    for second in range(10):
        times.add(2, float(second))
    assert times.age_s(1, 10.0) == 1.0
    assert times.age_s(2, 10.0) == 1.0
    assert times.age_s(3, 10.0) == 2.0
    assert times.age_s(20, 10.0) == 10.0


def test_messages_of_others_make_the_age_no_older_than_our_first_message() -> None:
    times = SentTimes()
    times.add(2, 5.0)
    assert times.age_s(1000, 10.0) == 5.0


@given(st.lists(st.integers(1, 8), min_size=1, max_size=30), st.integers(0, 300))
def test_more_behind_is_never_younger(messages: list[int], behind: int) -> None:
    times = SentTimes()
    for second, count in enumerate(messages):
        times.add(count, float(second))
    assert times.age_s(behind, 1000.0) <= times.age_s(behind + 1, 1000.0)
