"""SQL of the dashboard's figures.

``traffic_stats`` has what the classifier makes of packets, by minute; reading it costs the same for any number of
packets. What anomalies make of more is added from the records of their windows.
"""

from __future__ import annotations

from ipaddress import IPv6Address

from pydantic import BaseModel, ConfigDict

from api.threat_anomalies import threat_anomalies
from api.verdict_sql import BY_ANOMALY, BY_CLASSIFIER, raised, threat_sql
from infra.store import Store
from schemas.enums import Severity

# `''` is the row of everything.
_THREATS = """
SELECT threat, sum(n) AS packets, sum(scores) AS score_sum,
       uniqMerge(senders) AS sources, uniqMerge(beginners) AS attackers
FROM
(
    SELECT threat, toInt64(sum(packets)) AS n, sum(score_sum) AS scores,
           uniqMergeState(sources) AS senders, uniqMergeState(attackers) AS beginners
    FROM traffic_stats WHERE {of_capture} GROUP BY threat
    {raised}
)
GROUP BY GROUPING SETS ((threat), ())
"""

# Of a record that an anomaly raises, its packets count for what they are now and no longer for what the classifier
# said. Whoever began it is named, as the source or as one end of the flow.
_OF_RAISED = f"""
UNION ALL
SELECT part.1 AS threat, sum(part.2 * toInt64(part.4)) AS n,
       sumIf((anomaly_score - by_classifier) * part.4, part.2 = 1) AS scores,
       uniqStateIf(part.3, part.2 = 1 AND part.1 != 'BENIGN' AND part.4 > 0) AS senders,
       uniqStateIf(src_ip, part.2 = 1 AND part.1 != 'BENIGN') AS beginners
FROM
(
    SELECT src_ip, anomaly_score, by_classifier,
           {threat_sql("by_classifier")} AS before, {threat_sql("anomaly_score")} AS threat,
           arrayJoin([
               (threat, 1, src_ip, new_fwd_packets), (threat, 1, dst_ip, new_bwd_packets),
               (before, -1, src_ip, new_fwd_packets), (before, -1, dst_ip, new_bwd_packets)
           ]) AS part
    FROM
    (
        SELECT src_ip, dst_ip, new_fwd_packets, new_bwd_packets, {BY_CLASSIFIER} AS by_classifier, <raised> AS raised,
               {BY_ANOMALY} AS anomaly_score
        FROM packet_verdicts
        WHERE capture_id IN {{captures:Array(String)}} AND window_id IN {{windows:Array(UInt32)}}
          AND src_ip IN {{names:Array(IPv6)}}
    )
    WHERE anomaly_score > by_classifier
)
GROUP BY threat
"""  # noqa: S608 - our own text

_OF_CAPTURE = "capture_id = {capture_id:String}"

_COUNTS = """
SELECT (SELECT sum(packets) FROM traffic WHERE interval_s = 3600 AND {of_capture}) AS packets,
       (SELECT count() FROM anomalies_now WHERE severity = {high:String} AND {of_capture}) AS alerts
"""

_STAND = """
SELECT (SELECT count() FROM packet_verdicts), (SELECT count() FROM anomalies), (SELECT count() FROM analysis_runs),
       (SELECT count() FROM corrections), (SELECT count() FROM packet_logs), (SELECT count() FROM captures)
"""


class ThreatRow(BaseModel):
    """Packets of one threat; of all, with an empty name."""

    model_config = ConfigDict(frozen=True)

    threat: str
    packets: int
    score_sum: float
    sources: int
    attackers: int


class CountsRow(BaseModel):
    """All packets, also those without a flow, and anomalies of high severity."""

    model_config = ConfigDict(frozen=True)

    packets: int
    alerts: int


def threats(store: Store, capture_id: str = "") -> dict[str, ThreatRow]:
    """Return the packets that have a verdict, by threat and under ``""`` together; of one capture, or of all."""
    raising = threat_anomalies(store, [capture_id] if capture_id else _raised_captures(store))
    captures = sorted({one.capture_id for one in raising})
    place, of_anomalies = raised(raising, captures)
    values = {
        **of_anomalies,
        "capture_id": capture_id,
        "captures": captures,
        "windows": sorted({one.window_id for one in raising}),
        "names": sorted({str(IPv6Address(name)) for one in raising for name in one.addresses}),
    }
    sql = _THREATS.replace("{raised}", _OF_RAISED.replace("<raised>", place) if raising else "")
    rows = store.query(_restricted(sql, capture_id), values)
    return {row.threat: row for row in map(ThreatRow.model_validate, rows)}


def _raised_captures(store: Store) -> list[str]:
    return [str(row["capture_id"]) for row in store.query("SELECT DISTINCT capture_id FROM anomalies")]


def counts(store: Store, capture_id: str = "") -> CountsRow:
    """Return all packets and the anomalies of high severity; of one capture, or of all."""
    values = {"capture_id": capture_id, "high": Severity.HIGH.value}
    return CountsRow.model_validate(store.query(_restricted(_COUNTS, capture_id), values)[0])


def stand(store: Store) -> tuple[object, ...]:
    """Return what changes whenever a figure may have changed; costs nothing but the asking."""
    return tuple(store.query(_STAND)[0].values())


def _restricted(sql: str, capture_id: str) -> str:
    return sql.replace("{of_capture}", _OF_CAPTURE if capture_id else "1")
