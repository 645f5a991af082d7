"""Port scans: one source tries many ports of a host, or many hosts on a port, quickly or slowly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agents.findings import MAX_HOSTS, Finding, View, flows_of
from agents.memory import since
from agents.observed import ICMP, ICMP6
from agents.recent import Tally
from schemas.enums import AnomalyType, Severity


@dataclass(frozen=True)
class _Rule:
    """How many targets within how long; a slow scan has its own."""

    seconds: float
    ports: int
    hosts: int
    prefix: str


def port_scan(view: View) -> Iterator[Finding]:
    """Find sources that failed at many ports of one host, or at many hosts on one port; it needs no baseline.

    Failed targets are counted once each over all windows of the last minute, and of the last hour for slow scans, so
    that a scan is found however it falls into windows. A source is judged in windows in which it failed at
    something. Most of what it tried must have failed.
    """
    thresholds = view.thresholds
    fast = _Rule(thresholds.port_scan_s, thresholds.port_scan_ports, thresholds.port_scan_hosts, "")
    slow = _Rule(thresholds.slow_scan_s, thresholds.slow_scan_ports, thresholds.slow_scan_hosts, "slow_")
    fewest = min(fast.ports, fast.hosts, slow.ports, slow.hosts)
    for source in view.window.scan_sources:
        address = source["src_ip"]
        if max(view.memory.attempts.size_of(address), source["failed_targets"]) <= fewest:
            continue
        yield from list(_scans(view, address, fast)) or _scans(view, address, slow)


def _scans(view: View, source: str, rule: _Rule) -> Iterator[Finding]:
    attempts, since_ns = view.memory.attempts, since(view.window, rule.seconds)
    if attempts.failed_share(source, since_ns) < view.thresholds.port_scan_failed_share:
        return
    tally = attempts.tally(source, since_ns)
    if tally.ports > rule.ports:
        yield _finding(view, source, rule, tally, is_vertical=True)
    if tally.hosts > rule.hosts:
        yield _finding(view, source, rule, tally, is_vertical=False)


def _finding(view: View, source: str, rule: _Rule, tally: Tally, *, is_vertical: bool) -> Finding:
    bound = rule.ports if is_vertical else rule.hosts
    value = tally.ports if is_vertical else tally.hosts
    high = bound * view.thresholds.port_scan_high_factor
    what, where = _words(tally, is_vertical=is_vertical)
    speed = "Slow port scan" if rule.prefix else "Port scan"
    failed = 100 * view.memory.attempts.failed_share(source, since(view.window, rule.seconds))
    return Finding(
        type=AnomalyType.PORT_SCAN,
        signal=f"{rule.prefix}{'vertical' if is_vertical else 'horizontal'}_scan",
        severity=Severity.HIGH if value > high else Severity.MEDIUM,
        message=f"{speed} detected: {source} tried {value} {what} {where} within {rule.seconds:.0f} s, "
        f"{failed:.0f}% unanswered or refused",
        metric="failed_ports" if is_vertical else "failed_hosts",
        value=value,
        threshold=high if value > high else bound,
        unit=what,
        rule=f"> {bound} distinct {what} of one source within {rule.seconds:.0f} s unanswered or refused "
        f"(high: x {view.thresholds.port_scan_high_factor:g})",
        subject=source,
        source_ip=source,
        destination_ip=tally.host if is_vertical else "",
        context={
            "seconds": rule.seconds,
            "failed_percent": failed,
            "port": tally.port,
            "protocol_number": tally.protocol,
            "ports": list(tally.examples),
            "hosts": tally.hosts,
        },
        hosts=(source, *tally.victims)[:MAX_HOSTS],
        flows=flows_of(view.window, source),
    )


def _words(tally: Tally, *, is_vertical: bool) -> tuple[str, str]:
    if is_vertical:
        return "ports", f"of {tally.host}"
    return "hosts", "by ping" if tally.protocol in (ICMP, ICMP6) else f"on port {tally.port}"
