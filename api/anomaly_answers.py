"""Answers about anomalies: one as every list shows it, a page of them, and what they come to."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.analysis_rows import AnomalyRow, TypeCount
from api.answers import example
from api.filters import NS_PER_S
from api.window_answers import Count
from schemas.analysis import Explanation
from schemas.enums import AnomalyType, Severity

ANOMALY_EXAMPLE: JsonDict = {
    "anomaly_id": "9f86d081884c7d65",
    "capture_id": "01kb2m9t8x7qd4",
    "window_id": 0,
    "type": "packet_loss",
    "signal": "retransmissions",
    "severity": "high",
    "window_start": 1234567890.5,
    "window_end": 1234567900.5,
    "message": "High packet loss detected: 83.33% (5 retrans / 6 sent)",
    "metric": "packet_loss_percent",
    "current_value": 83.33,
    "threshold": 70.0,
    "baseline_mean": None,
    "deviation": None,
    "flow_src": "10.0.15.35:51148",
    "flow_dst": "192.178.223.188:5228",
    "source_ip": "10.0.15.35",
    "destination_ip": "192.178.223.188",
    "protocol": None,
    "subject": "10.0.15.35:51148 > 192.178.223.188:5228",
    "hosts": ["10.0.15.35", "192.178.223.188"],
    "incident_id": "a3f390d88e4c41f2",
    "incident_start": 1234567890.5,
    "incident_count": 1,
    "folded": 0,
    "run_id": None,
    "explanation": {
        "signal": "retransmissions",
        "value": 83.33,
        "unit": "percent",
        "threshold": 70.0,
        "rule": "retransmitted share of data segments > 70 %",
        "baseline": None,
        "contributions": [{"name": "10.0.15.35:51148", "value": 5.0, "share": 1.0}],
        "context": {"data_segments": 6},
    },
}


class AnomalyAnswer(BaseModel):
    """Something out of the ordinary in one window."""

    model_config = example(ANOMALY_EXAMPLE)

    anomaly_id: str
    capture_id: str
    window_id: Count
    type: AnomalyType
    signal: str = Field(description="What exactly was seen.")
    severity: Severity
    window_start: float = Field(description="Start of its window, seconds since the epoch.")
    window_end: float = Field(description="End of its window, seconds since the epoch.")
    message: str = Field(description="One sentence.")
    metric: str = Field(description="What was measured, with its unit in the name.")
    current_value: float | None
    threshold: float | None = Field(description="The bound it passed.")
    baseline_mean: float | None = Field(description="What is usual; null where the rule has no baseline.")
    deviation: float | None = Field(description="Standard deviations, or the ratio to the baseline; see `explanation`.")
    flow_src: str | None = Field(description="Sending end of the flow it is about, `ip:port`.")
    flow_dst: str | None = Field(description="Receiving end of that flow.")
    source_ip: str | None = Field(description="Who caused it; null where nobody can be named.")
    destination_ip: str | None = Field(description="Whom it concerns.")
    protocol: str | None = Field(description="Named protocol it is about.")
    subject: str = Field(description="What it is about: same type, signal and subject are one incident.")
    hosts: list[str] = Field(description="Addresses that take part, most involved first.")
    incident_id: str
    incident_start: float = Field(description="Start of the incident's first window, seconds since the epoch.")
    incident_count: Count = Field(description="Anomalies of the incident up to this one, folded ones included.")
    folded: Count = Field(description="Further anomalies of the same kind in this window that this one stands for.")
    run_id: str | None = Field(description="The run that judged the window again; null for the stream's own verdict.")
    explanation: Explanation | None = Field(description="Why, in structured fields.")

    @classmethod
    def of(cls, row: AnomalyRow) -> Self:
        """Return the answer for a row of the store."""
        return cls.model_validate(fields_of(row))


def fields_of(row: AnomalyRow) -> dict[str, object]:
    """Return the fields that an anomaly has in every answer."""
    return {
        "anomaly_id": row.anomaly_id,
        "capture_id": row.capture_id,
        "window_id": row.window_id,
        "type": row.type,
        "signal": row.signal,
        "severity": row.severity,
        "window_start": row.window_start_ns / NS_PER_S,
        "window_end": row.window_end_ns / NS_PER_S,
        "message": row.message,
        "metric": row.metric,
        "current_value": row.current_value,
        "threshold": row.threshold,
        "baseline_mean": row.baseline_mean,
        "deviation": row.deviation,
        "flow_src": row.flow_src or None,
        "flow_dst": row.flow_dst or None,
        "source_ip": row.source_ip or None,
        "destination_ip": row.destination_ip or None,
        "protocol": row.protocol or None,
        "subject": row.subject,
        "hosts": row.hosts,
        "incident_id": row.incident_id,
        "incident_start": row.incident_start_ns / NS_PER_S,
        "incident_count": row.incident_count,
        "folded": row.folded,
        "run_id": row.run_id or None,
        "explanation": Explanation.model_validate_json(row.explanation) if row.explanation else None,
    }


class AnomaliesAnswer(BaseModel):
    """A page of anomalies."""

    model_config = example(
        {
            "count": 1,
            "total": 12,
            "offset": 0,
            "limit": 1,
            "filters": {"type": "packet_loss", "severity": "high"},
            "capture_id": "01kb2m9t8x7qd4",
            "next_cursor": "n.01kb2m9t8x7qd4.1234567890500000000.9f86d081884c7d65",
            "anomalies": [ANOMALY_EXAMPLE],
        }
    )

    count: Count
    total: Count = Field(description="All that the filters let through.")
    offset: Count
    limit: Count
    filters: dict[str, str | None]
    capture_id: str | None = Field(description="The capture they are of; null for all, or while there is none.")
    next_cursor: str | None = Field(description="Send it as `cursor` for what follows; null when nothing does yet.")
    anomalies: list[AnomalyAnswer]


class WindowAnomaliesAnswer(BaseModel):
    """The anomalies of one window."""

    model_config = example({"window_id": 0, "count": 1, "capture_id": "01kb2m9t8x7qd4", "anomalies": [ANOMALY_EXAMPLE]})

    window_id: Count
    count: Count
    capture_id: str
    anomalies: list[AnomalyAnswer]


class TypeAnswer(BaseModel):
    """How many anomalies of one type there are."""

    count: Count
    by_severity: dict[Severity, int]


class ByTypeAnswer(BaseModel):
    """Anomalies by type, most frequent first."""

    model_config = example(
        {
            "total": 20,
            "capture_id": "01kb2m9t8x7qd4",
            "by_type": {
                "packet_loss": {"count": 12, "by_severity": {"high": 10, "medium": 2}},
                "high_latency": {"count": 8, "by_severity": {"medium": 5, "high": 3}},
            },
        }
    )

    total: Count
    capture_id: str | None
    by_type: dict[AnomalyType, TypeAnswer]

    @classmethod
    def of(cls, capture_id: str | None, rows: list[TypeCount]) -> Self:
        """Return the answer for counts by type and severity."""
        totals = by_type(rows)
        grouped = {
            name: TypeAnswer(count=count, by_severity=by_severity([row for row in rows if row.type == name]))
            for name, count in totals.items()
        }
        return cls(total=sum(totals.values()), capture_id=capture_id, by_type=grouped)


def by_type(rows: list[TypeCount]) -> dict[AnomalyType, int]:
    """Return how many there are of each type, most first."""
    names = {row.type for row in rows}
    totals = {name: sum(row.anomalies for row in rows if row.type == name) for name in names}
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def by_severity(rows: list[TypeCount]) -> dict[Severity, int]:
    """Return how many there are of each severity, the bad ones first; 0 is told, too."""
    return {name: sum(row.anomalies for row in rows if row.severity == name) for name in reversed(Severity)}
