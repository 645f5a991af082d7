"""Rows of anomalies, baselines and analysis runs, as the queries return them; names are the store's column names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from schemas.analysis import RunRow
from schemas.enums import AnomalyType, BaselineKind, Severity
from schemas.windows import CONVERSATION_FIELDS

Key = TypeVar("Key")


def _finite(value: object) -> object:
    """Take what JSON has no number for as nothing: infinity is a ratio to a baseline of 0."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _records(value: object) -> object:
    """Accept conversations as tuples too: drivers differ in how they hand named tuples over."""
    if not isinstance(value, list):
        return value
    names = [name for name, _, _ in CONVERSATION_FIELDS]
    return [item if isinstance(item, Mapping) else dict(zip(names, item, strict=True)) for item in value]


def _pairs(value: object) -> object:
    """Accept a map as pairs too: that is how Arrow hands it over."""
    return dict(value) if isinstance(value, list) else value


Finite = Annotated[float | None, BeforeValidator(_finite)]
Shares = Annotated[dict[str, float], BeforeValidator(_pairs)]
Hours = Annotated[dict[int, float], BeforeValidator(_pairs)]


class Conversation(BaseModel):
    """One conversation that is evidence; see ``schemas.windows.CONVERSATION_FIELDS``."""

    model_config = ConfigDict(frozen=True)

    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    protocol: int
    name: str
    first_ts_ns: int
    last_ts_ns: int
    packets_forward: int
    packets_backward: int
    bytes_forward: int
    bytes_backward: int
    data_segments_forward: int
    data_segments_backward: int
    retransmissions_forward: int
    retransmissions_backward: int
    rtt_count: int
    rtt_sum_ns: int
    rtt_max_ns: int


class AnomalyRow(BaseModel):
    """One anomaly; see ``schemas.anomalies.ANOMALY_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    capture_id: str
    window_id: int
    anomaly_id: str
    run_id: str
    version: int
    window_start_ns: int
    window_end_ns: int
    type: AnomalyType
    signal: str
    severity: Severity
    message: str
    metric: str
    current_value: Finite
    threshold: Finite
    baseline_mean: Finite
    deviation: Finite
    source_ip: str
    destination_ip: str
    flow_src: str
    flow_dst: str
    protocol: str
    subject: str
    incident_id: str
    incident_start_ns: int
    incident_count: int
    folded: int
    explanation: str
    hosts: list[str]
    flows: Annotated[list[Conversation], BeforeValidator(_records)]


class TypeCount(BaseModel):
    """How many anomalies of a type and severity there are."""

    model_config = ConfigDict(frozen=True)

    type: AnomalyType
    severity: Severity
    anomalies: int


class IncidentRow(BaseModel):
    """The anomalies of one incident together."""

    model_config = ConfigDict(frozen=True)

    incident_id: str
    capture_id: str
    type: AnomalyType
    signal: str
    subject: str
    severity: Severity
    message: str
    metric: str
    source_ip: str
    destination_ip: str
    protocol: str
    anomalies: int
    windows: int
    first_seen_ns: int
    last_seen_ns: int
    last_end_ns: int
    last_anomaly_id: str
    peak_value: Finite
    threshold: Finite


class TopRow(BaseModel):
    """Anomalies that are about the same, counted."""

    model_config = ConfigDict(frozen=True)

    type: AnomalyType
    severity: Severity
    signal: str
    subject: str
    message: str
    anomalies: int
    first_seen_ns: int
    last_seen_ns: int


class PicturePoint(BaseModel):
    """The value of a metric in one window; null where nothing was measured."""

    model_config = ConfigDict(frozen=True)

    window_id: int
    window_start_ns: int
    value: Finite


class BaselineRow(BaseModel):
    """One version of a baseline; see ``schemas.baselines.BASELINE_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    source: str
    kind: BaselineKind
    subject: str
    version: int
    origin: str
    capture_id: str
    window_id: int
    window_end_ns: int
    windows: int
    held_back: int
    unit: str
    mean: Finite
    std: Finite
    median: Finite
    min: Finite
    max: Finite
    p95: Finite
    p99: Finite
    recent_mean: Finite
    drift_alarms: int
    last_drift_ns: int | None
    distribution: Shares
    hours: Hours
    extra: Shares


class WindowSpan(BaseModel):
    """The windows of a capture, or some of them."""

    model_config = ConfigDict(frozen=True)

    windows: int
    first_window_id: int
    last_window_id: int


RunNow = RunRow
"""Where an analysis run stands, in its newest version."""
