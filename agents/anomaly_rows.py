"""Findings as rows of the ``anomalies`` table: named, folded and put into incidents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from agents.findings import MAX_FLOWS, MAX_HOSTS, Finding
from agents.incidents import Incident, Incidents, short_hash
from agents.observed import Observed
from schemas.analysis import Explanation


def anomaly_rows(
    window: Observed, run_id: str, findings: Iterable[Finding], incidents: Incidents, at_most: int
) -> list[dict[str, Any]]:
    """Return a window's anomalies as rows with ``ANOMALY_SCHEMA``.

    Parameters
    ----------
    findings : iterable of Finding
        In the order of the detectors.
    incidents : Incidents
        Brought up to date.
    at_most : int
        Anomalies of one type and signal; the worst stay, and the first of them counts the others as folded.
    """
    by_signal: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.is_reported:
            by_signal[finding.type.value, finding.signal].append(finding)
        else:
            incidents.prolong(window, finding)
    rows = []
    for found in by_signal.values():
        found.sort(key=lambda finding: finding.rank)
        for position, finding in enumerate(found[:at_most]):
            folded = max(len(found) - at_most, 0) if position == 0 else 0
            incident = incidents.take(window, finding, 1 + folded)
            rows.append(_row(window, run_id, finding, incident, folded))
    return rows


def _row(window: Observed, run_id: str, finding: Finding, incident: Incident, folded: int) -> dict[str, Any]:
    kind = finding.type.value
    usual = finding.usual
    return {
        "capture_id": window.capture_id,
        "window_id": window.window_id,
        "anomaly_id": short_hash(window.capture_id, run_id, window.window_id, kind, finding.signal, finding.subject),
        "run_id": run_id,
        "version": window.version,
        "window_start_ns": window.start_ns,
        "window_end_ns": window.end_ns,
        "type": kind,
        "signal": finding.signal,
        "severity": finding.severity.value,
        "message": finding.message,
        "metric": finding.metric,
        "current_value": float(finding.value),
        "threshold": float(finding.threshold),
        "baseline_mean": usual.mean if usual else None,
        "deviation": finding.deviation if usual else None,
        "source_ip": finding.source_ip,
        "destination_ip": finding.destination_ip,
        "flow_src": finding.flow_src,
        "flow_dst": finding.flow_dst,
        "protocol": finding.protocol,
        "subject": finding.subject,
        "incident_id": incident.incident_id,
        "incident_start_ns": incident.start_ns,
        "incident_count": incident.count,
        "folded": folded,
        "explanation": _explanation(finding).model_dump_json(),
        "hosts": [host for host in finding.hosts if host][:MAX_HOSTS],
        "flows": list(finding.flows[:MAX_FLOWS]),
    }


def _explanation(finding: Finding) -> Explanation:
    return Explanation(
        signal=finding.signal,
        value=float(finding.value),
        unit=finding.unit,
        threshold=float(finding.threshold),
        rule=finding.rule,
        baseline=finding.usual.figures() if finding.usual else None,
        contributions=list(finding.contributions),
        context=finding.context,
    )
