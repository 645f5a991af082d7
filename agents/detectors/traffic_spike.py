"""Traffic spikes: far more than usual on the network or at a host, or far less."""

from __future__ import annotations

from collections.abc import Iterator

from agents.baselines import BYTES, PACKETS
from agents.findings import Finding, View, flows_of, largest_flows, shares
from agents.observed import Host, Observed
from agents.summary import Usual
from schemas.analysis import Contribution
from schemas.enums import AnomalyType, Severity
from schemas.thresholds import Thresholds


def traffic_spike(view: View) -> Iterator[Finding]:
    """Find too much traffic, and too little where there is always some; silent while the baseline learns."""
    yield from _network(view)
    yield from _hosts(view)
    yield from _drop(view)


def _network(view: View) -> Iterator[Finding]:
    """Yield the network's spike, in bytes or in packets, whichever is further off."""
    window, thresholds = view.window, view.thresholds
    found = []
    for name, value, least in (
        (BYTES, window.bytes_per_s, thresholds.traffic_spike_min_bytes_per_s),
        (PACKETS, window.packets_per_s, thresholds.traffic_spike_min_packets_per_s),
    ):
        usual = view.baselines.usual(name, window)
        passed = _passed(value, usual, thresholds, thresholds.traffic_spike_ratio, least) if usual else None
        if usual and passed:
            found.append((value / passed[1], name, value, usual, *passed))
    if not found:
        return
    _, name, value, usual, severity, threshold = max(found, key=lambda item: item[0])
    talkers = [(host["ip"], window.host_bytes_per_s(host)) for host in window.hosts]
    unit = "bytes/s" if name == BYTES else "packets/s"
    yield Finding(
        type=AnomalyType.TRAFFIC_SPIKE,
        signal="byte_spike" if name == BYTES else "packet_spike",
        severity=severity,
        message=f"Traffic spike detected: {value:,.0f} {unit}, usually {usual.mean:,.0f} {unit}",
        metric=name,
        value=value,
        threshold=threshold,
        unit=unit,
        rule=_rule(thresholds, thresholds.traffic_spike_ratio),
        subject="network",
        usual=usual,
        deviation=usual.deviation(value),
        source_ip=_sender(window) if name == BYTES else "",
        contributions=shares(talkers),
        context={"bytes_per_s": window.bytes_per_s, "packets_per_s": window.packets_per_s},
        hosts=tuple(name for name, _ in talkers),
        flows=largest_flows(window),
    )


def _hosts(view: View) -> Iterator[Finding]:
    """Yield the hosts whose own traffic is far above their own baseline."""
    window, thresholds = view.window, view.thresholds
    ratio = thresholds.traffic_spike_host_ratio
    for host in window.hosts:
        value = window.host_bytes_per_s(host)
        usual = view.baselines.usual_of_host(host["ip"])
        passed = _passed(value, usual, thresholds, ratio, thresholds.traffic_spike_min_bytes_per_s) if usual else None
        if usual is None or passed is None:
            continue
        sent = host["bytes_sent"] >= host["bytes_received"]
        yield Finding(
            type=AnomalyType.TRAFFIC_SPIKE,
            signal="host_spike",
            severity=passed[0],
            message=f"Traffic spike detected: {host['ip']} {'sends' if sent else 'receives'} {value:,.0f} bytes/s, "
            f"usually {usual.mean:,.0f} bytes/s",
            metric=BYTES,
            value=value,
            threshold=passed[1],
            unit="bytes/s",
            rule=_rule(thresholds, ratio),
            subject=host["ip"],
            usual=usual,
            deviation=usual.deviation(value),
            source_ip=host["ip"] if sent else "",
            destination_ip="" if sent else host["ip"],
            contributions=_peers(window, host),
            context={"bytes_sent": host["bytes_sent"], "bytes_received": host["bytes_received"]},
            hosts=(host["ip"],),
            flows=flows_of(window, host["ip"]),
        )


def _drop(view: View) -> Iterator[Finding]:
    """Yield a link that has gone quiet and never was before."""
    window, thresholds, memory = view.window, view.thresholds, view.memory
    usual = view.baselines.usual(BYTES, window)
    if view.is_correction or window.is_sampled:
        return
    is_known = usual is not None and usual.windows >= thresholds.traffic_drop_min_windows
    if usual is None or not is_known or usual.p01 < max(thresholds.traffic_drop_min_bytes_per_s, 1e-9):
        memory.quiet_windows = 0
        return
    bound = thresholds.traffic_drop_share * usual.p01
    memory.quiet_windows = memory.quiet_windows + 1 if window.bytes_per_s < bound else 0
    if not memory.quiet_windows:
        return
    is_silent = window.records == 0
    seen = "nothing" if is_silent else f"{window.bytes_per_s:,.0f} bytes/s"
    yield Finding(
        type=AnomalyType.TRAFFIC_SPIKE,
        signal="silence" if is_silent else "traffic_drop",
        severity=Severity.HIGH if is_silent else Severity.MEDIUM,
        message=f"Traffic drop detected: {seen} for {memory.quiet_windows} windows, usually {usual.mean:,.0f} bytes/s",
        metric=BYTES,
        value=window.bytes_per_s,
        threshold=bound,
        unit="bytes/s",
        rule=f"less than {thresholds.traffic_drop_share:g} x the 1st percentile for "
        f"{thresholds.traffic_drop_windows} windows in a row, on a link that is never quiet",
        subject="network",
        usual=usual,
        deviation=usual.deviation(window.bytes_per_s),
        context={"windows": memory.quiet_windows, "usual_p01": usual.p01},
        is_reported=memory.quiet_windows >= thresholds.traffic_drop_windows,
    )


def _passed(
    value: float, usual: Usual, thresholds: Thresholds, ratio: float, least: float
) -> tuple[Severity, float] | None:
    """Return how bad a value is and the bound that it passed, or None.

    The contract's bounds are mean + 2 and mean + 3 standard deviations. Traffic is bursty, so a bound is never below
    ``ratio`` times the 99th percentile, and half as much again for a high one.
    """
    medium_sigmas, high_sigmas = thresholds.traffic_spike_medium, thresholds.traffic_spike_high
    medium = max(usual.mean + medium_sigmas * usual.std, ratio * usual.p99, least)
    high = max(usual.mean + high_sigmas * usual.std, ratio * usual.p99 * high_sigmas / medium_sigmas, least)
    if value > high:
        return Severity.HIGH, high
    return (Severity.MEDIUM, medium) if value > medium else None


def _rule(thresholds: Thresholds, ratio: float) -> str:
    return (
        f"> mean + {thresholds.traffic_spike_medium:g} standard deviations (high: + {thresholds.traffic_spike_high:g})"
        f", and > {ratio:g} x the 99th percentile"
    )


def _sender(window: Observed) -> str:
    """Return the host that sent most, when it sent more than half of everything."""
    top = max(window.hosts, key=lambda host: host["bytes_sent"], default=None)
    is_most = top is not None and top["bytes_sent"] * window.scale > window.n_bytes / 2
    return top["ip"] if top is not None and is_most else ""


def _peers(window: Observed, host: Host) -> tuple[Contribution, ...]:
    amounts: dict[str, float] = {}
    for flow in flows_of(window, host["ip"]):
        peer = flow["dst_ip"] if flow["src_ip"] == host["ip"] else flow["src_ip"]
        amounts[peer] = amounts.get(peer, 0.0) + flow["bytes_forward"] + flow["bytes_backward"]
    return shares(amounts.items())
