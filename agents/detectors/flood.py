"""Floods: far more connections or packets than a service is asked for, from one source or from many."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from agents.baselines import ASKED, CLIENT_BURST, CLIENT_MINUTE, carries_requests, requests_per_s
from agents.findings import MAX_HOSTS, Finding, View, endpoint, flows_of, shares
from agents.memory import LOGIN_PORTS, minute_before
from agents.observed import ICMP, ICMP6, TCP, UDP, Observed, Responder, ServiceClient
from agents.summary import Usual
from schemas.enums import AnomalyType, Severity

_GO_NO_FURTHER = 2.0
"""Packets per connection up to which a TCP client has not gone on: a SYN, and the kernel's RST or a second SYN."""

_UNANSWERED = 0.05
"""Answers per packet up to which UDP counts as unanswered."""

_MOST = 0.5


@dataclass(frozen=True)
class _Flood:
    """Who floods whom with what."""

    signal: str
    metric: str
    value: float
    bound: float
    rule: str
    source: str
    destination: str
    port: int
    protocol: str
    sources: int
    usual: Usual | None = None
    contributions: tuple[tuple[str, float], ...] = ()


def flood(view: View) -> Iterator[Finding]:
    """Find floods of connections from one source, of connections from many, and of packets; it minds a baseline.

    They are ``traffic_spike``: what they do is more than usual, though not always in bytes. A flood from forged
    sources has no source that could be named: its victim is the destination, and the number of sources is said.
    """
    clients = [*_connection_floods(view), *_packet_floods(view)]
    known = {(found.source, found.destination, found.port) for found in clients}
    clients += [found for found in _request_floods(view) if (found.source, found.destination, found.port) not in known]
    victims = {found.destination for found in clients}
    for found in [*clients, *_floods_of_many(view, victims)]:
        yield _finding(view, found)


def _connection_floods(view: View) -> Iterator[_Flood]:
    """Yield sources that begin many connections at one service, within a minute or, where they are learnt, at once."""
    window, thresholds = view.window, view.thresholds
    usual, burst = view.baselines.usual(CLIENT_MINUTE, window), view.baselines.usual(CLIENT_BURST, window)
    absolute = float(thresholds.flood_connections)
    per_minute = max(absolute, thresholds.flood_ratio * usual.p99) if usual else absolute
    at_once = max(absolute / 3, thresholds.flood_ratio * burst.p99) if burst else math.inf
    for client in window.service_clients:
        is_tcp = client["protocol"] == TCP
        if not client["begun"] or (is_tcp and client["dst_port"] in LOGIN_PORTS):
            continue
        pair = (client["src_ip"], client["dst_ip"], client["dst_port"], client["protocol"])
        in_minute = view.memory.begun.count(pair, minute_before(window))
        in_window = view.memory.begun.count(pair, window.start_ns) if is_tcp else 0.0
        if in_minute > (per_minute if is_tcp else absolute):
            limit = per_minute if is_tcp else absolute
            rule = f"> {limit:g} connections of one source to one service within a minute"
            yield _of_client(client, "connection_flood", in_minute, limit, rule, usual)
        elif in_window > at_once:
            rule = f"> {at_once:g} connections of one source to one service within a window"
            yield _of_client(client, "connection_flood", in_window, at_once, rule, burst)


def _packet_floods(view: View) -> Iterator[_Flood]:
    """Yield sources that send ICMP, or UDP without an answer, at a high rate."""
    window, thresholds = view.window, view.thresholds
    for client in window.service_clients:
        rate = client["packets_forward"] * window.scale / window.window_s
        if client["protocol"] in (ICMP, ICMP6):
            limit = thresholds.flood_icmp_per_s
        elif client["protocol"] == UDP and client["packets_backward"] <= _UNANSWERED * client["packets_forward"]:
            limit = thresholds.flood_packets_per_s
        else:
            continue
        if rate > limit:
            rule = f"> {limit:g} packets per second of ICMP, or of UDP without an answer, from one source"
            yield _of_client(client, "packet_flood", rate, limit, rule, None)


def _request_floods(view: View) -> Iterator[_Flood]:
    """Yield clients that send far more requests to a service than is usual of its kind, on however few connections."""
    window, thresholds = view.window, view.thresholds
    for client in filter(carries_requests, window.service_clients):
        usual = view.baselines.usual_requests(client["name"])
        if usual is None or client["dst_port"] in LOGIN_PORTS:
            continue
        rate = requests_per_s(window, client)
        limit = max(thresholds.flood_requests_per_s, thresholds.flood_ratio * usual.p99)
        if rate > limit:
            rule = f"> {limit:g} request packets per second of one client to one service"
            yield _of_client(client, "request_flood", rate, limit, rule, usual)


