"""What anomalies make of records, in SQL: for statements over many records, with the anomalies as values.

``schemas.verdicts.verdict_of`` says the same of one record, and view ``record_verdicts`` of every one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from ipaddress import IPv6Address

from api.threat_anomalies import ThreatAnomaly
from schemas.verdicts import MALICIOUS_FROM, SUSPICIOUS_FROM

BY_CLASSIFIER = "100 * toFloat64(attack_probability)"
"""The classifier's threat score of a record."""

BY_ANOMALY = "{anomaly_scores:Array(Float64)}[raised]"
"""The threat score of the anomaly that raises a record, 0 without one; ``raised`` is a column beside it."""

# What ``schemas.verdicts.verdict_of`` says, as columns of one SELECT.
_VERDICT = f"""
{BY_CLASSIFIER} AS by_classifier, <raised> AS raised, greatest(by_classifier, {BY_ANOMALY}) AS threat_score,
multiIf(
    threat_score < {SUSPICIOUS_FROM}, 'BENIGN',
    by_classifier >= {SUSPICIOUS_FROM} AND class_name != 'BENIGN', class_name::String,
    {BY_ANOMALY} >= {SUSPICIOUS_FROM}, {{anomaly_types:Array(String)}}[raised],
    'UNKNOWN') AS attack_class
"""


def threat_sql(score: str) -> str:
    """Return the threat that a score means, as an expression; ``schemas.verdicts.threat_of`` says the same."""
    return f"multiIf({score} >= {MALICIOUS_FROM}, 'MALICIOUS', {score} >= {SUSPICIOUS_FROM}, 'SUSPICIOUS', 'BENIGN')"


def verdict_columns(raised: str) -> str:
    """Return ``threat_score`` and ``attack_class`` of each record as columns, and what they are made from.

    Parameters
    ----------
    raised : str
        The place of the anomaly that raises a record; see ``raised``.
    """
    return _VERDICT.replace("<raised>", raised)


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
