"""Where a subscriber stands in the order in which the store took rows in.

ClickHouse gives each insert into a table a number when it makes the rows visible, under the lock of the table's
parts: a reader that has seen number N will never see a row of a lower one appear. The number and the row's place in
its insert stay with a row through merges (``enable_block_number_column``). So the two are an exact cursor, also
while several inserts run at once; a time of insertion would not be, because an insert that began earlier may be
visible later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_CURSOR = re.compile(r"([0-9a-f]{8})((?:\.[a-z][0-9]{1,19}-[0-9]{1,19})*)")
_PLACE = re.compile(r"\.([a-z])([0-9]+)-([0-9]+)")
_LARGEST = 2**63 - 1


class Kind(StrEnum):
    """What an event on the stream is about."""

    WINDOW = "window"
    """A window was closed, or corrected (then with a higher version)."""
    ANOMALY = "anomaly"
    """Something out of the ordinary was found in a window."""
    CLASSIFICATION = "classification"
    """Attacks were named: one event for each class of flows that came into the store together."""

    @property
    def plural(self) -> str:
        """Its name in filters."""
        return {Kind.WINDOW: "windows", Kind.ANOMALY: "anomalies", Kind.CLASSIFICATION: "classifications"}[self]

    @property
    def letter(self) -> str:
        """What stands for it in a cursor."""
        return self.value[0]


class Position(NamedTuple):
    """Place of a row in the order in which its table took rows in.

    Attributes
    ----------
    block : int
        Number of the insert, from 1.
    row : int
        Number of the row in its insert, from 0.
    """

    block: int
    row: int


@dataclass(frozen=True)
class Cursor:
    """What a subscriber has seen, as one text: the id of each event, and what a reconnecting client sends.

    Parameters
    ----------
    store : str
        8 hexadecimal digits that name the store; positions of another one mean nothing.
    at : mapping of Kind to Position
        The last row seen of each kind subscribed to.

    Examples
    --------
    >>> str(Cursor("1f3a9c2e", {Kind.WINDOW: Position(12, 3)}))
    '1f3a9c2e.w12-3'
    """

    store: str
    at: Mapping[Kind, Position]

    def __str__(self) -> str:
        """Return the text."""
        return self.store + "".join(f".{kind.letter}{place.block}-{place.row}" for kind, place in self.at.items())

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor back.

        Raises
        ------
        ValueError
            It is none.
        """
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise ValueError("it is not the id of an event of this stream")
        kinds = {kind.letter: kind for kind in Kind}
        at = {
            kinds[letter]: Position(min(int(block), _LARGEST), min(int(row), _LARGEST))
            for letter, block, row in _PLACE.findall(match[2])
            if letter in kinds
        }
        return cls(match[1], at)
