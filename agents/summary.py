"""What the windows of some time say of one number: mean, spread, quantiles and the profile of the day."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from river import stats

from agents.quantiles import Quantiles
from agents.river_state import restore_var, var_state

MIN_DAYS = 3
"""Days on which an hour was seen before it has a profile: one flood must not become what is usual at two o'clock."""

_P99_SIGMAS = 2.326
"""The 99th percentile of a normal distribution, standard deviations above the mean."""


@dataclass(frozen=True)
class Usual:
    """What is usual of a number, in the number's unit.

    Parameters
    ----------
    mean, std, median, least, greatest, p01, p95, p99 : float
    windows : float
        Sum of the weights of the windows it was learnt from.
    hour : int or None
        Hour of the day (UTC) that it is of; None when it is of the whole day.
    """

    mean: float
    std: float
    median: float
    least: float
    greatest: float
    p01: float
    p95: float
    p99: float
    windows: float
    hour: int | None = None

    def deviation(self, value: float) -> float | None:
        """How many standard deviations a value is above the mean; None where nothing ever varied."""
        return (value - self.mean) / self.std if self.std > 0 else None

    def figures(self) -> dict[str, float]:
        """Return the figures that an explanation shows."""
        shown = {"mean": self.mean, "std": self.std, "p95": self.p95, "p99": self.p99, "windows": self.windows}
        return shown if self.hour is None else {**shown, "hour_utc": float(self.hour)}


@dataclass
class HourProfile:
    """One hour of the day: its mean and spread, and the last days (since 1970) that were learnt from."""

    var: stats.Var = field(default_factory=stats.Var)
    days: list[int] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Mean of its windows."""
        return float(self.var.mean.get())

    def is_known(self, min_windows: float) -> bool:
        """Whether there are enough windows on enough days."""
        return self.var.mean.n >= min_windows and len(self.days) >= MIN_DAYS

    def learn(self, value: float, weight: float, day: int) -> None:
        """Take a window in."""
        self.var.update(value, weight)
        self._add_days([day])

    def add(self, other: HourProfile, factor: float) -> None:
        """Take in what another one has learnt, own weights multiplied by ``factor`` before."""
        self.var = restore_var(var_state(self.var), factor) + other.var
        self._add_days(other.days)

    def _add_days(self, days: list[int]) -> None:
        self.days = sorted({*self.days, *days})[-MIN_DAYS:]

    def usual(self, hour: int, day: Usual) -> Usual:
        """Return what is usual in this hour, as a normal distribution; ``day`` is what is usual at any hour."""
        std = math.sqrt(max(self.var.get(), 0.0))
        return Usual(
            mean=self.mean,
            std=std,
            median=day.median,
            least=day.least,
            greatest=day.greatest,
            p01=day.p01,
            p95=day.p95,
            p99=self.mean + _P99_SIGMAS * std,
            windows=self.var.mean.n,
            hour=hour,
        )


class Summary:
    """What some windows say of a number; two summaries add up."""

    def __init__(self) -> None:
        self.var = stats.Var()
        self.quantiles = Quantiles()
        self.hours: dict[int, HourProfile] = {}

    @property
    def weight(self) -> float:
        """Sum of the windows' weights."""
        return float(self.var.mean.n)

    def learn(self, value: float, weight: float, at_ns: int | None) -> None:
        """Take a window's number in; with ``at_ns`` also for the hour of the day."""
        if weight <= 0:
            return
        self.var.update(value, weight)
        self.quantiles.learn(value, weight)
        if at_ns is not None:
            moment = datetime.fromtimestamp(at_ns / 1e9, UTC)
            day = at_ns // 86_400_000_000_000
            self.hours.setdefault(moment.hour, HourProfile()).learn(value, weight, day)

    def add(self, other: Summary, factor: float = 1.0) -> None:
        """Take in what another one has learnt, own weights multiplied by ``factor`` before."""
        if self.weight <= 0:
            self.var = restore_var(var_state(other.var))
        elif other.weight > 0:
            self.var = restore_var(var_state(self.var), factor) + other.var
        self.quantiles.add(other.quantiles, factor)
        self.add_hours(other, factor)

    def add_hours(self, other: Summary, factor: float = 1.0) -> None:
        """Take in the other's profile of the day alone."""
        for hour, profile in other.hours.items():
            self.hours.setdefault(hour, HourProfile()).add(profile, factor)

    def usual(self) -> Usual:
        """Return the figures of all windows."""
        quantiles = self.quantiles
        return Usual(
            mean=float(self.var.mean.get()),
            std=math.sqrt(max(self.var.get(), 0.0)),
            median=quantiles.value_at(0.5),
            least=quantiles.least,
            greatest=quantiles.greatest,
            p01=quantiles.value_at(0.01),
            p95=quantiles.value_at(0.95),
            p99=quantiles.value_at(0.99),
            windows=self.weight,
        )

    def usual_at(self, at_ns: int, min_windows: float, min_share: float) -> Usual | None:
        """Return the figures of the hour of the day, where it is known and the hours explain enough."""
        if not self.hours:
            return None
        hour = datetime.fromtimestamp(at_ns / 1e9, UTC).hour
        profile = self.hours.get(hour)
        if profile is None or not profile.is_known(min_windows) or self.share_of_hours() < min_share:
            return None
        return profile.usual(hour, self.usual())

    def share_of_hours(self) -> float:
        """Return the share of the variance that lies between the hours of the day (eta squared), 0 to 1."""
        weight = math.fsum(p.var.mean.n for p in self.hours.values())
        mean = math.fsum(p.var.mean.n * p.mean for p in self.hours.values()) / weight if weight else 0.0
        between = math.fsum(p.var.mean.n * (p.mean - mean) ** 2 for p in self.hours.values())
        within = math.fsum(p.var.get() * max(p.var.mean.n - 1, 0) for p in self.hours.values())
        return float(between / (between + within)) if between + within > 0 else 0.0

    def state(self) -> list[Any]:
        """Return everything as JSON values, for ``restore``."""
        hours = [[hour, var_state(p.var), p.days] for hour, p in self.hours.items()]
        return [var_state(self.var), self.quantiles.state(), hours]

    @classmethod
    def restore(cls, state: list[Any]) -> Summary:
        """Return what ``state`` was taken of."""
        summary = cls()
        var, quantiles, hours = state
        summary.var, summary.quantiles = restore_var(var), Quantiles.restore(quantiles)
        summary.hours = {hour: HourProfile(restore_var(one), list(days)) for hour, one, days in hours}
        return summary
