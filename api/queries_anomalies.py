"""SQL of anomalies.

``anomalies_now`` holds the anomalies that count: of each window those of the newest run that judged it again, else
the stream's own, less what a late correction refuted. ``anomalies`` also holds those of dry runs and of runs that
others came after.
"""

from __future__ import annotations

from dataclasses import dataclass

from api.analysis_rows import AnomalyRow, IncidentRow, TopRow, TypeCount
from api.filters import AnomalyFilter
from api.rows import Count
from infra.store import Store

_WANTED = """
({capture_id:String} = '' OR capture_id = {capture_id:String})
AND window_end_ns > {from_ns:Int64} AND window_start_ns < {to_ns:Int64}
AND window_id BETWEEN {first:UInt32} AND {last:UInt32}
AND ({type:String} = '' OR type = {type:String})
AND ({severity:String} = '' OR severity = {severity:String})
AND ({signal:String} = '' OR signal = {signal:String})
AND ({incident_id:String} = '' OR incident_id = {incident_id:String})
AND ({source_ip:String} = '' OR source_ip = {source_ip:String})
AND ({destination_ip:String} = '' OR destination_ip = {destination_ip:String})
AND ({text:String} = '' OR positionCaseInsensitiveUTF8(message, {text:String}) > 0)
"""

_LIST = """
SELECT * FROM anomalies_now
WHERE {wanted} AND {behind}
ORDER BY window_start_ns {direction}, anomaly_id {direction}
LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}
"""

_BEHIND = {
    "ASC": "(window_start_ns, anomaly_id) > ({last_ns:Int64}, {last_id:String})",
    "DESC": "(window_start_ns, anomaly_id) < ({last_ns:Int64}, {last_id:String})",
}

_COUNT = f"SELECT count() AS total FROM anomalies_now WHERE {_WANTED}"  # noqa: S608 - our own text

_OF_WINDOW = """
SELECT * FROM anomalies_now WHERE capture_id = {capture_id:String} AND window_id = {window_id:UInt32}
ORDER BY severity, type, anomaly_id
"""

_TYPES = f"""
SELECT type, severity, count() AS anomalies FROM anomalies_now WHERE {_WANTED} GROUP BY type, severity
"""  # noqa: S608 - our own text

# Of severities, high sorts before medium. A window's further anomalies of the same kind are folded into the one that
# stands for them.
_TOP = f"""
SELECT type, signal, subject, min(a.severity) AS severity, argMax(a.message, a.window_start_ns) AS message,
       sum(a.folded + 1) AS anomalies,
       min(a.window_start_ns) AS first_seen_ns, max(a.window_start_ns) AS last_seen_ns
FROM (SELECT * FROM anomalies_now WHERE {_WANTED}) AS a
GROUP BY type, signal, subject
ORDER BY anomalies DESC, last_seen_ns DESC, type, signal, subject
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - our own text

_INCIDENTS = f"""
SELECT incident_id, any(a.capture_id) AS capture_id, any(a.type) AS type, any(a.signal) AS signal,
       any(a.subject) AS subject, min(a.severity) AS severity, argMax(a.message, a.window_start_ns) AS message,
       any(a.metric) AS metric, argMax(a.source_ip, a.window_start_ns) AS source_ip,
       argMax(a.destination_ip, a.window_start_ns) AS destination_ip, any(a.protocol) AS protocol,
       sum(a.folded + 1) AS anomalies, uniqExact(a.capture_id, a.window_id) AS windows,
       min(a.window_start_ns) AS first_seen_ns, max(a.window_start_ns) AS last_seen_ns,
       max(a.window_end_ns) AS last_end_ns, argMax(a.anomaly_id, a.window_start_ns) AS last_anomaly_id,
       argMax(a.current_value, abs(a.current_value - ifNull(a.baseline_mean, 0))) AS peak_value,
       argMax(a.threshold, abs(a.current_value - ifNull(a.baseline_mean, 0))) AS threshold
