from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.packets import MAX_BATCH_PACKETS, OFFSET_BITS, PARTITION_BITS, first_event_id

partitions = st.integers(0, (1 << PARTITION_BITS) - 1)
offsets = st.integers(0, (1 << OFFSET_BITS) - 1)


@given(partitions, offsets, st.integers(0, MAX_BATCH_PACKETS - 1))
def test_event_ids_stay_exact_in_javascript(partition: int, offset: int, row: int) -> None:
    event_id = first_event_id(partition, offset) + row
    assert event_id < 2**53
    assert int(float(event_id)) == event_id


@given(st.tuples(partitions, offsets), st.tuples(partitions, offsets))
def test_batches_never_share_an_event_id(first: tuple[int, int], second: tuple[int, int]) -> None:
    begins = sorted((first_event_id(*first), first_event_id(*second)))
    assert first == second or begins[1] - begins[0] >= MAX_BATCH_PACKETS


@pytest.mark.parametrize("position", [(-1, 0), (1 << PARTITION_BITS, 0), (0, -1), (0, 1 << OFFSET_BITS)])
def test_a_position_that_does_not_fit_is_refused(position: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        first_event_id(*position)
