"""What people are told, and when: one message for an incident, not for each of its windows, and not too many.

Nothing here sends, waits or looks at a clock: anomalies and the time go in, messages come out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, time
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from api.anomaly_answers import AnomalyAnswer
from infra.settings import Settings
from schemas.enums import AnomalyType, Severity

GROWTH = 10
"""An incident is told again when it has this many times the anomalies it had when it was told last."""

HOUR_S = 3600.0


class Note(BaseModel):
    """A message to people.

    Attributes
    ----------
    kind : str
        ``new``, ``grown``, ``ended``, ``drift``, ``switched``, ``summary`` or ``test``.
    severity : Severity or None
        Of the incident, or of a drift; None when it is about neither.
    """

    kind: str
    title: str
    body: str
    severity: Severity | None = None


class Incident(BaseModel):
    """What is known of an incident that may still go on.

    Attributes
    ----------
    count, told_count : int
        Its anomalies, and how many it had when it was told last.
    seen_s : float
        When its last anomaly came (wall clock), s since the epoch.
    is_told : bool
        Whether a message about it went out; one that was held back has no end to tell either.
    """

    type: AnomalyType
    severity: Severity
    message: str
    capture_id: str
    first_s: float
    last_s: float
    count: int
    told_count: int
    seen_s: float
    is_told: bool


class PolicyState(BaseModel):
    """What must outlive a restart."""

    incidents: dict[str, Incident] = Field(default_factory=dict)
    sent_s: list[float] = Field(default_factory=list)
    held_back: dict[str, int] = Field(default_factory=dict)


class QuietHours:
    """The part of the day in which nobody is to be disturbed.

    Parameters
    ----------
    text : str
        ``22:00-07:00``; empty for none. It may reach over midnight.
    time_zone : str
        Name in the IANA database.
    """

    def __init__(self, text: str, time_zone: str) -> None:
        self._zone = ZoneInfo(time_zone)
        first, _, last = text.partition("-")
        self._hours = (time.fromisoformat(first.strip()), time.fromisoformat(last.strip())) if text else None

    def include(self, now_s: float) -> bool:
        """Whether a time lies in them."""
        if self._hours is None:
            return False
        first, last = self._hours
        now = datetime.fromtimestamp(now_s, self._zone).time()
        return first <= now < last if first <= last else now >= first or now < last


class Policy:
    """Decides what is told; its state is all it knows.

    Parameters
    ----------
    settings : Settings
        Severity, types, rate and quiet hours.
    state : PolicyState
        Changed in place.
    """

    def __init__(self, settings: Settings, state: PolicyState) -> None:
        self.state = state
        self.held_back = 0
        """Messages held back by this object."""
        self._severities = {Severity.HIGH} if settings.notify_severity == "high" else set(Severity)
        self._types = frozenset(settings.notify_types)
        self._per_hour = settings.notify_per_hour
        self._ended_s = settings.notify_ended_s
        self._quiet = QuietHours(settings.notify_quiet_hours, settings.notify_time_zone)

    def take(self, anomaly: AnomalyAnswer, now_s: float) -> list[Note]:
        """Return what is to be told of an anomaly."""
        if anomaly.severity not in self._severities or (self._types and anomaly.type not in self._types):
            return []
        incident = self.state.incidents.get(anomaly.incident_id)
        if incident is None:
            incident = Incident(
                type=anomaly.type,
                severity=anomaly.severity,
                message=anomaly.message,
                capture_id=anomaly.capture_id,
                first_s=anomaly.window_start,
                last_s=anomaly.window_end,
                count=anomaly.incident_count,
                told_count=anomaly.incident_count,
                seen_s=now_s,
                is_told=False,
            )
            self.state.incidents[anomaly.incident_id] = incident
            return self._told(incident, _new(incident), now_s)
        incident.count = max(incident.count, anomaly.incident_count)
        incident.last_s = max(incident.last_s, anomaly.window_end)
        incident.message, incident.seen_s = anomaly.message, now_s
        if incident.count < GROWTH * max(incident.told_count, 1):
            return []
        incident.told_count = incident.count
        return self._told(incident, _grown(incident), now_s)

    def let_through(self, notes: Iterable[Note], about: str, now_s: float) -> list[Note]:
        """Return those of the messages that may go out now; the others are counted for the summary."""
        return [told for note in notes for told in self._allowed(note, about, now_s)]

    def tick(self, now_s: float) -> list[Note]:
        """Return what the passing of time makes worth telling: ends of incidents, and what was held back."""
        notes: list[Note] = []
        if self.state.held_back and self._has_room(now_s):
            # First of all: else what follows could take its place for ever.
            notes.append(_summary(self.state.held_back))
            self.state.held_back = {}
            self.state.sent_s.append(now_s)
        for name, incident in list(self.state.incidents.items()):
            if now_s - incident.seen_s >= self._ended_s:
                del self.state.incidents[name]
                if incident.is_told:
                    notes += self._allowed(_ended(incident), incident.type.value, now_s)
        return notes

    def _told(self, incident: Incident, note: Note, now_s: float) -> list[Note]:
        notes = self._allowed(note, incident.type.value, now_s)
        incident.is_told = incident.is_told or bool(notes)
        return notes

    def _allowed(self, note: Note, about: str, now_s: float) -> list[Note]:
        """Return the message, or hold it back and count it."""
        if self._has_room(now_s):
            self.state.sent_s.append(now_s)
            return [note]
        self.held_back += 1
        counted = Counter(self.state.held_back)
        counted[f"{about} ({note.kind})"] += 1
        self.state.held_back = dict(counted)
        return []

    def _has_room(self, now_s: float) -> bool:
        self.state.sent_s = [sent_s for sent_s in self.state.sent_s if now_s - sent_s < HOUR_S]
        return len(self.state.sent_s) < self._per_hour and not self._quiet.include(now_s)


def _times(incident: Incident) -> str:
    first, last = (datetime.fromtimestamp(at_s, ZoneInfo("UTC")) for at_s in (incident.first_s, incident.last_s))
    return f"{first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} UTC, capture {incident.capture_id}"


def _named(incident: Incident) -> str:
    return incident.type.value.replace("_", " ")


def _new(incident: Incident) -> Note:
    title = f"[{incident.severity.value}] {_named(incident)}"
    return Note(kind="new", title=title, body=f"{incident.message}\n{_times(incident)}", severity=incident.severity)


def _grown(incident: Incident) -> Note:
    title = f"[{incident.severity.value}] {_named(incident)} goes on: {incident.count} anomalies"
    return Note(kind="grown", title=title, body=f"{incident.message}\n{_times(incident)}", severity=incident.severity)


def _ended(incident: Incident) -> Note:
    count = "1 anomaly" if incident.count == 1 else f"{incident.count} anomalies"
    title = f"[ended] {_named(incident)}: {count}"
    return Note(
        kind="ended", title=title, body=f"Last: {incident.message}\n{_times(incident)}", severity=incident.severity
    )


def _summary(held_back: dict[str, int]) -> Note:
    total = sum(held_back.values())
    listed = "\n".join(f"{count} x {name}" for name, count in sorted(held_back.items(), key=lambda item: -item[1]))
    messages = "1 message was" if total == 1 else f"{total} messages were"
    return Note(kind="summary", title=f"{messages} held back", body=listed)
