"""The answer of a detection: what was found, or what a dry run would change."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from api.anomaly_answers import ANOMALY_EXAMPLE, AnomalyAnswer
from api.answers import example
from api.window_answers import Count
from schemas.enums import AnomalyType, Severity


class DetectSummary(BaseModel):
    """Anomalies by type and by severity."""

    by_type: dict[AnomalyType, int]
    by_severity: dict[Severity, int]


class ChangesAnswer(BaseModel):
    """A dry run's anomalies against those that count now: same window, type, signal and subject are the same."""

    added_count: Count
    removed_count: Count
    kept_count: Count
    added: list[AnomalyAnswer] = Field(description="Would be new; the first 100.")
    removed: list[AnomalyAnswer] = Field(description="Would not be found any more; the first 100.")
    kept: list[AnomalyAnswer] = Field(description="Would be found again, as the run sees them; the first 100.")


class DetectedAnswer(BaseModel):
    """The windows are judged."""

    model_config = example(
        {
            "success": True,
            "message": "Anomaly detection completed",
            "anomalies_file": "/api/anomalies/?capture=01kb2m9t8x7qd4",
            "anomaly_count": 1,
            "detection_time": 1.23,
            "summary": {"by_type": {"packet_loss": 1}, "by_severity": {"high": 1}},
            "timestamp": "2026-01-09T17:44:27.456789",
            "capture_id": "01kb2m9t8x7qd4",
            "window_count": 25,
            "from_cache": False,
            "dry_run": True,
            "run_id": "01kb2m9t8x7qd5",
            "changes": {
                "added_count": 1,
                "removed_count": 0,
                "kept_count": 0,
                "added": [ANOMALY_EXAMPLE],
                "removed": [],
                "kept": [],
            },
        }
    )

    success: Literal[True]
    message: str
    anomalies_file: str = Field(description="Where the anomalies can be read: they are in the store, not in a file.")
    anomaly_count: Count
    detection_time: float = Field(description="Seconds that this request took.")
    summary: DetectSummary
    timestamp: str
    capture_id: str
    window_count: Count = Field(description="Windows judged.")
    from_cache: bool = Field(description="Whether they were judged before this request.")
    dry_run: bool
    run_id: str | None = Field(description="The run of this request; null when it judged nothing.")
    changes: ChangesAnswer | None = Field(description="What a dry run would change; null otherwise.")
