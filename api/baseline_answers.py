"""Answers about baselines: what is usual, how it came about, and per host."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.analysis_rows import BaselineRow
from api.answers import example
from api.errors import ErrorAnswer
from api.filters import NS_PER_S
from api.window_answers import Count
from schemas.enums import BaselineKind

_DETAIL: JsonDict = {
    "unit": "bytes/s",
    "std": 2100.0,
    "recent_mean": 9800.0,
    "windows": 25,
    "held_back": 1,
    "drift_alarms": 0,
    "last_drift": None,
    "hours": {"17": 9500.0},
    "extra": {},
    "origin": "learnt",
    "source": "01kb2m9t8x7qd4",
    "version": 25,
    "version_text": "25",
    "capture_id": "01kb2m9t8x7qd4",
    "window_id": 24,
    "window_end": 1234568140.5,
}
BASELINE_EXAMPLE: JsonDict = {
    "mean": 9500.0,
    "median": 9200.0,
    "min": 1000.0,
    "max": 20000.0,
    "p95": 15000.0,
    "p99": 18000.0,
    "distribution": {},
    "detail": _DETAIL,
}
_NOW = "2026-01-09T17:41:06.493726"


class BaselineDetail(BaseModel):
    """How a baseline came about."""

    unit: str = Field(description="Of the figures.")
    std: float | None
    recent_mean: float | None = Field(description="Exponentially weighted.")
    windows: Count = Field(description="Windows learnt.")
    held_back: Count = Field(description="Windows learnt with less weight because they were anomalous.")
    drift_alarms: Count = Field(description="How often the mean was found to have changed.")
    last_drift: float | None = Field(description="When that was last found, seconds since the epoch.")
    hours: dict[int, float] = Field(description="Mean by hour of the day, UTC.")
    extra: dict[str, float] = Field(description="Further figures, unit in the name.")
    origin: str = Field(description="`learnt` window by window, or `generated` from stored windows.")
    source: str = Field(description="What was learnt from: `sensor/interface`, or the capture id of a file.")
    version: Count = Field(description="Rises with each report, mostly the end of the last window in ns.")
    version_text: str = Field(description="The same as text: JavaScript does not keep so many digits of a number.")
    capture_id: str = Field(description="The capture whose window was learnt last.")
    window_id: Count
    window_end: float = Field(description="End of that window, seconds since the epoch.")

    @classmethod
    def of(cls, row: BaselineRow) -> Self:
        """Return the detail of a row of the store."""
        return cls(
            unit=row.unit,
            std=row.std,
            recent_mean=row.recent_mean,
            windows=row.windows,
            held_back=row.held_back,
            drift_alarms=row.drift_alarms,
            last_drift=None if row.last_drift_ns is None else row.last_drift_ns / NS_PER_S,
            hours=row.hours,
            extra=row.extra,
            origin=row.origin,
            source=row.source,
            version=row.version,
            version_text=str(row.version),
            capture_id=row.capture_id,
            window_id=row.window_id,
            window_end=row.window_end_ns / NS_PER_S,
        )


class BaselineFigures(BaseModel):
    """What is usual; null where nothing was measured."""

    mean: float | None
    median: float | None
    min: float | None
    max: float | None
    p95: float | None
    p99: float | None
    distribution: dict[str, float] = Field(
        description="Mean share of packets by named protocol, 0 to 1; of the protocol baseline."
    )
    detail: BaselineDetail

    @classmethod
    def of(cls, row: BaselineRow) -> Self:
        """Return the figures of a row of the store."""
        return cls(
            mean=row.mean,
            median=row.median,
            min=row.min,
            max=row.max,
            p95=row.p95,
            p99=row.p99,
            distribution=row.distribution,
            detail=BaselineDetail.of(row),
        )


class BaselinesAnswer(BaseModel):
    """The baselines of a source."""

    model_config = example(
        {"available": 1, "baselines": {"bandwidth": BASELINE_EXAMPLE}, "timestamp": _NOW, "source": "01kb2m9t8x7qd4"}
    )

    available: Count
    baselines: dict[BaselineKind, BaselineFigures]
    timestamp: str
    source: str | None = Field(description="What was learnt from; null while there is no capture.")


class BaselineAnswer(BaseModel):
    """One baseline."""

    model_config = example({"type": "bandwidth", "baseline": BASELINE_EXAMPLE, "timestamp": _NOW})

    type: BaselineKind
    baseline: BaselineFigures
    timestamp: str


class BaselineNotFoundAnswer(ErrorAnswer):
    """There is no such baseline."""

    model_config = example(
        {
            "error": "Baseline not found",
            "type": "bandwidth",
            "message": "Nothing was learnt yet. Run /api/baselines/generate first.",
            "detail": "Nothing was learnt yet. Run /api/baselines/generate first.",
            "timestamp": _NOW,
        }
    )

    type: str | None = None
