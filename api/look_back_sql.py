"""SQL of what many events look back on: the packets of their sources with the verdicts on them, and their sums.

Many events of one source share their look-backs, so every packet is counted once: running totals over the packets of
each host, read off at the event and where its look-back begins, and subtracted. Of one event that would cost more than
what it finds: ``api.look_back``.
"""

from __future__ import annotations

from api.look_back import BURST_NS, LOOK_BACK_NS, RATE_NS, SESSION_GAP_NS
from api.verdict_sql import verdict_columns
from schemas.verdicts import MALICIOUS_FROM, REACH_NS

_BENIGN = "cityHash64('BENIGN')"
"""Classes are compared by hash: a number sorts and adds up faster than its text."""


_PLACE = "transform({address}, {{sources:Array(IPv6)}}, arrayEnumerate({{sources:Array(IPv6)}}), 0)"
"""Of an address among the sources, 0 if it is none; place 0 of an array is 0."""


def _host(address: str) -> str:
    """Return the number of a source in a capture: a thousand captures of a thousand sources at most."""
    return f"toUInt32({_PLACE.format(address=address)} * 1024 + indexOf({{captures:Array(String)}}, capture_id))"


def _is_looked_back_on(address: str, at_ns: str, reach_ns: int) -> str:
    """Return the condition that an address is a source and its events look back on a moment, or shortly before it."""
    place = _PLACE.format(address=address)
    return (
        f"{at_ns} > {{after_each_ns:Array(Int64)}}[{place}] "
        f"AND {at_ns} <= {{until_each_ns:Array(Int64)}}[{place}] + {reach_ns}"
    )


# The records that may count the packets, without those that count none. Both ends of a flow may be sources: `way` is
# the flow as one of them sees it.
_VERDICTS = f"""
SELECT {_host("way.1")} AS host, way.2 AS other, way.3 AS own_port, way.4 AS other_port, protocol, vlan,
       since_frame, last_frame, cityHash64(attack_class) AS class, <verdict>
FROM packet_verdicts
ARRAY JOIN [(src_ip, dst_ip, src_port, dst_port), (dst_ip, src_ip, dst_port, src_port)] AS way
PREWHERE start_ns <= {{until_ns:Int64}} AND (src_ip IN {{sources:Array(IPv6)}} OR dst_ip IN {{sources:Array(IPv6)}})
WHERE capture_id IN {{captures:Array(String)}} AND end_ns > {{after_ns:Int64}} AND end_ns <= {{reach_ns:Int64}}
  AND since_frame <= last_frame AND {_is_looked_back_on("way.1", "end_ns", REACH_NS)}
"""  # noqa: S608 - our own text

# The packets of the sources that any event looks back on, with the verdicts on them.
_SEEN = f"""
SELECT p.host AS host, p.event_id AS event_id, p.ts_ns AS ts_ns, p.dst_ip AS dst_ip, p.length_bytes AS length_bytes,
       v.last_frame > 0 AND v.since_frame <= p.frame AS is_judged, if(is_judged, v.threat_score, 0) AS threat_score,
       if(is_judged, v.class, {_BENIGN}) AS class
FROM
(
    SELECT {_host("src_ip")} AS host, event_id, ts_ns, frame, dst_ip, protocol, vlan, length_bytes,
           if(fragment = 0, src_port, 0) AS own_port, if(fragment = 0, dst_port, 0) AS other_port
    FROM packet_logs
    PREWHERE src_ip IN {{sources:Array(IPv6)}}
    WHERE capture_id IN {{captures:Array(String)}} AND ts_ns > {{after_ns:Int64}} AND ts_ns <= {{until_ns:Int64}}
      AND {_is_looked_back_on("src_ip", "ts_ns", 0)}
) AS p
ASOF LEFT JOIN ({_VERDICTS}) AS v
ON p.host = v.host AND p.dst_ip = v.other AND p.own_port = v.own_port AND p.other_port = v.other_port
    AND p.protocol = v.protocol AND p.vlan = v.vlan AND p.frame <= v.last_frame
"""  # noqa: S608 - our own text

