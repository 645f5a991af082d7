"""Lines of honeypots' logs into the store, each event once however often it is read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agents.app import Received
from infra.store import Store
from schemas.errors import WireError
from schemas.honeypots import DEAD_LETTER_SCHEMA, LOG_SCHEMA, STORED_LOG_SCHEMA, HoneypotType
from schemas.topics import HONEYPOT_DEAD_LETTERS, HONEYPOT_LOGS, Topic
from streams.honeypot_topic import LogHeader
from streams.wire import decode_table

_KNOWN = """
SELECT DISTINCT log_id FROM {table}
WHERE ts_ns BETWEEN {{first_ns:Int64}} AND {{last_ns:Int64}} AND log_id IN {{ids:Array(UInt64)}}
"""


class HoneypotStage:
    """Puts lines of honeypots' logs into their tables.

    What the store has already is left out before it is inserted, so that ``read_id`` stays that of the reading which
    brought a line first, and counts of it say how many lines were new. Should two readings ever be stored at the same
    time, both may find a line missing; the table's key then makes one row of it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def logs(self, message: Received) -> None:
        """Store a batch of lines of one honeypot."""
        header = LogHeader.from_kafka(message.headers)
        if header.kind is None:
            raise WireError("lines of honeypots that do not say which")
        rows = decode_table(message.body, LOG_SCHEMA)
        ids = rows.column("log_id").to_numpy()
        _, first_places = np.unique(ids, return_index=True)
        is_new = np.zeros(len(ids), np.bool_)
        is_new[first_places] = True
        is_new &= ~np.isin(ids, self._known(header.kind, rows))
        new = rows.filter(pa.array(is_new))
        reading = pa.array([header.read_id] * new.num_rows, pa.string())
        stored = pa.Table.from_arrays([reading, *new.columns], schema=STORED_LOG_SCHEMA).combine_chunks()
        self._store.insert(header.kind.table, stored, f"{header.read_id}:{header.seq}")

    def dead_letters(self, message: Received) -> None:
        """Store lines that could not be understood."""
        header = LogHeader.from_kafka(message.headers)
        rows = decode_table(message.body, DEAD_LETTER_SCHEMA)
        place = rows.schema.get_field_index("read_id")
        reading = pa.array([header.read_id] * rows.num_rows, pa.string())
        stored = rows.set_column(place, rows.schema.field(place), reading).combine_chunks()
        self._store.insert("honeypot_dead_letters", stored, f"{header.read_id}:{header.seq}")

    def _known(self, kind: HoneypotType, rows: pa.Table) -> NDArray[np.uint64]:
        """Return the ids of rows that the store has already."""
        if not rows.num_rows:
            return np.zeros(0, np.uint64)
        times_ns = rows.column("ts_ns").to_numpy()
        ids = rows.column("log_id").to_pylist()
        values = {"first_ns": int(times_ns.min()), "last_ns": int(times_ns.max()), "ids": ids}
        found = self._store.query_arrow(_KNOWN.format(table=kind.table), values)
        return np.asarray(found.column("log_id").to_numpy(), np.uint64)


def honeypot_inserts(store: Store) -> tuple[tuple[Topic, Callable[[Received], None]], ...]:
    """Return what stores the messages of each topic."""
    stage = HoneypotStage(store)
    return ((HONEYPOT_LOGS, stage.logs), (HONEYPOT_DEAD_LETTERS, stage.dead_letters))
