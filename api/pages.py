"""Pages of a list: a cursor names the last entry seen, so new rows never move what comes behind it.

Unlike ``limit`` and ``offset``, which count from the list's end that grows. A cursor also keeps to the capture it
began with, when a newer one has become the current one meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from api.errors import Refusal
from api.parameters import Limit, Offset

_CURSOR = re.compile(r"([a-z])\.([0-9A-Za-z_-]{0,64})\.(-?[0-9]{1,19})\.([0-9a-f]{0,16})")
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class PageCursor:
    """The last entry of a page.

    Parameters
    ----------
    order : str
        One letter: which list, in which order.
    capture_id : str
        The capture it is of; empty for a list over several.
    number : int
        What the list is ordered by.
    text : str
        What decides between entries of the same number.

    Examples
    --------
    >>> str(PageCursor("w", "01kb2m9t8x7qd4", 49))
    'w.01kb2m9t8x7qd4.49.'
    """

    order: str
    capture_id: str
    number: int
    text: str = ""

    def __str__(self) -> str:
        """Return the text that answers show and requests send."""
        return f"{self.order}.{self.capture_id}.{self.number}.{self.text}"

    @classmethod
    def parse(cls, text: str, orders: str) -> PageCursor:
        """Read a cursor of a list back.

        Raises
        ------
        Refusal
            400 when it is none of this list.
        """
        match = _CURSOR.fullmatch(text)
        if match is None or match[1] not in orders or abs(int(match[3])) > _LARGEST:
            raise Refusal(400, "Bad Request", "cursor: it is not the next_cursor of an answer of this list.")
        return cls(match[1], match[2], int(match[3]), match[4])


@dataclass(frozen=True)
class Page:
    """Which part of a list is wanted.

    Parameters
    ----------
    limit, offset : int
        Most entries, and entries to skip behind the cursor.
    cursor_text : str or None
        As sent.
    """

    limit: int
    offset: int
    cursor_text: str | None = None

    def cursor(self, orders: str) -> PageCursor | None:
        """Return the cursor, if there is one; raises ``Refusal`` when it is none of this list."""
        return None if self.cursor_text is None else PageCursor.parse(self.cursor_text, orders)


CursorText = Annotated[
    str | None,
    Query(
        description="`next_cursor` of the page before: what follows it, whatever has come in since.",
        max_length=128,
        examples=["w.01kb2m9t8x7qd4.49."],
    ),
]


def page_of(default_limit: int) -> Callable[[int, int, str | None], Page]:
    """Return a dependency that reads ``limit``, ``offset`` and ``cursor``.

    Parameters
    ----------
    default_limit : int
        The documented limit when none is given.
    """

    def read(limit: Limit = default_limit, offset: Offset = 0, cursor: CursorText = None) -> Page:
        return Page(limit, offset, cursor)

    return read
