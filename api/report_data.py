"""A capture's report, put together from the store."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from api import queries, queries_anomalies, queries_classifications, queries_models, queries_report
from api.capture_answers import CaptureAnswer, LedgerAnswer
from api.classification_filters import VerdictFilter
from api.classification_summary import VerdictsSummaryAnswer
from api.errors import Refusal, iso_now
from api.evidence import capture_files
from api.filters import AnomalyFilter
from api.incident_answers import IncidentAnswer
from api.metrics_answers import SummaryAnswer
from api.report_answers import REPORT_SCHEMA, ReportAnswer, ReportFile, ReportIncident, ReportModel
from api.report_findings import findings_of, worst_of
from api.report_parts import (
    anomaly_lanes,
    attack_lanes,
    malicious_flows,
    point_of,
    protocols_of,
    round_trips_of,
    settings_of,
    talkers_of,
)
from api.rows import CaptureNow
from infra.settings import Settings
from infra.store import Store
from schemas.analysis import Explanation

MAX_INCIDENTS = 100
"""Incidents that a report tells of one by one."""

MAX_HASHED_BYTES = 1 << 30
"""Largest file that the service hashes for a report: two seconds; `spanwatch analyze` hashes any."""


def report_of(store: Store, settings: Settings, capture: CaptureNow) -> ReportAnswer:
    """Return the report on a capture; on one that still runs, as far as it has come.

    Raises
    ------
    StoreError
        ClickHouse does not answer.
    """
    capture_id = capture.capture_id
    step = queries_report.step_of(queries.window_count(store, capture_id))
    summary = queries.summary(store, capture_id)
    points = queries_report.timeline(store, capture_id, step)
    attacks = queries_report.attack_points(store, capture_id, step)
    verdicts = _verdicts(store, capture_id)
    ledger = LedgerAnswer.of(capture, queries.ledger(store, capture_id))
    incidents = queries_report.incident_counts(store, capture_id)
    malicious = malicious_flows(attacks)
    findings = findings_of(incidents, malicious, verdicts, ledger, is_truncated=capture.is_truncated)
    return ReportAnswer(
        report_schema=REPORT_SCHEMA,
        version=metadata.version("spanwatch"),
        made_at=iso_now(),
        file=ReportFile(name=capture.name, size_bytes=capture.file_bytes, sha256=_sha256(capture, settings)),
        capture=CaptureAnswer.of(capture),
        models=[ReportModel(fingerprint=name, version=_model_version(store, name)) for name in verdicts.models],
        settings=settings_of(settings),
        worst=worst_of(findings),
        findings=findings,
        summary=None if summary is None else SummaryAnswer.of(capture_id, summary),
        timeline=[point_of(row) for row in points],
        protocols=protocols_of(queries_report.protocols(store, capture_id)),
        talkers=talkers_of(queries_report.talkers(store, capture_id)),
        round_trips=round_trips_of(queries_report.round_trips(store, capture_id), points),
        incidents_total=sum(row.incidents for row in incidents),
        incidents=_worst_incidents(store, capture_id),
        lanes=[*anomaly_lanes(queries_report.anomaly_points(store, capture_id, step)), *attack_lanes(attacks)],
        verdicts=verdicts,
        ledger=ledger,
    )


def _verdicts(store: Store, capture_id: str) -> VerdictsSummaryAnswer:
    wanted = VerdictFilter()
    rows = queries_classifications.classes(store, capture_id, wanted)
    models = queries_classifications.models(store, capture_id, wanted)
    return VerdictsSummaryAnswer.of(capture_id, wanted.role, models, rows)


def _model_version(store: Store, fingerprint: str) -> str | None:
    model = queries_models.model(store, fingerprint)
    return model.version if model else None


def _worst_incidents(store: Store, capture_id: str) -> list[ReportIncident]:
    """Return the worst incidents with their reasons."""
    told = queries_anomalies.incidents(store, capture_id, AnomalyFilter(), MAX_INCIDENTS, 0, worst_first=True)
    reasons = queries_report.explanations(store, capture_id, [row.last_anomaly_id for row in told])
    return [
        ReportIncident.model_validate(
            {
                **IncidentAnswer.of(row).model_dump(),
                "explanation": Explanation.model_validate_json(reason)
                if (reason := reasons.get(row.last_anomaly_id))
                else None,
            }
        )
        for row in told
    ]


def _sha256(capture: CaptureNow, settings: Settings) -> str | None:
    """Return the hash of a capture's file, where it is still the one that was read, and not too large."""
    if capture.source == "live" or not 0 < capture.file_bytes <= MAX_HASHED_BYTES:
        return None
    try:
        [path] = capture_files(capture, settings)
        return _hashed(path, capture.fingerprint)
    except (Refusal, OSError):
        return None


@lru_cache(maxsize=256)
def _hashed(path: Path, _fingerprint: str) -> str:
    return sha256_of(path)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