def _floods_of_many(view: View, known: set[str]) -> Iterator[_Flood]:
    """Yield hosts that many sources ask at once without going on, or that are asked far more often than usual."""
    window, thresholds = view.window, view.thresholds
    usual = view.baselines.usual(ASKED, window)
    most = max(float(thresholds.flood_connections), thresholds.flood_ratio * usual.p99) if usual else math.inf
    for asked in window.responders:
        begun = asked["begun"] * window.scale
        if asked["sources"] > thresholds.flood_sources and _goes_no_further(window, asked):
            limit = float(thresholds.flood_sources)
            rule = f"> {limit:g} sources that ask one host in a window and go no further"
            signal, metric, value = "distributed_flood", "sources", float(asked["sources"])
        elif begun > most and asked["dst_ip"] not in known and not _is_scan(window, asked):
            limit = most
            rule = f"> {limit:g} connections begun at one host in a window"
            signal, metric, value = "connection_flood", "connections_begun", begun
        else:
            continue
        parts = _askers(window, asked["dst_ip"])
        top, of_top = max(parts, key=lambda part: part[1], default=("", 0.0))
        yield _Flood(
            signal=signal,
            metric=metric,
            value=value,
            bound=limit,
            rule=rule,
            source=top if of_top > _MOST * asked["begun"] else "",
            destination=asked["dst_ip"],
            port=0,
            protocol="",
            sources=asked["sources"],
            usual=usual if metric == "connections_begun" else None,
            contributions=tuple(parts),
        )


def _of_client(
    client: ServiceClient, signal: str, value: float, limit: float, rule: str, usual: Usual | None
) -> _Flood:
    return _Flood(
        signal=signal,
        metric="connections_begun" if signal == "connection_flood" else "packets_per_s",
        value=value,
        bound=limit,
        rule=rule,
        source=client["src_ip"],
        destination=client["dst_ip"],
        port=client["dst_port"],
        protocol=client["name"],
        sources=1,
        usual=usual,
    )


def _goes_no_further(window: Observed, asked: Responder) -> bool:
    """Return whether most of what is asked of a host fails, or is TCP that never goes on."""
    if asked["failed"] >= _MOST * asked["conversations"]:
        return True
    to_host = [client["protocol"] for client in window.service_clients if client["dst_ip"] == asked["dst_ip"]]
    is_tcp = to_host.count(TCP) > _MOST * len(to_host)
    return is_tcp and asked["packets_forward"] <= _GO_NO_FURTHER * asked["conversations"]


def _is_scan(window: Observed, asked: Responder) -> bool:
    """Return whether most of what fails at a host comes from a source that fails at many of its ports."""
    ports = {source["src_ip"]: source["max_ports"] for source in window.scan_sources}
    sources = {contact["src_ip"] for contact in window.contacts if contact["dst_ip"] == asked["dst_ip"]}
    return sum(ports.get(source, 0) for source in sources) > _MOST * asked["begun"]


def _askers(window: Observed, address: str) -> list[tuple[str, float]]:
    """Return who began connections at a host, as far as they are listed."""
    amounts: dict[str, float] = {}
    for client in window.service_clients:
        if client["dst_ip"] == address:
            amounts[client["src_ip"]] = amounts.get(client["src_ip"], 0.0) + client["begun"]
    return sorted(amounts.items(), key=lambda part: (-part[1], part[0]))


def _finding(view: View, found: _Flood) -> Finding:
    high = found.bound * view.thresholds.port_scan_high_factor
    is_high = found.value > high
    target = endpoint(found.destination, found.port) if found.port else found.destination
    who = found.source or f"{found.sources} sources"
    what = {"sources": "open connections and go no further", "packets_per_s": f"sends {found.value:,.0f} packets/s"}
    did = what.get(found.metric, f"opened {found.value:,.0f} connections")
    names = [found.source] if found.source else [name for name, _ in found.contributions]
    return Finding(
        type=AnomalyType.TRAFFIC_SPIKE,
        signal=found.signal,
        severity=Severity.HIGH if is_high else Severity.MEDIUM,
        message=f"Flood detected: {who} {did} to {target}",
        metric=found.metric,
        value=found.value,
        threshold=high if is_high else found.bound,
        unit=found.metric.replace("_", " "),
        rule=f"{found.rule} (high: x {view.thresholds.port_scan_high_factor:g})",
        subject=f"{found.source or 'many'} > {target}",
        usual=found.usual,
        deviation=found.usual.deviation(found.value) if found.usual else None,
        source_ip=found.source,
        destination_ip=found.destination,
        protocol=found.protocol,
        contributions=shares(found.contributions),
        context={"sources": found.sources},
        hosts=(found.destination, *names)[:MAX_HOSTS],
        flows=flows_of(view.window, found.destination),
    )
