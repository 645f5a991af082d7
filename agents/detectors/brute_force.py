"""Brute force: one source logs in again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agents.baselines import LOGIN_BURST, LOGIN_MINUTE
from agents.findings import Finding, View, endpoint, flows_of
from agents.memory import LOGIN_PORTS, minute_before
from agents.observed import TCP, ServiceClient
from agents.summary import Usual
from schemas.enums import AnomalyType, Severity


def brute_force(view: View) -> Iterator[Finding]:
    """Find sources that open many connections to one login service; it needs no baseline, and minds one.

    Servers end a connection after a few wrong passwords, so guessing takes many connections: many within a minute,
    or several at a time. Where many are usual (a deployment tool, a backup), there must be more than usual.
    It is a ``traffic_spike`` of connections: none of the six documented types is nearer.
    """
    thresholds, window = view.thresholds, view.window
    usual = view.baselines.usual(LOGIN_MINUTE, window)
    per_minute = _bound(thresholds.brute_force_connections, usual, thresholds.brute_force_ratio)
    burst = view.baselines.usual(LOGIN_BURST, window)
    at_once = _bound(thresholds.brute_force_burst, burst, thresholds.brute_force_ratio)
    for client in window.service_clients:
        if client["protocol"] != TCP or client["dst_port"] not in LOGIN_PORTS or not client["begun"]:
            continue
        pair = (client["src_ip"], client["dst_ip"], client["dst_port"], client["protocol"])
        in_minute = view.memory.begun.count(pair, minute_before(window))
        in_window = client["begun"] * window.scale
        if in_minute < per_minute and in_window < at_once:
            continue
        if in_minute >= per_minute:
            yield _finding(view, client, _Guesses(in_minute, per_minute, "a minute", usual))
        else:
            yield _finding(view, client, _Guesses(in_window, at_once, "one window", burst))


@dataclass(frozen=True)
class _Guesses:
    """Connections within a period, the bound they reached, and what is usual."""

    count: float
    bound: float
    period: str
    usual: Usual | None


def _finding(view: View, client: ServiceClient, guesses: _Guesses) -> Finding:
    factor, usual = view.thresholds.port_scan_high_factor, guesses.usual
    high = guesses.bound * factor
    is_high = guesses.count >= high
    service = endpoint(client["dst_ip"], client["dst_port"])
    return Finding(
        type=AnomalyType.TRAFFIC_SPIKE,
        signal="brute_force",
        severity=Severity.HIGH if is_high else Severity.MEDIUM,
        message=f"Brute force detected: {client['src_ip']} opened {guesses.count:.0f} connections to {client['name']} "
        f"at {service} within {guesses.period}",
        metric="connections_begun",
        value=guesses.count,
        threshold=high if is_high else guesses.bound,
        unit="connections",
        rule=f">= {guesses.bound:g} connections of one source to one login service within {guesses.period} "
        f"(high: x {factor:g})",
        subject=f"{client['src_ip']} > {service}",
        usual=usual,
        deviation=usual.deviation(guesses.count) if usual else None,
        source_ip=client["src_ip"],
        destination_ip=client["dst_ip"],
        protocol=client["name"],
        context={
            "packets_forward": client["packets_forward"],
            "packets_backward": client["packets_backward"],
            "conversations": client["conversations"],
        },
        hosts=(client["src_ip"], client["dst_ip"]),
        flows=flows_of(view.window, client["src_ip"], client["dst_ip"]),
    )


def _bound(absolute: int, usual: Usual | None, ratio: float) -> float:
    """Return how many connections are brute force: at least ``absolute``, and more than usual where that is known."""
    return max(float(absolute), ratio * usual.p99 if usual else 0.0)