FROM (SELECT * FROM anomalies_now WHERE {_WANTED}) AS a
GROUP BY incident_id
ORDER BY {{order}} incident_id
LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}
"""  # noqa: S608 - our own text

_NEWEST_FIRST = "last_seen_ns DESC,"
_WORST_FIRST = "severity, windows DESC, first_seen_ns, message,"

_INCIDENT_COUNT = f"""
SELECT uniqExact(incident_id) AS total FROM anomalies_now WHERE {_WANTED}
"""  # noqa: S608 - our own text

_BY_ID = "SELECT * FROM anomalies FINAL WHERE anomaly_id = {anomaly_id:String} ORDER BY version DESC LIMIT 1"

_IS_CURRENT = """
SELECT count() AS total FROM anomalies_now
WHERE capture_id = {capture_id:String} AND window_id = {window_id:UInt32} AND anomaly_id = {anomaly_id:String}
"""


@dataclass(frozen=True)
class Behind:
    """Where a page begins.

    Parameters
    ----------
    is_newest_first : bool
        The order of the list.
    window_start_ns, anomaly_id : int and str, or None
        Of the last anomaly of the page before.
    """

    is_newest_first: bool
    window_start_ns: int | None = None
    anomaly_id: str = ""


def _values(wanted: AnomalyFilter, capture_id: str) -> dict[str, object]:
    return {
        "capture_id": capture_id,
        "from_ns": wanted.times.from_ns,
        "to_ns": wanted.times.to_ns,
        "first": wanted.first_window_id,
        "last": wanted.last_window_id,
        "type": wanted.type,
        "severity": wanted.severity,
        "signal": wanted.signal,
        "incident_id": wanted.incident_id,
        "source_ip": wanted.source_ip,
        "destination_ip": wanted.destination_ip,
        "text": wanted.text,
    }


def anomalies(
    store: Store, capture_id: str, wanted: AnomalyFilter, behind: Behind, limit: int, offset: int = 0
) -> list[AnomalyRow]:
    """Return a page of anomalies, in the order of their windows.

    Parameters
    ----------
    capture_id : str
        Empty for those of every capture.
    """
    direction = "DESC" if behind.is_newest_first else "ASC"
    condition = "1" if behind.window_start_ns is None else _BEHIND[direction]
    sql = _LIST.format(wanted=_WANTED, behind=condition, direction=direction)
    place = {"last_ns": behind.window_start_ns or 0, "last_id": behind.anomaly_id, "limit": limit, "offset": offset}
    return [AnomalyRow.model_validate(row) for row in store.query(sql, {**_values(wanted, capture_id), **place})]


def anomaly_count(store: Store, capture_id: str, wanted: AnomalyFilter | None = None) -> int:
    """Return how many anomalies there are; of every capture when ``capture_id`` is empty."""
    rows = store.query(_COUNT, _values(wanted or AnomalyFilter(), capture_id))
    return Count.model_validate(rows[0]).total


def anomalies_of_window(store: Store, capture_id: str, window_id: int) -> list[AnomalyRow]:
    """Return the anomalies of one window, the bad ones first."""
    rows = store.query(_OF_WINDOW, {"capture_id": capture_id, "window_id": window_id})
    return [AnomalyRow.model_validate(row) for row in rows]


def anomaly_types(store: Store, capture_id: str, wanted: AnomalyFilter) -> list[TypeCount]:
    """Return how many anomalies of each type and severity there are."""
    return [TypeCount.model_validate(row) for row in store.query(_TYPES, _values(wanted, capture_id))]


def top_anomalies(store: Store, capture_id: str, wanted: AnomalyFilter, limit: int) -> list[TopRow]:
    """Return what is found most often: same type, signal and subject together."""
    rows = store.query(_TOP, {**_values(wanted, capture_id), "limit": limit})
    return [TopRow.model_validate(row) for row in rows]


def incidents(
    store: Store, capture_id: str, wanted: AnomalyFilter, limit: int, offset: int, *, worst_first: bool = False
) -> list[IncidentRow]:
    """Return a page of incidents, those seen last first, or those of high severity and many windows."""
    values = {**_values(wanted, capture_id), "limit": limit, "offset": offset}
    sql = _INCIDENTS.replace("{order}", _WORST_FIRST if worst_first else _NEWEST_FIRST)
    return [IncidentRow.model_validate(row) for row in store.query(sql, values)]


def incident_count(store: Store, capture_id: str, wanted: AnomalyFilter) -> int:
    """Return how many incidents there are."""
    return Count.model_validate(store.query(_INCIDENT_COUNT, _values(wanted, capture_id))[0]).total


def anomaly(store: Store, anomaly_id: str) -> AnomalyRow | None:
    """Return an anomaly, also one of a dry run, or None when there is none of this id."""
    rows = store.query(_BY_ID, {"anomaly_id": anomaly_id})
    return AnomalyRow.model_validate(rows[0]) if rows else None


def is_current(store: Store, row: AnomalyRow) -> bool:
    """Whether an anomaly counts: its window was not judged again since without finding it."""
    values = {"capture_id": row.capture_id, "window_id": row.window_id, "anomaly_id": row.anomaly_id}
    return Count.model_validate(store.query(_IS_CURRENT, values)[0]).total > 0
