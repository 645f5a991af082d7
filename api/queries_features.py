"""SQL of the features of events: the same few queries for any number of events; they only read.

One finds the events by their ids, one the anomalies of their time, and one computes everything. What an earlier one
found stands in the later one as a value: so each table is read once, and only what the key allows of it.

Features look back over the packets of the event's source in its capture, the event included: those of the last
``LOOK_BACK_NS`` that are not later, by time and then by id. All sums are of whole numbers, so a feature is the same
alone and in a batch, on one thread and on many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from api.filters import EVER_NS
from api.threat_anomalies import threat_anomalies
from api.verdict_sql import NAMED, NOT_RAISED, RAISED, anomaly_values
from infra.store import Store
from schemas.honeypots import HoneypotType
from schemas.packets import ROW_BITS
from schemas.tables import EVENT_BATCH
from schemas.verdicts import MALICIOUS_FROM, REACH_NS, SUSPICIOUS_FROM

S = 10**9

LOOK_BACK_NS = 300 * S
"""How far a feature looks back."""

RATE_NS, BURST_NS, SESSION_GAP_NS = 60 * S, 10 * S, 60 * S
"""Times of the event rate and of the burst rate, and the pause that ends a session."""

HONEYPOT_TABLES = tuple(kind.table for kind in HoneypotType)


class LookBack(BaseModel):
    """An event and what its source did until then: counts and sums over the look-back.

    Parameters
    ----------
    n, n_rate, n_burst : int
        Packets in the look-back, in the last 60 s and in the last 10 s.
    length_sum, length_squares : int
        Of their lengths, bytes and bytes².
    n_malicious, n_same_class, n_destinations : int
        Malicious ones, those of the event's attack class, distinct destinations.
    session_ns : int
        Time of the first packet of the session that the event is in.
    n_honeypot : int
        Lines of honeypots about the source that are not later.
    """

    model_config = ConfigDict(frozen=True)

    event_id: int
    capture_id: str
    ts_ns: int
    protocol: int
    dst_port: int
    length_bytes: int
    has_port: bool
    is_judged: bool
    threat_score: float
    n: int
    n_rate: int
    n_burst: int
    length_sum: int
    length_squares: int
    n_malicious: int
    n_same_class: int
    n_destinations: int
    session_ns: int
    n_honeypot: int = 0


def _ends(src_port: str, dst_port: str) -> str:
    pair = f"(src_ip, {src_port}), (dst_ip, {dst_port})"
    return f"least({pair}) AS low, greatest({pair}) AS high"


_ASKED = f"""
SELECT capture_id, event_id, ts_ns, toString(src_ip) AS source, dst_port, protocol, length_bytes, fragment
FROM packet_logs
WHERE event_id IN {{ids:Array(UInt64)}} AND {EVENT_BATCH} IN {{batches:Array(UInt64)}}
"""  # noqa: S608 - our own text

_HONEYPOT_LINES = " UNION ALL ".join(
    f"SELECT source_ip, ts_ns AS told_ns FROM {table} FINAL WHERE source_ip IN {{sources:Array(IPv6)}}"  # noqa: S608
    for table in HONEYPOT_TABLES
)

_HONEYPOT_SOURCES = f"SELECT count() AS lines FROM ({_HONEYPOT_LINES})"  # noqa: S608 - our own text

_EVENTS = """
SELECT event.1 AS capture_id, event.2 AS event_id, event.3 AS ts_ns, event.4 AS src_ip, event.5 AS dst_port,
       event.6 AS protocol, event.7 AS length_bytes, event.8 AS fragment
FROM (SELECT arrayJoin({asked:Array(Tuple(String, UInt64, Int64, IPv6, UInt16, UInt8, UInt32, UInt16))}) AS event)
"""

# As view `record_verdicts` has it.
_VERDICTS = f"""
SELECT capture_id, protocol, vlan, since_frame, last_frame, {_ends("src_port", "dst_port")},
       100 * toFloat64(attack_probability) AS by_classifier, <raised> AS raised,
       greatest(by_classifier, -raised.1) AS threat_score, threat_score >= {MALICIOUS_FROM} AS is_malicious,
       multiIf(threat_score < {SUSPICIOUS_FROM}, 'BENIGN',
               by_classifier >= {SUSPICIOUS_FROM} AND class_name != 'BENIGN', class_name::String,
               -raised.1 >= {SUSPICIOUS_FROM}, raised.2, 'UNKNOWN') AS attack_class
