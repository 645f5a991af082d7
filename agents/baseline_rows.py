"""Baselines as rows of the ``baselines`` table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agents.baselines import (
    AGE_MAX,
    AGE_MEDIAN,
    AGE_P95,
    CLIENT_BURST,
    LOGIN_BURST,
    MAIN,
    PACKETS,
    UNITS,
    Baselines,
)
from agents.figures import Figure
from schemas.enums import BaselineKind


@dataclass(frozen=True)
class Report:
    """What every row of one report says.

    Parameters
    ----------
    version : int
        Higher than that of any report before.
    origin : str
        ``learnt`` or ``generated``.
    capture_id, window_id, window_end_ns
        The window learnt last.
    """

    source: str
    version: int
    origin: str
    capture_id: str
    window_id: int
    window_end_ns: int

    def fields(self, kind: BaselineKind, subject: str = "") -> dict[str, Any]:
        """Return the columns that name a row."""
        return {
            "source": self.source,
            "kind": kind.value,
            "subject": subject,
            "version": self.version,
            "origin": self.origin,
            "capture_id": self.capture_id,
            "window_id": self.window_id,
            "window_end_ns": self.window_end_ns,
            "unit": UNITS[kind],
        }


def network_rows(report: Report, baselines: Baselines, kinds: Iterable[BaselineKind]) -> list[dict[str, Any]]:
    """Return a row for each kind that has learnt anything."""
    rows = []
    for kind in kinds:
        if kind is BaselineKind.PROTOCOL:
            rows += _protocol_row(report, baselines)
        elif baselines.figures[MAIN[kind]].windows:
            rows.append(_row(report, baselines, kind, "", baselines.figures[MAIN[kind]], _extra(kind, baselines)))
    return rows


def host_rows(report: Report, baselines: Baselines, hosts: Iterable[str]) -> list[dict[str, Any]]:
    """Return the bandwidth row of each of some hosts that has a baseline."""
    known = [(host, baselines.hosts[host]) for host in hosts if host in baselines.hosts]
    return [_row(report, baselines, BaselineKind.BANDWIDTH, host, figure, {}) for host, figure in known]


def _row(
    report: Report, baselines: Baselines, kind: BaselineKind, subject: str, figure: Figure, extra: dict[str, float]
) -> dict[str, Any]:
    known = figure.everything()
    band = figure.usual(baselines.thresholds)
    if band is not None:
        extra = extra | {"band_mean": band.mean, "band_std": band.std, "band_p99": band.p99}
    return {
        **report.fields(kind, subject),
        "windows": figure.windows,
        "held_back": figure.held_back,
        "mean": known.mean if known else None,
        "std": known.std if known else None,
        "median": known.median if known else None,
        "min": known.least if known else None,
        "max": known.greatest if known else None,
        "p95": known.p95 if known else None,
        "p99": known.p99 if known else None,
        "recent_mean": figure.recent_mean,
        "drift_alarms": figure.drift_alarms,
        "last_drift_ns": figure.last_drift_ns,
        "distribution": [],
        "hours": list(figure.hours(baselines.thresholds).items()),
        "extra": sorted((extra | {"new_levels": float(figure.accepted)}).items()),
    }


def _extra(kind: BaselineKind, baselines: Baselines) -> dict[str, float]:
    """Return the figures of a kind beside its main one."""
    chosen = {
        BaselineKind.BANDWIDTH: ((PACKETS, ("mean", "p95", "p99")),),
        BaselineKind.CONNECTION: (
            (AGE_MEDIAN, ("median",)),
            (AGE_P95, ("p95",)),
            (AGE_MAX, ("greatest",)),
            (CLIENT_BURST, ("p99",)),
            (LOGIN_BURST, ("p99",)),
        ),
    }
    names = {AGE_MEDIAN: "age_median_s", AGE_P95: "age_p95_s", AGE_MAX: "age_max_s"}
    extra = {}
    for name, parts in chosen.get(kind, ()):
        known = baselines.figures[name].everything()
        for part in parts if known else ():
            extra[names.get(name, f"{name}_{part}")] = float(getattr(known, part))
    return extra


def _protocol_row(report: Report, baselines: Baselines) -> list[dict[str, Any]]:
    kind = BaselineKind.PROTOCOL
    if not baselines.windows_of(kind):
        return []
    figures = baselines.protocols
    known = {name: figure.everything() for name, figure in sorted(figures.items())}
    drifts = [figure.last_drift_ns for figure in figures.values() if figure.last_drift_ns is not None]
    nothing = dict.fromkeys(("mean", "std", "median", "min", "max", "p95", "p99", "recent_mean"))
    return [
        {
            **report.fields(kind),
            **nothing,
            "windows": baselines.windows_of(kind),
            "held_back": max((figure.held_back for figure in figures.values()), default=0),
            "drift_alarms": sum(figure.drift_alarms for figure in figures.values()),
            "last_drift_ns": max(drifts, default=None),
            "distribution": [(name, usual.mean) for name, usual in known.items() if usual],
            "hours": [],
            "extra": [("new_levels", float(sum(figure.accepted for figure in figures.values())))],
        }
    ]


NETWORK_KINDS = tuple(BaselineKind)
"""All kinds, in the order of their rows."""
