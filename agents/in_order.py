"""Partial windows of all partitions in an order that does not depend on how fast each partition was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from streams.partials import PARTIAL_SCHEMA
from streams.wire import decode_table, encode_table

LAST = 2**62
"""Level of what comes with a partition's end: above every window's number."""


class _Rank(NamedTuple):
    """Where a piece belongs among those of its capture.

    Parameters
    ----------
    level : int
        How many windows its partition had closed by then.
    is_late : bool
        Whether it only corrects: the piece that closed the windows of the level comes before it.
    partition : int
        The one it comes from.
    number : int
        Its number in its partition.
    """

    level: int
    is_late: bool
    partition: int
    number: int


@dataclass(frozen=True)
class Piece:
    """One message of partial windows.

    Parameters
    ----------
    partition : int
        Partition of the ``packets`` topic it comes from.
    closed_through : int
        That partition has closed all windows below this number.
    partials : pyarrow.Table
        Partial windows, with ``PARTIAL_SCHEMA``.
    """

    partition: int
    closed_through: int
    partials: pa.Table


class InOrder:
    """Puts the partial windows of a capture into the order that its packets alone decide.

    Every partition sees the capture's clock at the same chunks, so it closes windows in the same steps. A late
    packet's correction may arrive before or after the other partitions have closed its window; whoever learns
    from windows in order (the baselines) would learn something else each time. So what closes windows is let
    through once all partitions have closed them, and corrections once all partitions have gone further.
    """

    def __init__(self, partitions: int) -> None:
        self._reached = [0] * partitions
        self._put = [0] * partitions
        self._waiting: list[tuple[_Rank, Piece]] = []

    def put(self, partition: int, closed_through: int, partials: pa.Table, *, is_end: bool) -> list[Piece]:
        """Take a partition's next message; return the messages whose turn it is.

        Parameters
        ----------
        is_end : bool
            Whether the partition has ended: its last message waits for the other partitions'.
        """
        level = LAST if is_end else closed_through
        rank = _Rank(level, level <= self._reached[partition], partition, self._put[partition])
        self._put[partition] += 1
        self._reached[partition] = max(self._reached[partition], level)
        self._waiting.append((rank, Piece(partition, closed_through, partials)))
        through = min(self._reached)
        turn = sorted(entry for entry in self._waiting if _comes(entry[0], through))
        self._waiting = [entry for entry in self._waiting if not _comes(entry[0], through)]
        return [piece for _, piece in turn]

    def dump(self) -> tuple[dict[str, Any], list[bytes]]:
        """Return what waits as facts that JSON can tell, and Arrow streams."""
        waiting = [[*rank, piece.closed_through] for rank, piece in self._waiting]
        facts = {"reached": self._reached, "put": self._put, "waiting": waiting}
        return facts, [encode_table(piece.partials) for _, piece in self._waiting]

    @classmethod
    def load(cls, facts: dict[str, Any], bodies: list[bytes]) -> InOrder:
        """Return what ``dump`` was called on.

        Raises
        ------
        WireError, ValueError
            When the bodies are no partial windows, or not as many as the facts say.
        """
        restored = cls(len(facts["reached"]))
        restored._reached, restored._put = list(facts["reached"]), list(facts["put"])
        for (level, is_late, partition, number, closed_through), body in zip(facts["waiting"], bodies, strict=True):
            rank = _Rank(level, is_late, partition, number)
            piece = Piece(partition, closed_through, decode_table(body, PARTIAL_SCHEMA))
            restored._waiting.append((rank, piece))
        return restored


def _comes(rank: _Rank, through: int) -> bool:
    return rank.level < through or (rank.level == through and (not rank.is_late or through == LAST))
