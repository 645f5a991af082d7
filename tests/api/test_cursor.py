from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursor import Cursor, Kind, Position

positions = st.builds(Position, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
cursors = st.builds(
    Cursor, st.from_regex(r"[0-9a-f]{8}", fullmatch=True), st.dictionaries(st.sampled_from(list(Kind)), positions)
)


@given(cursors)
def test_a_cursor_is_read_back_as_it_was(cursor: Cursor) -> None:
    assert Cursor.parse(str(cursor)) == cursor


@given(st.text(max_size=40))
def test_any_other_text_is_refused_or_read_as_what_it_says(text: str) -> None:
    try:
        cursor = Cursor.parse(text)
    except ValueError:
        return
    assert all(place.block < 2**63 and place.row < 2**63 for place in cursor.at.values())


@pytest.mark.parametrize("text", ["", "1", "1f3a9c2e.", "1f3a9c2e.w1", "1f3a9c2e.w1-2 ", "1F3A9C2E", "1f3a9c2e.w-1-2"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the id"):
        Cursor.parse(text)


def test_a_kind_that_this_version_does_not_know_is_passed_over() -> None:
    assert Cursor.parse("1f3a9c2e.w1-2.z3-4").at == {Kind.WINDOW: Position(1, 2)}
