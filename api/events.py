"""The event: one row that is new in the store, as subscribers and notifications get it."""

from __future__ import annotations

from dataclasses import dataclass

from api.analysis_rows import AnomalyRow
from api.anomaly_answers import AnomalyAnswer
from api.classification_answers import ClassificationEvent
from api.classification_rows import ClassEventRow
from api.cursor import Kind, Position
from api.rows import WindowRow
from api.window_answers import WindowAnswer


@dataclass(frozen=True)
class Event:
    """One new row.

    Parameters
    ----------
    kind : Kind
        What it is about.
    position : Position
        Its place in the order in which the store took rows in.
    capture_id : str
        The capture it belongs to.
    type, severity, source_ip : str
        Of an anomaly, the type also of an attack: its class; else empty.
    data : str
        The row as JSON, in the form of its list, or what attacks have in common: made once for all subscribers.
    """

    kind: Kind
    position: Position
    capture_id: str
    type: str
    severity: str
    source_ip: str
    data: str


def event_of(kind: Kind, position: Position, row: dict[str, object]) -> Event:
    """Return the event for a row of ``api.queries_feed``."""
    if kind is Kind.WINDOW:
        window = WindowRow.model_validate(row)
        return Event(kind, position, window.capture_id, "", "", "", WindowAnswer.of(window).model_dump_json())
    if kind is Kind.CLASSIFICATION:
        attacks = ClassEventRow.model_validate(row)
        data = ClassificationEvent.of(attacks).model_dump_json()
        return Event(kind, position, attacks.capture_id, attacks.class_name, "", "", data)
    anomaly = AnomalyRow.model_validate(row)
    return Event(
        kind,
        position,
        capture_id=anomaly.capture_id,
        type=anomaly.type.value,
        severity=anomaly.severity.value,
        source_ip=anomaly.source_ip,
        data=AnomalyAnswer.of(anomaly).model_dump_json(),
    )
