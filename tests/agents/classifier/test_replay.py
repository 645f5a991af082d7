from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.classifier.replay import ReplayBuffer


def pushed(buffer: ReplayBuffer, labels: list[int], first_row: int = 0) -> None:
    rows = np.arange(first_row, first_row + len(labels))
    buffer.push(np.array(labels), rows, np.zeros(len(labels), np.int64), rows + 1)


@given(st.lists(st.lists(st.integers(0, 2), max_size=20), max_size=8))
def test_the_newest_transitions_of_each_class_are_kept_however_they_come(parts: list[list[int]]) -> None:
    buffer = ReplayBuffer(np.ones(3) / 3, capacity=4)
    labels = [label for part in parts for label in part]
    row = 0
    for part in parts:
        pushed(buffer, part, row)
        row += len(part)
    kept = {label: [row for row, other in enumerate(labels) if other == label][-4:] for label in range(3)}
    assert len(buffer) == sum(map(len, kept.values()))
    if labels:
        drawn = buffer.sample(2_000, np.random.default_rng(0))
        assert set(drawn.rows.tolist()) == {row for rows in kept.values() for row in rows}
        assert np.array_equal(drawn.next_rows, drawn.rows + 1)


def test_classes_are_drawn_by_their_shares_and_the_unseen_leave_theirs_to_others() -> None:
    buffer = ReplayBuffer(np.array([0.6, 0.2, 0.2]), capacity=100)
    pushed(buffer, [0] * 90 + [1])
    drawn = buffer.sample(40_000, np.random.default_rng(1)).rows
    assert abs((drawn == 90).mean() - 0.25) < 0.02