# What comes before and after each packet of its host, and of its host to the same destination. A destination is one
# more from a packet on that has no other in the look-back before it, and one less a look-back after one that has no
# other behind it.
_NEIGHBOURS = f"""
SELECT *, event_id IN {{ids:Array(UInt64)}} AS is_asked,
       ts_ns - lagInFrame(ts_ns, 1, ts_ns - {SESSION_GAP_NS} - 1) OVER of_host > {SESSION_GAP_NS} AS opens,
       leadInFrame(ts_ns, 1, 0) OVER of_host AS next_ns,
       ts_ns - lagInFrame(ts_ns, 1, ts_ns - {LOOK_BACK_NS}) OVER of_pair >= {LOOK_BACK_NS} AS comes,
       leadInFrame(ts_ns, 1, ts_ns + {LOOK_BACK_NS}) OVER of_pair - ts_ns >= {LOOK_BACK_NS} AS goes
FROM ({_SEEN})
WINDOW of_host AS (PARTITION BY host ORDER BY ts_ns, event_id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING),
       of_pair AS (PARTITION BY host, dst_ip ORDER BY ts_ns, event_id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)
"""  # noqa: S608 - our own text

_PACKET, _LOOK_BACK, _RATE, _BURST, _GONE = range(5)

# What there is to count, in order: packets, and where a destination goes; and where totals are read off besides at the
# event itself: where each of its times begins, behind every packet of that moment.
_MARKS = f"""
SELECT host, event_id, class, is_asked, threat_score, opens, next_ns, length_bytes, mark.1 AS kind,
       ts_ns + mark.2 AS at_ns, kind = {_PACKET} AS is_packet,
       multiIf(kind = {_PACKET}, event_id + 1, kind = {_GONE}, 0, toUInt64(-1)) AS place,
       multiIf(kind = {_PACKET}, toInt8(comes), kind = {_GONE}, -1, 0) AS destinations
FROM
(
    SELECT *, arrayJoin(arrayConcat(
        [({_PACKET}, 0)], if(goes, [({_GONE}, {LOOK_BACK_NS})], []),
        if(is_asked, [({_LOOK_BACK}, -{LOOK_BACK_NS}), ({_RATE}, -{RATE_NS}), ({_BURST}, -{BURST_NS})], [])
    )::Array(Tuple(UInt8, Int64))) AS mark
    FROM ({_NEIGHBOURS})
)
"""  # noqa: S608 - our own text

_TOTALS = f"""
SELECT event_id, kind, is_asked, threat_score,
       sum(is_packet) OVER so_far AS n,
       sum(is_packet * length_bytes) OVER so_far AS length_sum,
       sum(is_packet * toUInt64(length_bytes) * length_bytes) OVER so_far AS length_squares,
       sum(is_packet AND threat_score >= {MALICIOUS_FROM}) OVER so_far AS n_malicious,
       sum(destinations) OVER so_far AS n_destinations,
       max(if(is_packet AND opens, at_ns, 0)) OVER so_far AS opened_ns,
       max(if(is_packet, next_ns, 0)) OVER so_far AS first_ns,
       sum(is_packet) OVER of_class AS n_same_class
FROM ({_MARKS})
WINDOW so_far AS (PARTITION BY host ORDER BY at_ns, place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
       of_class AS (PARTITION BY host, class ORDER BY at_ns, place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
"""  # noqa: S608 - our own text


def _since(total: str, begin: int) -> str:
    return f"maxIf(t.{total}, t.kind = {_PACKET}) - maxIf(t.{total}, t.kind = {begin})"


_OF_MANY = f"""
SELECT t.event_id AS event_id,
       {_since("n", _LOOK_BACK)} AS n, {_since("n", _RATE)} AS n_rate, {_since("n", _BURST)} AS n_burst,
       {_since("length_sum", _LOOK_BACK)} AS length_sum, {_since("length_squares", _LOOK_BACK)} AS length_squares,
       {_since("n_malicious", _LOOK_BACK)} AS n_malicious, {_since("n_same_class", _LOOK_BACK)} AS n_same_class,
       maxIf(t.n_destinations, t.kind = {_PACKET}) AS n_destinations,
       greatest(maxIf(t.opened_ns, t.kind = {_PACKET}), maxIf(t.first_ns, t.kind = {_LOOK_BACK})) AS session_ns,
       max(t.threat_score) AS threat_score
FROM ({_TOTALS}) AS t
WHERE t.is_asked AND t.kind != {_GONE}
GROUP BY t.event_id
"""  # noqa: S608 - our own text


def look_back_sql(raised: str) -> str:
    """Return the statement of what the events in ``ids`` look back on, a row for each.

    Parameters
    ----------
    raised : str
        What makes of a record the place of the anomaly that raises it, 0 for none; see ``api.verdict_sql``.
    """
    return _OF_MANY.replace("<verdict>", verdict_columns(raised))
