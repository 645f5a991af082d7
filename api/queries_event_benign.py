"""SQL of the benign events where nearly all others are threats: what no record counts, or one without a threat.

They are looked for with the records joined to the packets, stretch of time by stretch of time from the newest on.
"""

from __future__ import annotations

from api.event_filters import EventFilter
from api.queries_event_threats import RECORD_CONDITIONS
from api.queries_events import CONDITIONS, EventsBehind, Row, Stretch
from api.queries_export import address_text
from api.threat_anomalies import threat_anomalies
from api.verdict_sql import raised
from infra.store import Store
from schemas.verdicts import REACH_NS, SUSPICIOUS_FROM

FIRST_PACKETS = 1 << 20
"""About so many packets of all kinds are in the first time that is looked through."""

GROWTH, GROWTH_OF_ENDS = 2, 16
"""How much longer the next time is; where an address narrows packets down, few of them are read."""

_BENIGN = f"""
SELECT * EXCEPT (from_port, to_port, from_ip, to_ip), {address_text("from_ip")} AS src_text,
       {address_text("to_ip")} AS dst_text
FROM
(
SELECT p.*
FROM
(
    SELECT event_id, capture_id, ts_ns, frame, src_port, dst_port, protocol, ether_type, vlan, length_bytes, fragment,
           src_ip AS from_ip, dst_ip AS to_ip, if(fragment = 0, src_port, 0) AS from_port,
           if(fragment = 0, dst_port, 0) AS to_port
    FROM packet_logs
    PREWHERE <packets>
    WHERE capture_id IN {{captures:Array(String)}} AND ts_ns >= {{from_ns:Int64}} AND ts_ns <= {{until_ns:Int64}}
      AND (ts_ns, event_id) < ({{last_ns:Int64}}, {{last_id:UInt64}})
) AS p
ASOF LEFT JOIN
(
    SELECT capture_id, protocol, vlan, since_frame, last_frame, way.1 AS from_ip, way.2 AS to_ip, way.3 AS from_port,
           way.4 AS to_port,
           greatest(100 * toFloat64(attack_probability), {{anomaly_scores:Array(Float64)}}[<raised>]) AS threat_score
    FROM packet_verdicts
    ARRAY JOIN [(src_ip, dst_ip, src_port, dst_port), (dst_ip, src_ip, dst_port, src_port)] AS way
    PREWHERE start_ns <= {{until_ns:Int64}} AND <records>
    WHERE capture_id IN {{captures:Array(String)}} AND end_ns >= {{from_ns:Int64}}
      AND end_ns <= {{until_ns:Int64}} + {REACH_NS}
) AS record
ON p.capture_id = record.capture_id AND p.protocol = record.protocol AND p.vlan = record.vlan
    AND p.from_ip = record.from_ip AND p.to_ip = record.to_ip AND p.from_port = record.from_port
    AND p.to_port = record.to_port AND p.frame <= record.last_frame
WHERE record.last_frame = 0 OR record.since_frame > p.frame OR record.threat_score < {SUSPICIOUS_FROM}
ORDER BY p.ts_ns DESC, p.event_id DESC LIMIT {{limit:UInt32}}
)
ORDER BY ts_ns DESC, event_id DESC
"""  # noqa: S608 - our own text


def benign_packets(store: Store, wanted: EventFilter, stretch: Stretch, behind: EventsBehind, limit: int) -> list[Row]:
    """Return the newest packets of some captures that the filters let through and that are taken for benign.

    Parameters
    ----------
    behind : EventsBehind
        Where the page begins.
    limit : int
        Most packets.
    """
    captures = sorted(stretch.captures)
    place, values = raised(threat_anomalies(store, captures), captures)
    names = [name for name in wanted.given if name != "capture_id"]
    sql = _BENIGN.replace("<raised>", place)
    sql = sql.replace("<packets>", " AND ".join(CONDITIONS[name] for name in names) or "1")
    sql = sql.replace("<records>", " AND ".join(RECORD_CONDITIONS[name] for name in names) or "1")
    given = {**wanted.given, **values, "captures": captures, "last_ns": behind.ts_ns, "last_id": behind.event_id}
    found: list[Row] = []
    for from_ns, until_ns in _times(wanted, stretch, behind):
        found += store.query(sql, {**given, "from_ns": from_ns, "until_ns": until_ns, "limit": limit - len(found)})
        if len(found) >= limit:
            break
    return found


def _times(wanted: EventFilter, stretch: Stretch, behind: EventsBehind) -> list[tuple[int, int]]:
    """Return times one before the other, each longer than the one behind it, as first and last ns."""
    first_ns = max(wanted.times.from_ns, stretch.first_ns)
    until_ns = min(wanted.times.to_ns - 1, behind.ts_ns, stretch.last_ns)
    growth = GROWTH_OF_ENDS if {"source_ip", "destination_ip"} & wanted.given.keys() else GROWTH
    size_ns = max(1, (stretch.last_ns - stretch.first_ns) * FIRST_PACKETS // max(1, stretch.packets))
    times = []
    while until_ns >= first_ns:
        from_ns = max(first_ns, until_ns - size_ns)
        times.append((from_ns, until_ns))
        until_ns, size_ns = from_ns - 1, size_ns * growth
    return times
