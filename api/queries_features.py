"""SQL of the features of events: one query for any number of events; it only reads.

Features look back over the packets of the event's source in its capture, the event included: those of the last
``LOOK_BACK_NS`` that are not later, by time and then by id. All sums are of whole numbers, so a feature is the same
alone and in a batch, on one thread and on many.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from infra.store import Store
from schemas.honeypots import HoneypotType
from schemas.packets import ROW_BITS
from schemas.tables import EVENT_BATCH
from schemas.verdicts import REACH_NS

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
    n_honeypot: int


def _ends(src_port: str, dst_port: str) -> str:
    pair = f"(src_ip, {src_port}), (dst_ip, {dst_port})"
    return f"least({pair}) AS low, greatest({pair}) AS high"


_HONEYPOT_LINES = " UNION ALL ".join(
    f"SELECT source_ip, ts_ns AS told_ns FROM {table} FINAL WHERE source_ip IN (SELECT src_ip FROM asked)"  # noqa: S608
    for table in HONEYPOT_TABLES
)

_LOOK_BACK = f"""
WITH asked AS
(
    SELECT capture_id, event_id, ts_ns, src_ip, dst_port, protocol, length_bytes, fragment
    FROM packet_logs
    WHERE event_id IN {{ids:Array(UInt64)}}
      AND {EVENT_BATCH} IN (SELECT DISTINCT bitShiftRight(arrayJoin({{ids:Array(UInt64)}}), {ROW_BITS}))
),
seen AS
(
    SELECT p.capture_id AS capture_id, p.event_id AS event_id, p.ts_ns AS ts_ns, p.src_ip AS src_ip, p.dst_ip AS dst_ip,
           p.length_bytes AS length_bytes, p.opens AS opens,
           v.last_frame > 0 AND v.since_frame <= p.frame AS is_judged,
           if(is_judged, v.threat_score, 0) AS threat_score,
           is_judged AND v.threat = 'MALICIOUS' AS is_malicious,
           if(is_judged, v.attack_class, 'BENIGN') AS attack_class
    FROM
    (
        SELECT capture_id, event_id, ts_ns, frame, src_ip, dst_ip, protocol, vlan, length_bytes,
               {_ends("if(fragment = 0, src_port, 0)", "if(fragment = 0, dst_port, 0)")},
               ts_ns - lagInFrame(ts_ns, 1, ts_ns - {SESSION_GAP_NS} - 1) OVER
                   (PARTITION BY capture_id, src_ip ORDER BY ts_ns, event_id
                    ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) > {SESSION_GAP_NS} AS opens
        FROM packet_logs
        WHERE (capture_id, src_ip) IN (SELECT capture_id, src_ip FROM asked)
          AND ts_ns > (SELECT min(ts_ns) FROM asked) - {LOOK_BACK_NS} AND ts_ns <= (SELECT max(ts_ns) FROM asked)
    ) AS p
    ASOF LEFT JOIN
    (
        SELECT capture_id, protocol, vlan, since_frame, last_frame, threat_score, threat, attack_class,
               {_ends("src_port", "dst_port")}
        FROM record_verdicts
        WHERE end_ns > (SELECT min(ts_ns) FROM asked) - {LOOK_BACK_NS}
          AND end_ns <= (SELECT max(ts_ns) FROM asked) + {REACH_NS}
          AND (src_ip IN (SELECT src_ip FROM asked) OR dst_ip IN (SELECT src_ip FROM asked))
    ) AS v
    ON p.capture_id = v.capture_id AND p.protocol = v.protocol AND p.vlan = v.vlan AND p.low = v.low
        AND p.high = v.high AND p.frame <= v.last_frame
),
judged AS
(
    SELECT asked.*, own.is_judged AS is_judged, own.threat_score AS threat_score, own.attack_class AS attack_class
    FROM asked INNER JOIN seen AS own ON asked.event_id = own.event_id
),
told AS
(
    SELECT event_id, count() AS lines
    FROM asked INNER JOIN ({_HONEYPOT_LINES}) AS line ON asked.src_ip = line.source_ip
    WHERE line.told_ns <= asked.ts_ns
    GROUP BY event_id
)
SELECT
    e.event_id AS event_id, any(e.capture_id) AS capture_id, any(e.ts_ns) AS ts_ns, any(e.protocol) AS protocol,
    any(e.dst_port) AS dst_port,
    any(e.length_bytes) AS length_bytes, any(e.protocol IN (6, 17, 132) AND e.fragment = 0) AS has_port,
    any(e.is_judged) AS is_judged, any(e.threat_score) AS threat_score,
    count() AS n,
    countIf(s.ts_ns > e.ts_ns - {RATE_NS}) AS n_rate,
    countIf(s.ts_ns > e.ts_ns - {BURST_NS}) AS n_burst,
    sum(s.length_bytes) AS length_sum,
    sum(toUInt64(s.length_bytes) * s.length_bytes) AS length_squares,
    countIf(s.is_malicious) AS n_malicious,
    countIf(s.attack_class = e.attack_class) AS n_same_class,
    uniqExact(s.dst_ip) AS n_destinations,
    greatest(maxIf(s.ts_ns, s.opens), min(s.ts_ns)) AS session_ns,
    any(told.lines) AS n_honeypot
FROM judged AS e
INNER JOIN seen AS s ON e.capture_id = s.capture_id AND e.src_ip = s.src_ip
LEFT JOIN told ON e.event_id = told.event_id
WHERE s.ts_ns > e.ts_ns - {LOOK_BACK_NS} AND (s.ts_ns, s.event_id) <= (e.ts_ns, e.event_id)
GROUP BY e.event_id
"""  # noqa: S608 - our own text


def look_backs(store: Store, event_ids: Sequence[int]) -> dict[int, LookBack]:
    """Return what events look back on, by event id; those that the store does not have are left out."""
    if not event_ids:
        return {}
    rows = store.query(_LOOK_BACK, {"ids": sorted(set(event_ids))})
    return {row.event_id: row for row in map(LookBack.model_validate, rows)}