FROM packet_verdicts <anomalies>
WHERE capture_id IN {{captures:Array(String)}} AND end_ns > {{after_ns:Int64}} AND end_ns <= {{reach_ns:Int64}}
  AND (src_ip IN {{sources:Array(IPv6)}} OR dst_ip IN {{sources:Array(IPv6)}}) <records_in_time>
"""  # noqa: S608 - our own text

# Of many sources each has a time of its own.
_AFTER, _UNTIL = (
    f"transform(<address>, {{sources:Array(IPv6)}}, {{{name}:Array(Int64)}}, toInt64({default}))"
    for name, default in (("after_each_ns", EVER_NS), ("until_each_ns", -EVER_NS))
)
_PACKETS_IN_TIME = f"AND ts_ns > {_AFTER} AND ts_ns <= {_UNTIL}".replace("<address>", "src_ip")
_RECORDS_IN_TIME = " OR ".join(
    f"(end_ns > {_AFTER} AND end_ns <= {_UNTIL} + {REACH_NS})".replace("<address>", name)
    for name in ("src_ip", "dst_ip")
)

_SEEN = f"""
SELECT p.capture_id AS capture_id, p.event_id AS event_id, p.ts_ns AS ts_ns, p.src_ip AS src_ip, p.dst_ip AS dst_ip,
       p.length_bytes AS length_bytes, p.opens AS opens,
       v.last_frame > 0 AND v.since_frame <= p.frame AS is_judged,
       if(is_judged, v.threat_score, 0) AS threat_score,
       is_judged AND v.is_malicious AS is_malicious,
       if(is_judged, v.attack_class, 'BENIGN') AS attack_class
FROM
(
    SELECT capture_id, event_id, ts_ns, frame, src_ip, dst_ip, protocol, vlan, length_bytes,
           {_ends("if(fragment = 0, src_port, 0)", "if(fragment = 0, dst_port, 0)")},
           ts_ns - lagInFrame(ts_ns, 1, ts_ns - {SESSION_GAP_NS} - 1) OVER
               (PARTITION BY capture_id, src_ip ORDER BY ts_ns, event_id
                ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) > {SESSION_GAP_NS} AS opens
    FROM packet_logs
    WHERE capture_id IN {{captures:Array(String)}} AND src_ip IN {{sources:Array(IPv6)}}
      AND ts_ns > {{after_ns:Int64}} AND ts_ns <= {{until_ns:Int64}} <packets_in_time>
) AS p
ASOF LEFT JOIN (<verdicts>) AS v
ON p.capture_id = v.capture_id AND p.protocol = v.protocol AND p.vlan = v.vlan AND p.low = v.low
    AND p.high = v.high AND p.frame <= v.last_frame
"""  # noqa: S608 - our own text

# By class first: which one is the event's own is known only at its end.
_OF_CLASSES = f"""
SELECT e.event_id AS event_id, any(e.capture_id) AS capture_id, any(e.ts_ns) AS ts_ns, any(e.src_ip) AS src_ip,
       any(e.protocol) AS protocol, any(e.dst_port) AS dst_port, any(e.length_bytes) AS length_bytes,
       any(e.fragment) AS fragment,
       max(s.event_id = e.event_id) AS is_own,
       maxIf(s.is_judged, s.event_id = e.event_id) AS is_judged,
       maxIf(s.threat_score, s.event_id = e.event_id) AS threat_score,
       count() AS n,
       countIf(s.ts_ns > e.ts_ns - {RATE_NS}) AS n_rate,
       countIf(s.ts_ns > e.ts_ns - {BURST_NS}) AS n_burst,
       sum(s.length_bytes) AS length_sum,
       sum(toUInt64(s.length_bytes) * s.length_bytes) AS length_squares,
       countIf(s.is_malicious) AS n_malicious,
       uniqExactState(s.dst_ip) AS destinations,
       min(s.ts_ns) AS first_ns,
       maxIf(s.ts_ns, s.opens) AS opened_ns
