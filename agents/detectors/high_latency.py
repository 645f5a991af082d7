"""High latency: round trips that take far longer than usual."""

from __future__ import annotations

from collections.abc import Iterator

from agents.baselines import RTT
from agents.findings import MAX_CONTRIBUTIONS, MAX_FLOWS, Finding, View, endpoint
from agents.observed import Conversation
from agents.summary import Usual
from schemas.analysis import Contribution
from schemas.enums import AnomalyType, Severity


def high_latency(view: View) -> Iterator[Finding]:
    """Find a mean round trip that is a multiple of the baseline's; silent while the baseline learns.

    It must also lie beyond what the windows' means usually reach, or else a change of who talks to whom, near ones
    and far ones, would be taken for a slow network.
    """
    window, thresholds = view.window, view.thresholds
    usual = view.baselines.usual(RTT, window)
    if usual is None or window.rtt_ms is None or window.rtt_count < thresholds.high_latency_min_samples:
        return  # too few round trips neither begin nor end a run of slow windows
    rtt_ms = window.rtt_ms
    medium = _bound(view, usual, thresholds.high_latency_medium, thresholds.traffic_spike_medium)
    is_slow = rtt_ms > medium
    if not view.is_correction:
        view.memory.slow_windows = view.memory.slow_windows + 1 if is_slow else 0
    if not is_slow:
        return
    yield _finding(view, rtt_ms, usual, medium)


def _finding(view: View, rtt_ms: float, usual: Usual, medium: float) -> Finding:
    window, thresholds = view.window, view.thresholds
    high = _bound(view, usual, thresholds.high_latency_high, thresholds.traffic_spike_high)
    is_high = rtt_ms > high
    factor = thresholds.high_latency_high if is_high else thresholds.high_latency_medium
    slow = [flow for flow in window.conversations if flow["rtt_count"]]
    slow.sort(key=lambda flow: -_mean_ms(flow))
    return Finding(
        type=AnomalyType.HIGH_LATENCY,
        signal="slow_round_trips",
        severity=Severity.HIGH if is_high else Severity.MEDIUM,
        message=f"High latency detected: mean round trip {rtt_ms:.1f} ms, usually {usual.mean:.1f} ms",
        metric="mean_rtt_ms",
        value=rtt_ms,
        threshold=high if is_high else medium,
        unit="ms",
        rule=f"mean round trip > {factor:g} x baseline mean, beyond its 99th percentile and "
        f"usual spread, in {thresholds.high_latency_windows} windows in a row",
        subject="network",
        usual=usual,
        deviation=rtt_ms / usual.mean if usual.mean else None,
        destination_ip=slow[0]["dst_ip"] if slow else "",
        contributions=tuple(Contribution(name=_name(flow), value=_mean_ms(flow)) for flow in slow[:MAX_CONTRIBUTIONS]),
        context={"round_trips": window.rtt_count},
        hosts=tuple(dict.fromkeys(flow["dst_ip"] for flow in slow)),
        flows=tuple(slow[:MAX_FLOWS]),
        is_reported=view.memory.slow_windows >= thresholds.high_latency_windows,
    )


def _bound(view: View, usual: Usual, factor: float, sigmas: float) -> float:
    risen = usual.mean + view.thresholds.high_latency_min_ms
    return max(factor * usual.mean, usual.mean + sigmas * usual.std, usual.p99, risen)


def _mean_ms(flow: Conversation) -> float:
    return flow["rtt_sum_ns"] / flow["rtt_count"] / 1e6


def _name(flow: Conversation) -> str:
    return f"{endpoint(flow['src_ip'], flow['src_port'])} - {endpoint(flow['dst_ip'], flow['dst_port'])}"
