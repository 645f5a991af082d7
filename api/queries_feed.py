"""SQL of the stream of events: rows in the order in which the store took them in; see ``api.cursor``."""

from __future__ import annotations

from api.analysis_rows import AnomalyRow
from api.cursor import Kind, Position
from api.rows import WindowRow
from infra.store import Store

_TABLES = {Kind.WINDOW: "windows", Kind.ANOMALY: "anomalies"}

_COLUMNS = {
    # What a window's answer needs; the evidence columns are large and for the detectors.
    Kind.WINDOW: tuple(WindowRow.model_fields),
    Kind.ANOMALY: tuple(AnomalyRow.model_fields),
}

_ONLY = {Kind.WINDOW: "1", Kind.ANOMALY: "run_id = ''"}
"""Verdicts of a re-judging are an answer to who asked for it, not news."""

_SEEN_IN_FULL = 2**63 - 1

# A part's name ends in its last insert's number: parts that hold nothing new are passed over unread.
_NEW_ROWS = """
SELECT {columns}, _block_number AS feed_block, _block_offset AS feed_row
FROM {table}
WHERE toUInt64(splitByChar('_', _part)[3]) >= {{block:UInt64}}
  AND (_block_number, _block_offset) > ({{block:UInt64}}, {{row:UInt64}})
  AND {only}
ORDER BY feed_block, feed_row
LIMIT {{limit:UInt32}}
"""

_HEAD = """
SELECT max(max_block_number) AS block FROM system.parts
WHERE database = currentDatabase() AND table = {table:String} AND active
"""

_STORE_ID = """
SELECT toString(uuid) AS uuid FROM system.tables WHERE database = currentDatabase() AND name = 'windows'
"""


def new_rows(store: Store, kind: Kind, behind: Position, limit: int) -> list[tuple[Position, dict[str, object]]]:
    """Return the next rows behind a position, in order, each with its own position."""
    sql = _NEW_ROWS.format(columns=", ".join(_COLUMNS[kind]), table=_TABLES[kind], only=_ONLY[kind])
    rows = store.query(sql, {"block": behind.block, "row": behind.row, "limit": limit})
    return [(Position(int(str(row.pop("feed_block"))), int(str(row.pop("feed_row")))), row) for row in rows]


def head(store: Store, kind: Kind) -> Position:
    """Return the position of the newest row: what comes behind it is new."""
    [row] = store.query(_HEAD, {"table": _TABLES[kind]})
    return Position(int(str(row["block"] or 0)), _SEEN_IN_FULL)


def store_id(store: Store) -> str:
    """Return 8 hexadecimal digits that name this store's tables."""
    [row] = store.query(_STORE_ID)
    return str(row["uuid"])[:8]
