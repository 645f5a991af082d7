from __future__ import annotations

import random

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from agents.in_order import InOrder, Piece
from streams.partials import PARTIAL_SCHEMA, empty_partial, partials_to_arrow

Message = tuple[int, bool]
"""How many windows the partition had closed, and whether it has ended."""


def body(window_id: int) -> pa.Table:
    """A message that can be told from others."""
    return partials_to_arrow([empty_partial(window_id)])


@st.composite
def histories(draw: st.DrawFn) -> list[list[Message]]:
    """What each partition sends: all close the same windows in the same steps, corrections come as they like."""
    levels = sorted(draw(st.sets(st.integers(1, 30), max_size=6)))
    partitions = []
    for _ in range(draw(st.integers(1, 4))):
        messages: list[Message] = []
        for level in levels:
            messages += [(level, False)] * (1 + draw(st.integers(0, 2)))
        messages.append((levels[-1] if levels else 0, True))
        partitions.append(messages)
    return partitions


def seen(piece: Piece) -> tuple[int, int, int]:
    (number,) = piece.partials.column("window_id").to_pylist()
    return piece.partition, piece.closed_through, number


def order_of(history: list[list[Message]], seed: int, carry_over: bool = False) -> list[tuple[int, int, int]]:
    """Return what comes out when the partitions' messages arrive in one of the possible orders."""
    arrivals = [partition for partition, messages in enumerate(history) for _ in messages]
    random.Random(seed).shuffle(arrivals)
    waiting = [list(enumerate(messages)) for messages in history]
    order, out = InOrder(len(history)), []
    for partition in arrivals:
        number, (level, is_end) = waiting[partition].pop(0)
        out += [seen(piece) for piece in order.put(partition, level, body(number), is_end=is_end)]
        if carry_over:
            order = InOrder.load(*order.dump())
    return out


@given(histories(), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_order_does_not_depend_on_how_fast_each_partition_was(
    history: list[list[Message]], seed: int, other: int
) -> None:
    assert order_of(history, seed) == order_of(history, other)


@given(histories(), st.integers(0, 10**6))
def test_everything_comes_out_once_and_each_partition_in_its_own_order(history: list[list[Message]], seed: int) -> None:
    out = order_of(history, seed)
    for partition, messages in enumerate(history):
        assert [number for of, _, number in out if of == partition] == list(range(len(messages)))


@given(histories(), st.integers(0, 10**6))
def test_what_waits_can_be_carried_over(history: list[list[Message]], seed: int) -> None:
    assert order_of(history, seed, carry_over=True) == order_of(history, seed)


def test_windows_do_not_wait_longer_than_for_the_slowest_partition() -> None:
    order = InOrder(2)
    assert order.put(0, 3, body(0), is_end=False) == []
    assert len(order.put(1, 3, body(0), is_end=False)) == 2


def test_a_correction_waits_until_all_partitions_have_gone_further() -> None:
    order = InOrder(2)
    order.put(0, 3, body(0), is_end=False)
    assert order.put(0, 3, body(1), is_end=False) == []
    assert [seen(piece) for piece in order.put(1, 3, body(0), is_end=False)] == [(0, 3, 0), (1, 3, 0)]
    order.put(0, 4, body(2), is_end=False)
    assert [seen(piece) for piece in order.put(1, 4, body(1), is_end=False)] == [(0, 3, 1), (0, 4, 2), (1, 4, 1)]


def test_the_schema_of_what_waits_is_that_of_partial_windows() -> None:
    order = InOrder(2)
    order.put(0, 3, body(7), is_end=False)
    restored = InOrder.load(*order.dump())
    ((_, piece),) = restored._waiting
    assert piece.partials.schema == PARTIAL_SCHEMA
