"""Windows as the judge gets them, made by hand: ordinary ones, and what makes them anomalous."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa

from agents.judge import Judge
from schemas.thresholds import Thresholds
from schemas.windows import WINDOW_SCHEMA

SECOND = 1_000_000_000
WINDOW_NS = 10 * SECOND
START_NS = 1_767_225_600 * SECOND  # 2026-01-01 00:00 UTC
HOUR = 360
"""Windows of an hour."""

CLIENT, SERVER, ATTACKER = "10.0.0.1", "10.0.0.2", "10.0.0.66"

Row = dict[str, Any]


def window(number: int, **fields: Any) -> Row:
    """Return an ordinary window: 100 kB and 200 packets, a 20 ms round trip, 20 connections."""
    start_ns = START_NS + number * WINDOW_NS
    row: Row = {
        "capture_id": "c",
        "window_id": number,
        "version": 200,
        "window_start_ns": start_ns,
        "window_end_ns": start_ns + WINDOW_NS,
        "record_count": 200,
        "bytes": 100_000,
        "first_ts_ns": start_ns,
        "last_ts_ns": start_ns + WINDOW_NS - 1,
        "top_src_bytes": [],
        "top_dst_bytes": [],
        "hosts": 2,
        "rtt_count": 50,
        "rtt_sum_ns": 50 * 20_000_000,
        "rtt_max_ns": 30_000_000,
        "rtt_p95_ns": 25_000_000,
        "rtt_is_sketched": False,
        "handshake_rtt_count": 0,
        "handshake_rtt_sum_ns": 0,
        "connections_total": 20,
        "connections_by_protocol": [],
        "connections_attempted": 0,
        "connections_established": 0,
        "connections_failed": 0,
        "connections_half_open": 0,
        "protocol_packets": [("dns", 20), ("http", 180)],
        "protocol_bytes": [],
        "ip_protocol_packets": [],
        "ip_protocol_bytes": [],
        "tcp_segments": 180,
        "tcp_data_segments": 100,
        "tcp_analysis": [],
        "undecoded": [],
        "late_packets": 0,
        "is_complete": True,
        "lost_upstream": 0,
        "sampling_rate": 1.0,
        "tcp_retransmissions": 0,
        "host_traffic": [host(SERVER, sent=80_000, received=20_000)],
        "scan_sources": [],
        "contacts": [],
        "service_clients": [],
        "responders": [],
        "conversations": [],
        "age_median_ns": SECOND,
        "age_p95_ns": 10 * SECOND,
        "age_max_ns": 20 * SECOND,
    }
    return row | fields


def empty_window(number: int) -> Row:
    """Return a window without packets."""
    nothing = dict.fromkeys(
        (
            "record_count",
            "version",
            "bytes",
            "hosts",
            "rtt_count",
            "rtt_sum_ns",
            "connections_total",
            "tcp_data_segments",
        ),
        0,
    )
    none = dict.fromkeys(("first_ts_ns", "last_ts_ns", "age_median_ns", "age_p95_ns", "age_max_ns"))
    return window(number, **nothing, **none, protocol_packets=[], host_traffic=[])


def ordinary(count: int, first: int = 0, seed: int = 1) -> list[Row]:
    """Return windows of traffic that varies by a tenth."""
    chance = random.Random(seed + first)
    rows = []
    for number in range(first, first + count):
        factor = chance.gauss(1, 0.1)
        sent, received = round(80_000 * factor), round(20_000 * factor)
        rows.append(
            window(
                number,
                bytes=sent + received,
                record_count=round(200 * factor),
                rtt_sum_ns=round(50 * 20_000_000 * chance.gauss(1, 0.05)),
                connections_total=round(20 * chance.gauss(1, 0.1)),
                host_traffic=[host(SERVER, sent=sent, received=received)],
            )
        )
    return rows


def host(ip: str, sent: int, received: int) -> Row:
    """Return an entry of host_traffic."""
    return {"ip": ip, "bytes_sent": sent, "bytes_received": received, "conversations": 3}


def contact(src: str, dst: str, port: int, protocol: int = 6, conversations: int = 1) -> Row:
    """Return a target that a source failed at."""
    return {
        "src_ip": src,
        "dst_ip": dst,
        "dst_port": port,
        "protocol": protocol,
        "conversations": conversations,
        "resets": 0,
    }


def scan(targets: list[Row], contacted: int | None = None) -> Row:
    """Return the columns of a window in which the sources of some contacts failed at them."""
    sources = []
    for src in sorted({target["src_ip"] for target in targets}):
        mine = [target for target in targets if target["src_ip"] == src]
        ports = {
            address: {t["dst_port"] for t in mine if t["dst_ip"] == address} for address in {t["dst_ip"] for t in mine}
        }
        hosts = {port: {t["dst_ip"] for t in mine if t["dst_port"] == port} for port in {t["dst_port"] for t in mine}}
        sources.append(
            {
                "src_ip": src,
                "targets": contacted or len(mine),
                "failed_targets": len(mine),
                "max_ports": max(map(len, ports.values())),
                "max_hosts": max(map(len, hosts.values())),
            }
        )
    return {"contacts": targets, "scan_sources": sources}


def asked(begun: int, failed: int = 0, forward: int | None = None, backward: int | None = None) -> Row:
    """Return what was asked of somebody; an answered connection has five packets each way."""
    return {
        "conversations": begun,
        "begun": begun,
        "failed": failed,
        "packets_forward": 5 * begun if forward is None else forward,
        "packets_backward": 5 * (begun - failed) if backward is None else backward,
        "bytes_forward": 500 * begun,
        "bytes_backward": 500 * begun,
    }


def service_client(src: str, port: int, begun: int, protocol: int = 6, name: str = "http", **more: int) -> Row:
    """Return what a source asked of a service of the server."""
    ends = {"src_ip": src, "dst_ip": SERVER, "dst_port": port, "protocol": protocol, "name": name}
    return ends | asked(begun, **more)


def conversation(src_port: int = 40_000, **fields: Any) -> Row:
    """Return a notable conversation of the client with the server's port 443 at the beginning of all windows."""
    row: Row = {
        "src_ip": CLIENT,
        "src_port": src_port,
        "dst_ip": SERVER,
        "dst_port": 443,
        "protocol": 6,
        "name": "https",
        "first_ts_ns": START_NS,
        "last_ts_ns": START_NS + SECOND,
    }
    counts = (
        "packets_forward packets_backward bytes_forward bytes_backward data_segments_forward data_segments_backward "
        "retransmissions_forward retransmissions_backward rtt_count rtt_sum_ns"
    )
    return row | dict.fromkeys(counts.split(), 0) | {"rtt_max_ns": -1} | fields


def table(rows: list[Row]) -> pa.Table:
    """Return windows as rows with ``WINDOW_SCHEMA``."""
    return pa.Table.from_pylist(rows, schema=WINDOW_SCHEMA)


def found(rows: list[Row], **thresholds: float) -> list[Row]:
    """Return the anomalies of some windows, judged as a file's."""
    judge = Judge("c", Thresholds().with_overrides(thresholds))
    anomalies: list[Row] = judge.judge(table(rows), is_live=False).anomalies.to_pylist()
    return anomalies


def signals(anomalies: list[Row]) -> list[tuple[int, str, str]]:
    """Return window, signal and severity of anomalies."""
    return [(one["window_id"], one["signal"], one["severity"]) for one in anomalies]
