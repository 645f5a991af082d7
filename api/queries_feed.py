"""SQL of the stream of events: rows in the order in which the store took them in; see ``api.cursor``."""

from __future__ import annotations

from api.analysis_rows import AnomalyRow
from api.cursor import Kind, Position
from api.queries_classifications import IS_ATTACK
from api.queries_export import address_text
from api.rows import WindowRow
from infra.store import Store

_TABLES = {Kind.WINDOW: "windows", Kind.ANOMALY: "anomalies", Kind.CLASSIFICATION: "classifications"}

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

# The five with most flows, of as many the first in the order of their texts.
_MOST = """
arrayMap(x -> x.1, arraySlice(arraySort(x -> (-toInt64(x.2), x.1),
    arrayZip(sumMap([c.{end}], [1]).1, sumMap([c.{end}], [1]).2)), 1, 5))
"""

# A scan or a flood is tens of thousands of flows: what an insert holds of one class is one event. The inserts are
# looked at as a whole, so that a place inside one cuts no class in two.
_NEW_ATTACKS = f"""
SELECT c.capture_id AS capture_id, c.class_name AS class_name, argMax(c.model, c.offset) AS model, count() AS flows,
       sum(c.fwd_packets + c.bwd_packets) AS packets, avg(c.confidence) AS mean_confidence,
       min(c.start_ns) AS first_seen_ns, max(c.end_ns) AS last_seen_ns,
       uniqExact(c.source) AS sources, uniqExact(c.destination) AS destinations,
       {_MOST.format(end="source")} AS top_sources, {_MOST.format(end="destination")} AS top_destinations,
       arrayMap(x -> x.2, groupArraySorted(5)((-c.confidence, c.flow_id))) AS flow_ids,
       c.block AS feed_block, max(c.offset) AS feed_row
FROM (
    SELECT *, {address_text("src_ip")} AS source, {address_text("dst_ip")} AS destination,
           _block_number AS block, _block_offset AS offset
    FROM classifications
    WHERE toUInt64(splitByChar('_', _part)[3]) >= {{block:UInt64}} AND _block_number >= {{block:UInt64}}
      AND role = 'champion' AND {IS_ATTACK}
) AS c
GROUP BY feed_block, capture_id, class_name
HAVING (feed_block, feed_row) > ({{block:UInt64}}, {{row:UInt64}})
ORDER BY feed_block, feed_row
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - our own text

_SQL = {
    **{
        kind: _NEW_ROWS.format(columns=", ".join(columns), table=_TABLES[kind], only=_ONLY[kind])
        for kind, columns in _COLUMNS.items()
    },
    Kind.CLASSIFICATION: _NEW_ATTACKS,
}

_HEAD = """
SELECT max(max_block_number) AS block FROM system.parts
WHERE database = currentDatabase() AND table = {table:String} AND active
"""

_STORE_ID = """
SELECT toString(uuid) AS uuid FROM system.tables WHERE database = currentDatabase() AND name = 'windows'
"""


def new_rows(store: Store, kind: Kind, behind: Position, limit: int) -> list[tuple[Position, dict[str, object]]]:
    """Return the next rows behind a position, in order, each with its own position."""
    rows = store.query(_SQL[kind], {"block": behind.block, "row": behind.row, "limit": limit})
    return [(Position(int(str(row.pop("feed_block"))), int(str(row.pop("feed_row")))), row) for row in rows]


def head(store: Store, kind: Kind) -> Position:
    """Return the position of the newest row: what comes behind it is new."""
    [row] = store.query(_HEAD, {"table": _TABLES[kind]})
    return Position(int(str(row["block"] or 0)), _SEEN_IN_FULL)


def store_id(store: Store) -> str:
    """Return 8 hexadecimal digits that name this store's tables."""
    [row] = store.query(_STORE_ID)
    return str(row["uuid"])[:8]
