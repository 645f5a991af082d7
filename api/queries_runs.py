"""SQL of analysis runs, and of the windows that are sent to be judged or learnt again."""

from __future__ import annotations

import pyarrow as pa

from api.analysis_rows import AnomalyRow, RunNow, TypeCount, WindowSpan
from api.rows import Count
from infra.store import Store
from schemas.enums import RunKind
from schemas.windows import WINDOW_COLUMNS, WINDOW_SCHEMA

_RUN = "SELECT * FROM analysis_runs_now WHERE run_id = {run_id:String}"

_NEWEST_RUN = """
SELECT * FROM analysis_runs_now
WHERE capture_id = {capture_id:String} AND kind = {kind:String} AND state = 'complete' AND NOT is_dry_run
ORDER BY run_id DESC LIMIT 1
"""

_STORED = (
    "SELECT count() AS total FROM anomalies FINAL WHERE capture_id = {capture_id:String} AND run_id = {run_id:String}"
)

_IS_JUDGED = """
SELECT (SELECT count() FROM ledger WHERE capture_id = {capture_id:String} AND hop = 'analysis')
     + (SELECT count() FROM anomalies WHERE capture_id = {capture_id:String} AND run_id = '')
     + (SELECT count() FROM analysis_runs_now
        WHERE capture_id = {capture_id:String} AND kind = 'detect' AND state = 'complete' AND NOT is_dry_run) AS total
"""

_SPAN = """
SELECT uniqExact(window_id) AS windows, min(window_id) AS first_window_id, max(window_id) AS last_window_id
FROM windows
WHERE capture_id = {capture_id:String} AND window_id BETWEEN {first:UInt32} AND {last:UInt32}
  AND window_end_ns > {from_ns:Int64} AND window_start_ns < {to_ns:Int64}
"""

_BETWEEN = "capture_id = {capture_id:String} AND window_id BETWEEN {first:UInt32} AND {last:UInt32}"

_COLUMNS = ", ".join(column.name for column in WINDOW_COLUMNS)
_WINDOWS = f"SELECT {_COLUMNS} FROM windows_now WHERE {_BETWEEN} ORDER BY window_id"  # noqa: S608 - our own text

_OF_RUN = f"SELECT * FROM anomalies FINAL WHERE {_BETWEEN} AND run_id = {{run_id:String}}"  # noqa: S608 - our own text
_CURRENT = f"SELECT * FROM anomalies_now WHERE {_BETWEEN}"  # noqa: S608 - our own text

_KEY = "(window_id, type, signal, subject)"
"""Ids differ from run to run: what makes two verdicts the same is what they are about."""

CHANGES = {
    "added": (_OF_RUN, f"{_KEY} NOT IN (SELECT {_KEY} FROM ({_CURRENT}))"),  # noqa: S608 - our own text
    "kept": (_OF_RUN, f"{_KEY} IN (SELECT {_KEY} FROM ({_CURRENT}))"),  # noqa: S608 - our own text
    "removed": (_CURRENT, f"{_KEY} NOT IN (SELECT {_KEY} FROM ({_OF_RUN}))"),  # noqa: S608 - our own text
}
"""What a dry run would change: the rows, and which of them."""


def run(store: Store, run_id: str) -> RunNow | None:
    """Return where a run stands, or None while the store knows nothing of it."""
    rows = store.query(_RUN, {"run_id": run_id})
    return RunNow.model_validate(rows[0]) if rows else None


def newest_run(store: Store, capture_id: str, kind: RunKind) -> RunNow | None:
    """Return the newest complete run of a capture that was no dry run."""
    rows = store.query(_NEWEST_RUN, {"capture_id": capture_id, "kind": kind.value})
    return RunNow.model_validate(rows[0]) if rows else None


def stored_anomalies(store: Store, capture_id: str, run_id: str) -> int:
    """Return how many anomalies of a run are in the store."""
    return Count.model_validate(store.query(_STORED, {"capture_id": capture_id, "run_id": run_id})[0]).total


def is_judged(store: Store, capture_id: str) -> bool:
    """Whether anything has judged a capture's windows, also when it found nothing."""
    return Count.model_validate(store.query(_IS_JUDGED, {"capture_id": capture_id})[0]).total > 0


def window_span(store: Store, capture_id: str, first: int, last: int, from_ns: int, to_ns: int) -> WindowSpan:
    """Return which windows of a capture have these numbers and a part in this time."""
    values = {"capture_id": capture_id, "first": first, "last": last, "from_ns": from_ns, "to_ns": to_ns}
    return WindowSpan.model_validate(store.query(_SPAN, values)[0])


def windows_table(store: Store, capture_id: str, first: int, last: int) -> pa.Table:
    """Return windows as they travel, both numbers inclusive; columns of ``WINDOW_SCHEMA``."""
    table = store.query_arrow(_WINDOWS, {"capture_id": capture_id, "first": first, "last": last})
    return table.cast(WINDOW_SCHEMA)


def _values(run: RunNow) -> dict[str, object]:
    return {
        "capture_id": run.capture_id,
        "run_id": run.run_id,
        "first": run.first_window_id,
        "last": run.last_window_id,
    }


def run_types(store: Store, run: RunNow) -> list[TypeCount]:
    """Return how many anomalies of each type and severity a run found."""
    sql = f"SELECT type, severity, count() AS anomalies FROM ({_OF_RUN}) GROUP BY type, severity"  # noqa: S608
    return [TypeCount.model_validate(row) for row in store.query(sql, _values(run))]


def change_count(store: Store, run: RunNow, change: str) -> int:
    """Return how many anomalies a run adds to, removes from or keeps of those that count now."""
    rows, sought = CHANGES[change]
    sql = f"SELECT count() AS total FROM ({rows}) WHERE {sought}"  # noqa: S608 - our own text
    return Count.model_validate(store.query(sql, _values(run))[0]).total


def changes(store: Store, run: RunNow, change: str, limit: int) -> list[AnomalyRow]:
    """Return the first of those anomalies, in the order of their windows."""
    rows, sought = CHANGES[change]
    order = "ORDER BY window_start_ns, anomaly_id LIMIT {limit:UInt32}"
    sql = f"SELECT * FROM ({rows}) WHERE {sought} {order}"  # noqa: S608 - our own text
    return [AnomalyRow.model_validate(row) for row in store.query(sql, {**_values(run), "limit": limit})]
