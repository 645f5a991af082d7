"""Answers about anomalies that belong together: the most frequent ones, and incidents."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.analysis_rows import IncidentRow, TopRow
from api.answers import example
from api.filters import NS_PER_S
from api.window_answers import Count
from schemas.enums import AnomalyType, Severity


class TopAnswer(BaseModel):
    """What is found again and again."""

    type: AnomalyType
    severity: Severity = Field(description="The worst of them.")
    message: str = Field(description="Of the newest.")
    count: Count = Field(description="Anomalies of this type, signal and subject, folded ones included.")
    first_seen: float = Field(description="Start of the first window, seconds since the epoch.")
    last_seen: float = Field(description="Start of the last window, seconds since the epoch.")
    signal: str
    subject: str

    @classmethod
    def of(cls, row: TopRow) -> Self:
        """Return the answer for a row of the store."""
        return cls(
            type=row.type,
            severity=row.severity,
            message=row.message,
            count=row.anomalies,
            first_seen=row.first_seen_ns / NS_PER_S,
            last_seen=row.last_seen_ns / NS_PER_S,
            signal=row.signal,
            subject=row.subject,
        )


class TopAnomaliesAnswer(BaseModel):
    """The most frequent anomalies, most frequent first."""

    model_config = example(
        {
            "top": [
                {
                    "type": "packet_loss",
                    "severity": "high",
                    "message": "High packet loss detected: 83.33% (5 retrans / 6 sent)",
                    "count": 5,
                    "first_seen": 1234567890.5,
                    "last_seen": 1234567950.5,
                    "signal": "retransmissions",
                    "subject": "10.0.15.35:51148 > 192.178.223.188:5228",
                }
            ],
            "capture_id": "01kb2m9t8x7qd4",
        }
    )

    top: list[TopAnswer]
    capture_id: str | None


INCIDENT_EXAMPLE: JsonDict = {
    "incident_id": "a3f390d88e4c41f2",
    "capture_id": "01kb2m9t8x7qd4",
    "type": "port_scan",
    "signal": "vertical_scan",
    "subject": "10.0.0.66",
    "severity": "high",
    "message": "Port scan detected: 10.0.0.66 tried 480 ports of 10.0.0.5 in 60 s",
    "metric": "distinct_ports",
    "peak_value": 480.0,
    "threshold": 20.0,
    "source_ip": "10.0.0.66",
    "destination_ip": "10.0.0.5",
    "protocol": None,
    "count": 6,
    "windows": 6,
    "first_seen": 1234567890.5,
    "last_seen": 1234567940.5,
    "ended": 1234567950.5,
    "last_anomaly_id": "9f86d081884c7d65",
}


class IncidentAnswer(BaseModel):
    """Anomalies of one type, signal and subject that follow each other: one story."""

    model_config = example(INCIDENT_EXAMPLE)

    incident_id: str
    capture_id: str
    type: AnomalyType
    signal: str
    subject: str
    severity: Severity = Field(description="The worst of its anomalies.")
    message: str = Field(description="Of the newest.")
    metric: str
    peak_value: float | None = Field(description="The value farthest off.")
    threshold: float | None
    source_ip: str | None
    destination_ip: str | None
    protocol: str | None
    count: Count = Field(description="Anomalies, folded ones included.")
    windows: Count = Field(description="Windows it was found in.")
    first_seen: float = Field(description="Start of its first window, seconds since the epoch.")
    last_seen: float = Field(description="Start of its last window so far, seconds since the epoch.")
    ended: float = Field(description="End of its last window so far, seconds since the epoch.")
    last_anomaly_id: str = Field(description="Its newest anomaly; `/api/anomalies/{id}` has the evidence.")

    @classmethod
    def of(cls, row: IncidentRow) -> Self:
        """Return the answer for a row of the store."""
        return cls(
            incident_id=row.incident_id,
            capture_id=row.capture_id,
            type=row.type,
            signal=row.signal,
            subject=row.subject,
            severity=row.severity,
            message=row.message,
            metric=row.metric,
            peak_value=row.peak_value,
            threshold=row.threshold,
            source_ip=row.source_ip or None,
            destination_ip=row.destination_ip or None,
            protocol=row.protocol or None,
            count=row.anomalies,
            windows=row.windows,
            first_seen=row.first_seen_ns / NS_PER_S,
            last_seen=row.last_seen_ns / NS_PER_S,
            ended=row.last_end_ns / NS_PER_S,
            last_anomaly_id=row.last_anomaly_id,
        )


class IncidentsAnswer(BaseModel):
    """A page of incidents, those seen last first."""

    model_config = example(
        {
            "count": 1,
            "total": 1,
            "offset": 0,
            "limit": 50,
            "filters": {"type": None, "severity": None},
            "capture_id": "01kb2m9t8x7qd4",
            "incidents": [INCIDENT_EXAMPLE],
        }
    )

    count: Count
    total: Count
    offset: Count
    limit: Count
    filters: dict[str, str | None]
    capture_id: str | None
    incidents: list[IncidentAnswer]
