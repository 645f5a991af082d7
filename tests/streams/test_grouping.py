from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.grouping import group, lowest, sums_of

keys = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 2**63, 2**64 - 1])), max_size=40)


@given(keys)
def test_rows_with_the_same_key_have_the_same_number(rows: list[tuple[int, int]]) -> None:
    high, low = (np.array([row[half] for row in rows], np.uint64) for half in (0, 1))
    numbers, firsts = group(high, low)
    distinct = list(dict.fromkeys(rows))
    assert [rows[first] for first in firsts.tolist()] == distinct
    assert [distinct[number] for number in numbers.tolist()] == rows


@given(keys, st.integers(0, 12))
def test_the_lowest_rows_are_those_that_sorting_puts_first(rows: list[tuple[int, int]], count: int) -> None:
    columns = [np.array([row[half] for row in rows], np.uint64) for half in (0, 1)]
    found = lowest(count, *columns).tolist()
    assert [rows[row] for row in found] == sorted(rows)[:count]
    assert len(set(found)) == len(found)


def test_sums_of_groups_are_exact_for_large_values() -> None:
    sums = sums_of(np.array([0, 1, 0]), np.array([2**52, 7, 1]), 3)
    assert sums.tolist() == [2**52 + 1, 7, 0]
