"""What the agent has lived through, and the drawing of lessons from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lessons:
    """Transitions drawn from the buffer; flows are named by their row in the training data.

    Parameters
    ----------
    rows, actions, next_rows : array (n,) of int64
        The flow, the class it was given, and the flow that came next.
    """

    rows: Integers
    actions: Integers
    next_rows: Integers


class ReplayBuffer:
    """A ring of transitions for each class, so that rare attacks stay in memory and can be drawn more often.

    Parameters
    ----------
    class_shares : array (n_classes,) of float64
        Share of each class in what is drawn; classes that were never seen leave theirs to the others.
    capacity : int
        Transitions remembered of a class; the oldest make room.
    """

    def __init__(self, class_shares: npt.NDArray[np.float64], capacity: int) -> None:
        self._shares = class_shares
        self._capacity = capacity
        self._rings = np.zeros((len(class_shares), capacity, 3), np.int64)
        self._pushed = np.zeros(len(class_shares), np.int64)

    def __len__(self) -> int:
        return int(np.minimum(self._pushed, self._capacity).sum())

    def push(self, labels: Integers, rows: Integers, actions: Integers, next_rows: Integers) -> None:
        """Remember transitions (n,), each under the label of its flow."""
        transitions = np.stack([rows, actions, next_rows], axis=1)
        for label in np.unique(labels):
            new = transitions[labels == label]
            places = (self._pushed[label] + np.arange(len(new))) % self._capacity
            # The last ones, should there be more than the ring holds.
            self._rings[label, places[-self._capacity :]] = new[-self._capacity :]
            self._pushed[label] += len(new)

    def sample(self, n: int, rng: np.random.Generator) -> Lessons:
        """Draw n transitions, with replacement: a class by its share, then evenly within the class."""
        held = np.minimum(self._pushed, self._capacity)
        shares = np.where(held > 0, self._shares, 0.0)
        labels = np.repeat(np.arange(len(shares)), rng.multinomial(n, shares / shares.sum()))
        drawn = self._rings[labels, rng.integers(0, held[labels])]
        return Lessons(drawn[:, 0], drawn[:, 1], drawn[:, 2])
