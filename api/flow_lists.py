"""Lists of flows, and of what is said of them: pages in an order of the reader's choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from api.flow_rows import hex_id
from api.pages import PageCursor

_PAGE = """
SELECT {row}, {number} AS order_number FROM {table}
WHERE {wanted} AND {behind}
ORDER BY order_number {direction}, flow_id {direction}
LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}
"""


class Listed(Protocol):
    """A row of such a list."""

    @property
    def flow_id(self) -> int:
        """What decides between rows of the same number."""

    @property
    def order_number(self) -> int:
        """What the list is ordered by."""


@dataclass(frozen=True)
class FlowOrder:
    """What a list may be ordered by.

    Parameters
    ----------
    letter : str
        What a cursor says of it; no two lists share one.
    number : str
        A whole number, in SQL.
    direction : str
        ``ASC`` or ``DESC``.
    """

    letter: str
    number: str
    direction: str = "DESC"


@dataclass(frozen=True)
class FlowsBehind:
    """Where a page begins.

    Parameters
    ----------
    order : str
        Name of the order.
    number, flow_id : int or None
        Of the last row of the page before: what the list is ordered by, and its flow's id.
    """

    order: str
    number: int | None = None
    flow_id: int = 0

    def values(self, limit: int, offset: int) -> dict[str, object]:
        """Return the parameters of a page."""
        return {"last": self.number or 0, "last_id": self.flow_id, "limit": limit, "offset": offset}


@dataclass(frozen=True)
class FlowOrders:
    """The orders of one list, by name."""

    by_name: Mapping[str, FlowOrder]

    @property
    def letters(self) -> str:
        """What cursors of this list begin with."""
        return "".join(order.letter for order in self.by_name.values())

    def behind(self, order: str, cursor: PageCursor | None) -> FlowsBehind:
        """Return where a page begins: behind a cursor, in its order, else at the first row of the order named."""
        if cursor is None:
            return FlowsBehind(order)
        (name,) = (name for name, known in self.by_name.items() if known.letter == cursor.order)
        return FlowsBehind(name, cursor.number, int(cursor.text or "0", 16))

    def next_cursor(self, behind: FlowsBehind, capture_id: str, rows: Sequence[Listed], limit: int) -> str | None:
        """Return the cursor of what follows a page, of whose rows one more was asked for; None when nothing does."""
        if len(rows) <= limit:
            return None
        last = rows[limit - 1]
        return str(PageCursor(self.by_name[behind.order].letter, capture_id, last.order_number, hex_id(last.flow_id)))

    def page_sql(self, row: str, table: str, wanted: str, behind: FlowsBehind) -> str:
        """Return the statement of a page; its parameters are ``values`` and those of ``wanted``."""
        order = self.by_name[behind.order]
        sign = "<" if order.direction == "DESC" else ">"
        condition = (
            "1" if behind.number is None else f"({order.number}, flow_id) {sign} ({{last:Int64}}, {{last_id:UInt64}})"
        )
        return _PAGE.format(
            row=row, number=order.number, table=table, wanted=wanted, behind=condition, direction=order.direction
        )
