"""One number of a network or a host, window by window: what is usual, and when that has changed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from river import drift, stats

from agents.river_state import adwin_state, ewmean_state, restore_adwin, restore_ewmean
from agents.summary import Summary, Usual
from schemas.thresholds import Thresholds

FADING = 0.05
"""Weight of the newest window in the recent mean: half of it comes from the last 14 windows."""

_SHIFT_MIN_WINDOWS = 6
"""Windows after which a run of anomalous windows that is mostly ordinary is no change but a burst."""

_BURST_SHARE = 0.5
_NEW_LEVEL_SHARE = 0.8
"""Share of the windows that must be off the band for a new level to be accepted."""


class Doubt(IntEnum):
    """Whether a window's number may be learnt as it is."""

    NONE = 0
    RELATIVE = 1
    """It is far from the baseline. Until the first block is full it waits, and is then learnt as it is: there is no
    telling before what is usual, and rare but ordinary work would never be learnt."""
    CERTAIN = 2
    """A rule that needs no baseline has found an attack."""


@dataclass
class _Shift:
    """A run of windows that may be the beginning of a new level."""

    start_ns: int
    summary: Summary
    windows: int = 0
    off: int = 0
    has_alarm: bool = False


class Figure:
    """The history of one number that is not negative.

    What is judged by is ``settled``; what was learnt in the last hour waits in ``fresh`` until its block is full and
    is then added. So whoever raises the number slowly does not move the band within that hour. Before the first
    block is full there is nothing else, and ``fresh`` itself is judged by, while doubtful windows wait beside it. A
    number that stays off its band for ``baseline_accept_s``, with a drift alarm, has reached a new level, which then
    replaces the old one.

    Parameters
    ----------
    has_hours : bool
        Whether it is learnt by hour of the day, too.
    """

    def __init__(self, *, has_hours: bool = False) -> None:
        self.windows = 0
        """Windows learnt, whatever their weight."""
        self.held_back = 0
        """Those of them learnt with less weight."""
        self.drift_alarms = 0
        self.last_drift_ns: int | None = None
        self.accepted = 0
        """How often a new level has replaced the old one."""
        self._has_hours = has_hours
        self._settled: Summary | None = None
        self._fresh = Summary()
        self._doubted = Summary()
        self._fresh_start_ns: int | None = None
        self._shift: _Shift | None = None
        self._recent = stats.EWMean(FADING)
        self._adwin = drift.ADWIN()
        self._usual: Usual | None = None

    def usual(self, thresholds: Thresholds, at_ns: int | None = None) -> Usual | None:
        """Return what is usual, or None as long as too few windows were learnt.

        Parameters
        ----------
        at_ns : int, optional
            Time of the window that is judged; without it the hour of the day plays no part.
        """
        summary = self._judged_by
        if summary.weight < thresholds.baseline_min_windows:
            return None
        if at_ns is not None and self._has_hours:
            hourly = summary.usual_at(at_ns, thresholds.baseline_hour_windows, thresholds.baseline_hour_share)
            if hourly is not None:
                return hourly
        if self._usual is None:
            self._usual = summary.usual()
        return self._usual

    def everything(self) -> Usual | None:
        """Return what was learnt in all, also what does not count yet; None when that is nothing."""
        summary = Summary()
        for part in (self._settled, self._fresh, self._doubted):
            if part is not None:
                summary.add(part)
        return summary.usual() if summary.weight > 0 else None

    @property
    def _judged_by(self) -> Summary:
        return self._settled or self._fresh

    @property
    def recent_mean(self) -> float | None:
        """Exponentially weighted mean of all windows, anomalous ones included; None before the first."""
        return float(self._recent.get()) if self.windows else None

    def share_present(self, absent: int = 0) -> float:
        """Return in which share of the windows the number was above 0.

        Parameters
        ----------
        absent : int
            The newest windows in a row in which it was 0: they are what is asked about, so they do not count.
        """
        summary = self._judged_by
        run = min(absent, summary.quantiles.zeros) if self._settled is None else 0.0
        weight = summary.weight - run
        return 1 - (summary.quantiles.zeros - run) / weight if weight > 0 else 0.0

    def hours(self, thresholds: Thresholds) -> dict[int, float]:
        """Return the mean of each hour of the day that has enough windows."""
        profiles = sorted(self._judged_by.hours.items())
        return {hour: profile.mean for hour, profile in profiles if profile.is_known(thresholds.baseline_hour_windows)}

    def learn(
        self, value: float, end_ns: int, thresholds: Thresholds, doubt: Doubt = Doubt.NONE, weight: float = 1.0
    ) -> None:
        """Take a window's number in, after it has been judged.

        Parameters
        ----------
        value : float
            Not negative.
        end_ns : int
            End of the window, ns since the epoch.
        doubt : Doubt
            Whether the window was judged anomalous in a way that concerns this number. Then the number is cut to the
            edge of the band and counts little; without a band it does not count at all.
        weight : float
            How much it counts otherwise.
        """
        self.windows += 1
        self._recent.update(value)
        self._adwin.update(math.log1p(value))
        if self._adwin.drift_detected:
            self.drift_alarms += 1
            self.last_drift_ns = end_ns
        usual = self.usual(thresholds, end_ns)
        is_anomalous = doubt is not Doubt.NONE
        is_off = is_anomalous or (usual is not None and not _is_within(value, usual, thresholds))
        self._watch_level(value, end_ns, thresholds, is_off=is_off, has_band=usual is not None)
        self._close_block(end_ns, thresholds)
        learns = self._fresh
        if doubt is Doubt.RELATIVE and self._settled is None:
            learns = self._doubted
        elif is_anomalous:
            weight *= thresholds.baseline_held_back_weight if usual else 0.0
            value = _cut(value, usual, thresholds) if usual else value
        self.held_back += is_anomalous
        learns.learn(value, weight, end_ns if self._has_hours else None)
        if self._settled is None:
            self._usual = None

    def learn_absence(self, windows: float) -> None:
        """Take ``windows`` windows in which the number was 0: what is seen for the first time was absent before."""
        self._fresh.learn(0.0, windows, None)
        self._usual = None

    def _close_block(self, end_ns: int, thresholds: Thresholds) -> None:
        """Add what has waited to what is judged by, once its block is full."""
        if self._fresh_start_ns is None or end_ns < self._fresh_start_ns:
            self._fresh_start_ns = end_ns
        elapsed_ns = end_ns - self._fresh_start_ns
        if elapsed_ns < thresholds.baseline_block_s * 1e9:
            return
        fresh, settled = self._fresh, self._settled
        if settled is None:
            if fresh.weight < thresholds.baseline_min_windows:
                return
            fresh.add(self._doubted)
            self._settled, self._doubted = fresh, Summary()
        else:
            at_most = thresholds.baseline_memory_h * fresh.weight / (elapsed_ns / 3.6e12)
            settled.add(fresh, min(1.0, max(at_most - fresh.weight, 0.0) / settled.weight))
        self._fresh, self._fresh_start_ns, self._usual = Summary(), end_ns, None

    def _watch_level(self, value: float, end_ns: int, thresholds: Thresholds, *, is_off: bool, has_band: bool) -> None:
        """Tell a new level from a burst, and accept it when its time has come."""
        if self._shift is None:
            if not is_off or not has_band:
                return
            self._shift = _Shift(end_ns, Summary())
        shift = self._shift
        shift.windows += 1
        shift.off += is_off
        shift.has_alarm |= bool(self._adwin.drift_detected)
        shift.summary.learn(value, 1.0, end_ns if self._has_hours else None)
        share = shift.off / shift.windows
        is_level = share >= _NEW_LEVEL_SHARE and shift.has_alarm and shift.windows >= thresholds.baseline_min_windows
        if shift.windows >= _SHIFT_MIN_WINDOWS and share < _BURST_SHARE:
            self._shift = None
        elif is_level and end_ns - shift.start_ns >= thresholds.baseline_accept_s * 1e9:
            # The day's profile outlives a level: day and night are two levels of one network.
            for part in (self._settled, self._fresh):
                shift.summary.add_hours(part or Summary())
            self._settled, self._fresh, self._doubted, self._shift = shift.summary, Summary(), Summary(), None
            self._fresh_start_ns, self._usual = end_ns, None
            self.accepted += 1

    def state(self) -> list[Any]:
        """Return everything as JSON values, for ``restore``."""
        shift = self._shift
        return [
            [self.windows, self.held_back, self.drift_alarms, self.last_drift_ns, self.accepted],
            self._has_hours,
            self._settled.state() if self._settled else None,
            self._fresh.state(),
            self._doubted.state(),
            self._fresh_start_ns,
            [shift.start_ns, shift.summary.state(), shift.windows, shift.off, shift.has_alarm] if shift else None,
            ewmean_state(self._recent),
            adwin_state(self._adwin),
        ]

    @classmethod
    def restore(cls, state: list[Any]) -> Figure:
        """Return what ``state`` was taken of."""
        counts, has_hours, settled, fresh, doubted, fresh_start_ns, shift, recent, adwin = state
        figure = cls(has_hours=has_hours)
        figure.windows, figure.held_back, figure.drift_alarms, figure.last_drift_ns, figure.accepted = counts
        figure._settled = Summary.restore(settled) if settled else None
        figure._fresh, figure._fresh_start_ns = Summary.restore(fresh), fresh_start_ns
        figure._doubted = Summary.restore(doubted)
        if shift:
            start_ns, summary, windows, off, has_alarm = shift
            figure._shift = _Shift(start_ns, Summary.restore(summary), windows, off, has_alarm)
        figure._recent, figure._adwin = restore_ewmean(recent), restore_adwin(adwin)
        return figure


def _is_within(value: float, usual: Usual, thresholds: Thresholds) -> bool:
    return abs(value - usual.mean) <= thresholds.traffic_spike_medium * usual.std


def _cut(value: float, usual: Usual, thresholds: Thresholds) -> float:
    """Return the value, or the edge of the band that it has passed."""
    reach = thresholds.traffic_spike_medium * usual.std
    return min(max(value, usual.mean - reach, 0.0), usual.mean + reach)
