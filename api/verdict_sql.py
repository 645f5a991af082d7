"""What anomalies make of records, in SQL: for statements over many records, with the anomalies as values.

``schemas.verdicts.verdict_of`` says the same of one record, and view ``record_verdicts`` of every one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
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


def raised(anomalies: Sequence[ThreatAnomaly], captures: Sequence[str]) -> tuple[str, dict[str, object]]:
    """Return what anomalies make of each record, as an expression and the values in it.

    Anomalies of one score and type are a set of whom they name, which is asked once for each record.

    Parameters
    ----------
    captures : sequence of str
        Those of the statement's parameter ``captures``; anomalies are of no others.

    Returns
    -------
    str
        The place of the anomaly that counts in ``anomaly_scores`` and ``anomaly_types``, 0 for none: of those that
        name a record the one with the highest score, and of equal ones the type that is first by name.
    dict of str to object
        Of the parameters of the expression, and of ``anomaly_scores`` and ``anomaly_types``.
    """
    sources: dict[tuple[float, str], set[tuple[object, ...]]] = defaultdict(set)
    flows: dict[tuple[float, str], set[tuple[object, ...]]] = defaultdict(set)
    for one in anomalies:
        of_window = captures.index(one.capture_id) + 1, one.window_id
        if one.source is not None:
            sources[-one.score, one.type].add((*of_window, _text(one.source)))
        else:
            (a, a_port), (b, b_port) = ((_text(address), port) for address, port in (sorted(one.ends) * 2)[:2])
            flows[-one.score, one.type] |= {(*of_window, a, a_port, b, b_port), (*of_window, b, b_port, a, a_port)}
    kinds = sorted({*sources, *flows})
    values: dict[str, object] = {
        "anomaly_scores": [-score for score, _ in kinds],
        "anomaly_types": [kind for _, kind in kinds],
        **{f"sources_{place}": sorted(sources[kind]) for place, kind in enumerate(kinds, 1) if sources[kind]},
        **{f"flows_{place}": sorted(flows[kind]) for place, kind in enumerate(kinds, 1) if flows[kind]},
    }
    return _first_of(values, len(kinds)), values


def _first_of(values: dict[str, object], kinds: int) -> str:
    conditions = []
    for place in range(1, kinds + 1):
        forms = [_IN_SET[name].replace("<place>", str(place)) for name in _IN_SET if f"{name}_{place}" in values]
        conditions.append(f"{' OR '.join(forms)}, {place}")
    return f"multiIf({', '.join(conditions)}, 0)" if conditions else "0"


def _text(address: int) -> str:
    return str(IPv6Address(address))


_CAPTURE = "indexOf({captures:Array(String)}, capture_id)"
_IN_SET = {
    "sources": f"({_CAPTURE}, window_id, src_ip) IN {{sources_<place>:Array(Tuple(UInt64, UInt32, IPv6))}}",
    "flows": f"({_CAPTURE}, window_id, src_ip, src_port, dst_ip, dst_port) "
    "IN {flows_<place>:Array(Tuple(UInt64, UInt32, IPv6, UInt16, IPv6, UInt16))}",
}
