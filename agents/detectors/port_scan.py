"""Port scans: one source tries many ports of a host, many hosts on a port, or asks for many by ARP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agents.findings import MAX_HOSTS, Finding, View, flows_of
from agents.memory import since
from agents.observed import ICMP, ICMP6
from agents.recent import Attempts, Tally
from schemas.enums import AnomalyType, Severity
from schemas.packets import NO_PROTOCOL

_ARP_METRIC = "failed_arp_hosts"


@dataclass(frozen=True)
class _Rule:
    """How many targets within how long; a slow scan has its own."""

    seconds: float
    ports: int
    hosts: int
    prefix: str


@dataclass(frozen=True)
class _Words:
    """What one kind of scan is called.

    Parameters
    ----------
    did : str
        What the source did: the message goes on with a number.
    what, where : str
        What it tried, and where.
    """

    signal: str
    name: str
    did: str
    metric: str
    what: str
    where: str


def port_scan(view: View) -> Iterator[Finding]:
    """Find sources that failed at many ports of one host, or at many hosts on one port; it needs no baseline.

    Failed targets are counted once each over all windows of the last minute, and of the last hour for slow scans, so
    that a scan is found however it falls into windows. A source is judged in windows in which it failed at
    something. Most of what it tried must have failed. Hosts that were asked for by ARP count for themselves, and never
    slowly: a router keeps on asking for hosts that are gone.
    """
    thresholds = view.thresholds
    fast = _Rule(thresholds.port_scan_s, thresholds.port_scan_ports, thresholds.port_scan_hosts, "")
    slow = _Rule(thresholds.slow_scan_s, thresholds.slow_scan_ports, thresholds.slow_scan_hosts, "slow_")
    fewest = min(fast.ports, fast.hosts, slow.ports, slow.hosts)
    for source in view.window.scan_sources:
        address = source["src_ip"]
        if max(view.memory.attempts.size_of(address), source["failed_targets"]) <= fewest:
            continue
        yield from list(_scans(view, view.memory.attempts, address, fast)) or _scans(
            view, view.memory.attempts, address, slow
        )
    for source in view.window.arp_sources:
        yield from _scans(view, view.memory.arp_attempts, source["src_ip"], fast)


def _scans(view: View, attempts: Attempts, source: str, rule: _Rule) -> Iterator[Finding]:
    since_ns = since(view.window, rule.seconds)
    if attempts.failed_share(source, since_ns) < view.thresholds.port_scan_failed_share:
        return
    tally = attempts.tally(source, since_ns)
    failed_percent = 100 * attempts.failed_share(source, since_ns)
    if tally.ports > rule.ports:
        yield _finding(view, source, rule, tally, failed_percent, is_vertical=True)
    if tally.hosts > rule.hosts:
        yield _finding(view, source, rule, tally, failed_percent, is_vertical=False)


def _finding(
    view: View, source: str, rule: _Rule, tally: Tally, failed_percent: float, *, is_vertical: bool
) -> Finding:
    bound = rule.ports if is_vertical else rule.hosts
    value = tally.ports if is_vertical else tally.hosts
    high = bound * view.thresholds.port_scan_high_factor
    words = _words(rule, tally, is_vertical=is_vertical)
    return Finding(
        type=AnomalyType.PORT_SCAN,
        signal=words.signal,
        severity=Severity.HIGH if value > high else Severity.MEDIUM,
        message=f"{words.name} detected: {source} {words.did} {value} {words.what} {words.where} within "
        f"{rule.seconds:.0f} s, {failed_percent:.0f}% unanswered{'' if words.metric == _ARP_METRIC else ' or refused'}",
        metric=words.metric,
        value=value,
        threshold=high if value > high else bound,
        unit=words.what,
        rule=f"> {bound} distinct {words.what} of one source within {rule.seconds:.0f} s unanswered or refused "
        f"(high: x {view.thresholds.port_scan_high_factor:g})",
        subject=source,
        source_ip=source,
        destination_ip=tally.host if is_vertical else "",
        context={
            "seconds": rule.seconds,
            "failed_percent": failed_percent,
            "port": tally.port,
            "protocol_number": tally.protocol,
            "ports": list(tally.examples),
            "hosts": tally.hosts,
        },
        hosts=(source, *tally.victims)[:MAX_HOSTS],
        flows=() if words.metric == _ARP_METRIC else flows_of(view.window, source),
    )


def _words(rule: _Rule, tally: Tally, *, is_vertical: bool) -> _Words:
    name = "Slow port scan" if rule.prefix else "Port scan"
    if is_vertical:
        return _Words(f"{rule.prefix}vertical_scan", name, "tried", "failed_ports", "ports", f"of {tally.host}")
    if tally.protocol == NO_PROTOCOL:
        return _Words("arp_sweep", "ARP sweep", "asked for", _ARP_METRIC, "hosts", "by ARP")
    where = "by ping" if tally.protocol in (ICMP, ICMP6) else f"on port {tally.port}"
    return _Words(f"{rule.prefix}horizontal_scan", name, "tried", "failed_hosts", "hosts", where)
