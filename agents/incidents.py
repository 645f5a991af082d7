"""Incidents: anomalies of one type, signal and subject in windows that are near each other."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from hashlib import blake2b
from typing import Any

from agents.findings import Finding
from agents.observed import Observed

MAX_OPEN = 10_000
"""Open incidents at most; those that were quiet for longest are closed first."""


def short_hash(*parts: object) -> str:
    """Return 16 hexadecimal digits that stand for some values."""
    text = "\x1f".join(str(part) for part in parts)
    return blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass
class Incident:
    """An incident that may go on.

    Parameters
    ----------
    start_ns, last_ns : int
        Starts of its first and of its newest window, ns.
    count : int
        Anomalies up to the newest one, folded ones included.
    """

    incident_id: str
    start_ns: int
    last_ns: int
    count: int = 0


class Incidents:
    """The open incidents of one source.

    Parameters
    ----------
    source : str
        Part of every incident's name.
    gap_windows : int
        Windows without an anomaly after which an incident is over.
    """

    def __init__(self, source: str, gap_windows: int) -> None:
        self._source = source
        self._gap_windows = gap_windows
        self._open: dict[str, Incident] = {}

    def take(self, window: Observed, finding: Finding, anomalies: int) -> Incident:
        """Return the incident that a finding belongs to, brought up to date.

        Parameters
        ----------
        anomalies : int
            How many anomalies it stands for, folded ones included. A window that is judged again is not counted
            again.
        """
        key = _key(finding)
        incident = self._open.pop(key, None)
        if incident is None or self._is_over(incident, window):
            name = short_hash(self._source, key, window.start_ns)
            incident = Incident(name, window.start_ns, window.start_ns, anomalies)
        elif window.start_ns > incident.last_ns:
            incident.last_ns = window.start_ns
            incident.count += anomalies
        self._open[key] = incident
        return incident

    def prolong(self, window: Observed, finding: Finding) -> None:
        """Note that what is known goes on, without another anomaly."""
        incident = self._open.get(_key(finding))
        if incident is not None and not self._is_over(incident, window):
            incident.last_ns = max(incident.last_ns, window.start_ns)

    def close_old(self, window: Observed) -> None:
        """Forget incidents that are over."""
        over = [key for key, incident in self._open.items() if self._is_over(incident, window)]
        over += list(self._open)[: max(len(self._open) - MAX_OPEN, 0)]
        for key in over:
            self._open.pop(key, None)

    def _is_over(self, incident: Incident, window: Observed) -> bool:
        return window.start_ns - incident.last_ns > (self._gap_windows + 1) * window.window_ns

    def state(self) -> list[Any]:
        """Return everything as JSON values, for ``restore``."""
        return [[key, *astuple(incident)] for key, incident in self._open.items()]

    def restore(self, state: list[Any]) -> None:
        """Go on from what ``state`` was taken of."""
        self._open = {key: Incident(*fields) for key, *fields in state}


def _key(finding: Finding) -> str:
    return f"{finding.type.value}\x1f{finding.signal}\x1f{finding.subject}"
