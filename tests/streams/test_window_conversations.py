from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.arrays import Int64s
from streams.packets import Packets
from streams.partials import empty_partial
from streams.window_conversations import (
    WORDS,
    ConversationTable,
    Word,
    from_planes,
    merge_conversations,
    no_conversations,
    split_by_window,
    to_planes,
)
from streams.windows import PartitionWindows

from .traffic import SECOND, captures, rows_of


def pieces_of(capture: Packets) -> list[Int64s]:
    """Return the conversations of a capture, a table for each of its packets, all in one window."""
    tables = []
    for index in range(len(capture.ts_ns)):
        operator = PartitionWindows(1000 * SECOND, 0, 0)
        operator.feed(rows_of(capture, slice(index, index + 1)), 0)
        tables += [partial.conversations for partial in operator.flush()]
    return tables


def in_order(rows: Int64s) -> list[list[int]]:
    return sorted(rows.tolist())


@settings(max_examples=40)
@given(captures(max_packets=20), st.data())
def test_conversations_merge_in_any_order_and_grouping(capture: Packets, data: st.DataObject) -> None:
    tables = pieces_of(capture)
    whole = in_order(merge_conversations(tables))
    shuffled = data.draw(st.permutations(tables))
    cut = data.draw(st.integers(0, len(tables)))
    halves = [merge_conversations(shuffled[:cut]), merge_conversations(shuffled[cut:])]
    assert in_order(merge_conversations(halves)) == whole
    assert len({row[Word.UID] for row in whole}) == len(whole)


@settings(max_examples=40)
@given(captures(max_packets=20))
def test_rows_come_back_from_their_planes(capture: Packets) -> None:
    rows = merge_conversations(pieces_of(capture))
    np.testing.assert_array_equal(from_planes(to_planes(rows)), rows)


def test_no_conversations_are_no_planes() -> None:
    assert len(to_planes(no_conversations())) == 0
    assert from_planes(np.zeros(0, np.uint8)).shape == (0, WORDS)
    assert len(merge_conversations([empty_partial(0).conversations])) == 0


@given(st.lists(st.integers(1, 500), max_size=400))
def test_a_table_that_grows_keeps_what_it_holds(uids: list[int]) -> None:
    table = ConversationTable()
    for uid in uids:
        row = np.zeros((1, WORDS), np.int64)
        row[0, Word.UID], row[0, Word.BYTES_A] = uid << 40, 1
        table.add(row)
    counts = {uid << 40: uids.count(uid) for uid in uids}
    assert {int(row[Word.UID]): int(row[Word.BYTES_A]) for row in table.rows} == counts


def test_conversations_that_share_a_hash_stay_apart() -> None:
    rows = np.zeros((4, WORDS), np.int64)
    rows[:, Word.UID] = 1 << 40
    rows[1, Word.IDENTITY], rows[2, Word.ADDRESS_B + 1], rows[3, Word.IDENTITY] = 80, 7, 80
    assert len(merge_conversations([rows])) == 3


@given(st.lists(st.integers(0, 4), max_size=30))
def test_rows_are_split_by_their_window(windows: list[int]) -> None:
    rows = np.repeat(np.arange(len(windows)), WORDS).reshape(-1, WORDS)
    parts = split_by_window(rows, np.array(windows, np.int64))
    found = {window: part[:, 0].tolist() for window, part in parts.items()}
    assert found == {
        window: [index for index, other in enumerate(windows) if other == window] for window in sorted(set(windows))
    }
