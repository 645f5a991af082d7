from __future__ import annotations

from agents.open_captures import MAX_ENDED, OpenCaptures


def test_what_is_kept_of_a_capture_is_made_once_per_partition() -> None:
    captures: OpenCaptures[list[int]] = OpenCaptures()
    first = captures.get(0, "a", list)
    assert captures.get(0, "a", list) is first
    assert captures.get(1, "a", list) is not first


def test_a_capture_that_ended_is_not_opened_again() -> None:
    captures: OpenCaptures[list[int]] = OpenCaptures()
    captures.get(0, "a", list)
    captures.end(0, "a")
    assert captures.get(0, "a", list) is None
    assert captures.get(1, "a", list) == []


def test_a_partition_is_idle_while_nothing_is_open_on_it() -> None:
    captures: OpenCaptures[list[int]] = OpenCaptures()
    captures.get(0, "a", list)
    assert not captures.is_idle(0)
    assert captures.is_idle(1)
    captures.end(0, "a")
    assert captures.is_idle(0)


def test_a_partition_that_was_taken_away_starts_anew() -> None:
    captures: OpenCaptures[list[int]] = OpenCaptures()
    captures.get(0, "a", list)
    captures.end(0, "b")
    captures.drop({0})
    assert captures.is_idle(0)
    assert captures.get(0, "b", list) == []


def test_only_the_newest_ends_are_remembered() -> None:
    captures: OpenCaptures[list[int]] = OpenCaptures()
    for number in range(MAX_ENDED + 1):
        captures.end(0, str(number))
    assert captures.get(0, "0", list) == []
    assert captures.get(0, str(MAX_ENDED), list) is None


def test_what_is_open_and_what_has_ended_can_be_carried_over() -> None:
    captures: OpenCaptures[list[int]] = OpenCaptures()
    captures.get(0, "a", lambda: [1])
    captures.get(1, "b", lambda: [2])
    captures.end(0, "c")
    other: OpenCaptures[list[int]] = OpenCaptures()
    other.restore(0, captures.open_on(0), captures.ended_on(0))
    assert other.get(0, "a", list) == [1]
    assert other.get(0, "c", list) is None
    assert other.is_idle(1)
