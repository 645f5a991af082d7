"""Protocol anomalies: a protocol's share of the packets is far from usual."""

from __future__ import annotations

from collections.abc import Iterator

from agents.findings import Finding, View, largest_flows
from agents.summary import Usual
from schemas.analysis import Contribution
from schemas.enums import AnomalyType, Severity

_HARDLY_THERE = 0.01
"""A protocol with less than this mean share counts as new when it grows."""

_NEVER_SEEN = Usual(0, 0, 0, 0, 0, 0, 0, 0, 0)


def protocol_anomaly(view: View) -> Iterator[Finding]:
    """Find protocols that appear, grow, shrink or vanish; silent while the baseline learns.

    Shares add up to 1, so what grows makes others shrink: the one that grew is named, the others are among the
    contributions. One that shrinks is named when none has grown enough.
    """
    window, thresholds = view.window, view.thresholds
    usual = view.baselines.usual_shares()
    if not usual or window.records < thresholds.protocol_anomaly_min_packets:
        return
    shares = window.shares
    points = {
        name: 100 * (shares.get(name, 0.0) - usual.get(name, _NEVER_SEEN).mean) for name in sorted({*shares, *usual})
    }
    off = [name for name in points if _is_off(view, points[name], usual.get(name, _NEVER_SEEN))]
    if not view.is_correction:
        view.memory.off = {name: _longer(view.memory.off.get(name, 0), points[name]) for name in off}
    grown = [name for name in off if points[name] > 0]
    named = max(grown or off, key=lambda name: (abs(points[name]), name), default=None)
    if named is not None:
        yield _finding(view, named, points, usual.get(named, _NEVER_SEEN))
    for name in sorted(_vanished(view) - {named}):
        yield _finding(view, name, points, usual[name])


def _is_off(view: View, points: float, usual: Usual) -> bool:
    """Return whether a share is off by enough points, and by more than it usually varies."""
    is_far = abs(points) > view.thresholds.protocol_anomaly_medium
    return is_far and abs(points) > 100 * view.thresholds.traffic_spike_high * usual.std


def _longer(run: int, points: float) -> int:
    """Return a run of windows, one longer if it goes the same way: up is positive, down negative."""
    step = 1 if points > 0 else -1
    return run + step if run * step > 0 else step


def _vanished(view: View) -> set[str]:
    """Return the protocols that were in nearly every window and have now been absent for long enough."""
    thresholds = view.thresholds
    if view.is_correction:
        return set()
    return {
        name
        for name, absent in view.memory.absent.items()
        if absent >= thresholds.protocol_vanished_windows
        and view.baselines.share_present(name, absent) >= thresholds.protocol_vanished_presence
    }


def _finding(view: View, name: str, points: dict[str, float], usual: Usual) -> Finding:
    window, thresholds = view.window, view.thresholds
    share = 100 * window.shares.get(name, 0.0)
    off = abs(points[name])
    high = thresholds.protocol_anomaly_high
    absent = view.memory.absent.get(name, 0)
    is_gone = points[name] < 0 and not share
    if points[name] > 0:
        signal = "protocol_appeared" if usual.mean < _HARDLY_THERE else "protocol_grew"
    else:
        signal = "protocol_vanished" if is_gone else "protocol_shrank"
    by_points = off > thresholds.protocol_anomaly_medium
    threshold = (high if off > high else thresholds.protocol_anomaly_medium) if by_points else 0.0
    return Finding(
        type=AnomalyType.PROTOCOL_ANOMALY,
        signal=signal,
        severity=Severity.HIGH if off > high else Severity.MEDIUM,
        message=f"Protocol anomaly detected: {name} is {share:.1f}% of the packets, usually {100 * usual.mean:.1f}%",
        metric="protocol_share_points",
        value=off,
        threshold=threshold,
        unit="points",
        rule=f"share off its baseline by > {thresholds.protocol_anomaly_medium:g} points (high: > {high:g}) and by "
        f"more than it varies, in {thresholds.protocol_anomaly_windows} windows in a row; or absent for "
        f"{thresholds.protocol_vanished_windows} windows, once nearly always there",
        subject=name,
        usual=usual if usual.windows else None,
        deviation=usual.deviation(share / 100),
        protocol=name,
        contributions=tuple(
            Contribution(name=other, value=points[other])
            for other in sorted(points, key=lambda other: -abs(points[other]))[:10]
        ),
        context={"share_percent": share, "usual_percent": 100 * usual.mean, "absent_windows": absent},
        flows=tuple(flow for flow in largest_flows(window) if flow["name"] == name),
        is_reported=(by_points and abs(view.memory.off.get(name, 0)) >= thresholds.protocol_anomaly_windows)
        or absent == thresholds.protocol_vanished_windows,
    )