FROM ({_SEEN}) AS s
INNER JOIN ({_EVENTS}) AS e ON s.capture_id = e.capture_id AND s.src_ip = e.src_ip
WHERE s.ts_ns > e.ts_ns - {LOOK_BACK_NS} AND (s.ts_ns, s.event_id) <= (e.ts_ns, e.event_id)
GROUP BY e.event_id, s.attack_class
"""  # noqa: S608 - our own text

_LOOK_BACK = f"""
SELECT
    c.event_id AS event_id, any(c.capture_id) AS capture_id, any(c.ts_ns) AS ts_ns, any(c.protocol) AS protocol,
    any(c.dst_port) AS dst_port, any(c.length_bytes) AS length_bytes,
    any(c.protocol IN (6, 17, 132) AND c.fragment = 0) AS has_port,
    max(c.is_judged) AS is_judged, max(c.threat_score) AS threat_score,
    sum(c.n) AS n, sum(c.n_rate) AS n_rate, sum(c.n_burst) AS n_burst, sum(c.length_sum) AS length_sum,
    sum(c.length_squares) AS length_squares, sum(c.n_malicious) AS n_malicious, sumIf(c.n, c.is_own) AS n_same_class,
    uniqExactMerge(c.destinations) AS n_destinations,
    greatest(max(c.opened_ns), min(c.first_ns)) AS session_ns
FROM ({_OF_CLASSES}) AS c
GROUP BY c.event_id
"""  # noqa: S608 - our own text

_HONEYPOTS = f"""
SELECT e.event_id AS event_id, count() AS n_honeypot
FROM ({_EVENTS}) AS e INNER JOIN ({_HONEYPOT_LINES}) AS line ON e.src_ip = line.source_ip
WHERE line.told_ns <= e.ts_ns
GROUP BY e.event_id
"""  # noqa: S608 - our own text


def look_backs(store: Store, event_ids: Sequence[int]) -> dict[int, LookBack]:
    """Return what events look back on, by event id; those that the store does not have are left out."""
    ids = sorted(set(event_ids))
    asked = store.query(_ASKED, {"ids": ids, "batches": sorted({one >> ROW_BITS for one in ids})}) if ids else []
    if not asked:
        return {}
    values = _values(asked)
    anomalies = threat_anomalies(store, {str(row["capture_id"]) for row in asked})
    sql = look_back_sql(is_raised=bool(anomalies), sources=len({row["source"] for row in asked}))
    rows = store.query(sql, values | {"anomalies": [anomaly_values(one) for one in anomalies]})
    told = _honeypot_lines(store, values)
    found = (LookBack.model_validate({**row, "n_honeypot": told.get(int(str(row["event_id"])), 0)}) for row in rows)
    return {row.event_id: row for row in found}


def _values(asked: Sequence[dict[str, object]]) -> dict[str, object]:
    """Return the parameters of everything for the events that were found."""
    times: dict[str, list[int]] = defaultdict(list)
    for row in asked:
        times[str(row["source"])].append(int(str(row["ts_ns"])))
    sources = sorted(times)
    after_ns = [min(times[source]) - LOOK_BACK_NS for source in sources]
    until_ns = [max(times[source]) for source in sources]
    return {
        "asked": [tuple(row.values()) for row in asked],
        "captures": sorted({str(row["capture_id"]) for row in asked}),
        "sources": sources,
        "after_each_ns": after_ns,
        "until_each_ns": until_ns,
        "after_ns": min(after_ns),
        "until_ns": max(until_ns),
        "reach_ns": max(until_ns) + REACH_NS,
    }


def _honeypot_lines(store: Store, values: dict[str, object]) -> dict[int, int]:
    """Return how often honeypots had heard of the source of each event; events without are left out."""
    if not store.query(_HONEYPOT_SOURCES, values)[0]["lines"]:
        return {}
    return {int(str(row["event_id"])): int(str(row["n_honeypot"])) for row in store.query(_HONEYPOTS, values)}


def look_back_sql(*, is_raised: bool, sources: int) -> str:
    """Return the statement of everything.

    Parameters
    ----------
    is_raised : bool
        Whether there are anomalies, which can raise verdicts.
    sources : int
        How many sources events are asked for of.
    """
    raised, anomalies = (RAISED, NAMED) if is_raised else (NOT_RAISED, "")
    packets_in_time, records_in_time = (_PACKETS_IN_TIME, f"AND ({_RECORDS_IN_TIME})") if sources > 1 else ("", "")
    sql = _LOOK_BACK.replace("<verdicts>", _VERDICTS).replace("<raised>", raised).replace("<anomalies>", anomalies)
    return sql.replace("<packets_in_time>", packets_in_time).replace("<records_in_time>", records_in_time)
