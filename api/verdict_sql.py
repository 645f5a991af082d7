"""What anomalies make of records, in SQL: for statements over many records, with the anomalies as values.

``schemas.verdicts.verdict_of`` says the same of one record, and view ``record_verdicts`` of every one.
"""

from __future__ import annotations

from ipaddress import IPv6Address

from api.threat_anomalies import ThreatAnomaly

NOT_RAISED = "(0., '')"
RAISED = """
arraySort(arrayPushBack(arrayMap(x -> (-x.8, x.9), arrayFilter(
    x -> if(x.3, x.4 = src_ip,
        (x.4 = src_ip AND x.5 = src_port AND x.6 = dst_ip AND x.7 = dst_port)
        OR (x.4 = dst_ip AND x.5 = dst_port AND x.6 = src_ip AND x.7 = src_port)), named)), (0., '')))[1]
"""
NAMED = """
LEFT JOIN
(
    SELECT x.1 AS of_capture, x.2 AS of_window, groupArray(x) AS named
    FROM (SELECT arrayJoin(
        {anomalies:Array(Tuple(String, UInt32, Bool, IPv6, UInt16, IPv6, UInt16, Float64, String))}) AS x)
    GROUP BY of_capture, of_window
) AS anomaly ON capture_id = of_capture AND window_id = of_window
"""


def anomaly_values(one: ThreatAnomaly) -> tuple[object, ...]:
    """Return an anomaly as the parameter ``anomalies`` takes it."""
    ends = sorted(one.ends) if one.source is None else [(one.source, 0)]
    (a, a_port), (b, b_port) = ends[0], ends[-1]
    addresses = str(IPv6Address(a)), str(IPv6Address(b))
    is_source = one.source is not None
    return (
        *(one.capture_id, one.window_id, is_source, addresses[0], a_port, addresses[1], b_port),
        *(one.score, one.type),
    )
