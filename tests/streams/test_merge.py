from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import WireError
from streams.merge import WindowArchive, WindowMerger
from streams.partials import PartialWindow, empty_partial, merge_partials
from streams.windows import PartitionWindows

from .traffic import SECOND, packets, row


def partial(number: int, packets_in_it: int = 1) -> PartialWindow:
    rows = [row(ts_ns=number * SECOND + index) for index in range(packets_in_it)]
    (found,) = PartitionWindows(SECOND, 0, 0).feed(packets(rows), (number + 1) * SECOND)
    return found


def test_windows_that_left_memory_come_back_whole() -> None:
    archive = WindowArchive(hot_windows=2)
    for number in range(5):
        archive.put(partial(number, packets_in_it=number + 1))
    assert [found.records for number in range(5) if (found := archive.get(number))] == [1, 2, 3, 4, 5]
    assert archive.get(5) is None


def test_a_window_put_again_replaces_the_one_in_the_file() -> None:
    archive = WindowArchive(hot_windows=1)
    for number in (0, 1):
        archive.put(partial(number))
    archive.put(partial(0, packets_in_it=7))
    archive.put(partial(2))
    found = archive.get(0)
    assert found is not None
    assert found.records == 7


@given(st.integers(1, 5))
def test_the_empty_window_changes_nothing(packets_in_it: int) -> None:
    one = partial(3, packets_in_it)
    merged = merge_partials([empty_partial(3), one, empty_partial(3)])
    assert merged.records == packets_in_it
    assert (merged.first_ts_ns, merged.last_ts_ns) == (one.first_ts_ns, one.last_ts_ns)


def test_windows_of_different_numbers_do_not_merge() -> None:
    with pytest.raises(ValueError, match="cannot be merged"):
        merge_partials([empty_partial(1), empty_partial(2)])


def test_what_comes_for_a_window_that_is_no_longer_kept_is_counted_and_goes_nowhere() -> None:
    merger = WindowMerger(1, keep_windows=2)
    merger.feed(0, 5, [partial(number) for number in range(5)])
    assert merger.feed(0, 5, [partial(2, packets_in_it=3)]) == []
    assert (merger.too_late, merger.records) == (3, 5)
    (corrected,) = merger.feed(0, 5, [partial(3, packets_in_it=3)])
    assert (corrected.window_id, corrected.records) == (3, 4)


def test_a_merger_that_keeps_few_windows_has_a_small_snapshot() -> None:
    sizes = []
    for length in (10, 100):
        merger = WindowMerger(1, keep_windows=2)
        for number in range(length):
            merger.feed(0, number + 1, [partial(number)])
        sizes.append(len(merger.snapshot()))
    assert sizes[1] < 1.1 * sizes[0]


@pytest.mark.parametrize("damaged", [b"", b"x" * 50])
def test_what_is_no_snapshot_of_a_merger_is_refused(damaged: bytes) -> None:
    with pytest.raises(WireError):
        WindowMerger.restore(damaged)
