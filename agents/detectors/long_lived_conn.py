"""Long-lived connections: far older than connections usually get."""

from __future__ import annotations

from collections.abc import Iterator

from agents.baselines import AGE_P95
from agents.findings import Finding, View, endpoint
from agents.memory import age_s, is_tcp
from agents.observed import Conversation
from agents.summary import Usual
from schemas.enums import AnomalyType, Severity

_REPORTED_AGAIN = 2.0
"""A connection is reported again when it has grown so many times as old."""


def long_lived_conn(view: View) -> Iterator[Finding]:
    """Find TCP connections older than connections get here; silent while the baseline learns.

    What is usual is the 95th percentile of the windows' 95th percentiles of ages, so that connections that are
    always there, and grow older with the capture, are usual. The age counts from the connection's first packet,
    whichever window that was in.
    """
    if view.is_correction:
        return
    thresholds = view.thresholds
    usual = view.baselines.usual(AGE_P95, view.window)
    if usual is None:
        return
    medium = max(thresholds.long_lived_medium * usual.p95, thresholds.long_lived_min_s)
    high = max(thresholds.long_lived_high * usual.p95, thresholds.long_lived_min_s)
    for flow in sorted(filter(is_tcp, view.window.conversations), key=lambda flow: -age_s(flow)):
        if age_s(flow) <= medium:
            return
        yield _finding(view, flow, usual, medium, high)


def _finding(view: View, flow: Conversation, usual: Usual, medium: float, high: float) -> Finding:
    thresholds = view.thresholds
    age = age_s(flow)
    source, destination = endpoint(flow["src_ip"], flow["src_port"]), endpoint(flow["dst_ip"], flow["dst_port"])
    name = f"{source} - {destination}"
    is_news = age >= _REPORTED_AGAIN * view.memory.reported.get(name, 0.0)
    if is_news:
        view.memory.remember_report(name, age)
    return Finding(
        type=AnomalyType.LONG_LIVED_CONN,
        signal="old_connection",
        severity=Severity.HIGH if age > high else Severity.MEDIUM,
        message=f"Long-lived connection detected: {name} is {age:.0f} s old, usually at most {usual.p95:.0f} s",
        metric="connection_age_s",
        value=age,
        threshold=high if age > high else medium,
        unit="s",
        rule=f"age > {thresholds.long_lived_medium:g} x (high: {thresholds.long_lived_high:g} x) the usual "
        f"95th percentile of ages and > {thresholds.long_lived_min_s:g} s",
        subject=name,
        usual=usual,
        deviation=age / usual.p95 if usual.p95 else None,
        source_ip=flow["src_ip"],
        destination_ip=flow["dst_ip"],
        flow_src=source,
        flow_dst=destination,
        protocol=flow["name"],
        context={"usual_p95_s": usual.p95},
        hosts=(flow["src_ip"], flow["dst_ip"]),
        flows=(flow,),
        is_reported=is_news,
    )
