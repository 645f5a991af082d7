"""Builders of packets for tests of the operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from schemas.packets import NO_PROTOCOL, NO_WINDOW_SCALE
from schemas.protocols import ICMP, TCP, UDP
from streams.packets import Packets, empty_packets

ARP = 0x0806
SYN, ACK, RST, FIN = 0x02, 0x10, 0x04, 0x01
SECOND = 1_000_000_000

Row = dict[str, Any]


def row(**values: Any) -> Row:
    """Return one packet as a mapping; addresses are small numbers, the rest are columns."""
    defaults: Row = {"ts_ns": 0, "src": 1, "dst": 2, "src_port": 40_000, "dst_port": 80}
    defaults |= {"protocol": TCP, "ether_type": 0x0800, "length_bytes": 100, "payload_bytes": 0}
    defaults |= {"tcp_flags": ACK, "tcp_seq": 1, "tcp_ack": 1, "tcp_window_bytes": 1000}
    defaults |= {"ip_header_bytes": 20, "l4_header_bytes": 20}
    return defaults | values


def address(number: int) -> bytes:
    """Return the mapped IPv4 address 10.0.0.NUMBER."""
    return bytes(10) + b"\xff\xff" + bytes([10, 0, 0, number])


def packets(rows: Sequence[Row]) -> Packets:
    """Return rows, in the order of the capture, as columns with frames and lags filled in."""
    built = empty_packets(len(rows))
    for column in built:
        column[...] = 0
    built.tcp_window_scale[...] = NO_WINDOW_SCALE
    for index, values in enumerate(rows):
        for name, value in values.items():
            if name in ("src", "dst"):
                if values["protocol"] != NO_PROTOCOL or values["ether_type"] == ARP:
                    getattr(built, f"{name}_ip")[index] = np.frombuffer(address(value), np.uint8)
            else:
                getattr(built, name)[index] = value
    built.captured_bytes[...] = built.length_bytes
    built.frame[...] = np.arange(1, len(rows) + 1)
    if len(rows):
        built.lag_ns[...] = np.maximum.accumulate(built.ts_ns) - built.ts_ns
    return built


def rows_of(source: Packets, chosen: slice | np.ndarray[Any, Any]) -> Packets:
    """Return some of the packets."""
    return Packets(*(np.ascontiguousarray(column[chosen]) for column in source))


@st.composite
def captures(draw: st.DrawFn, max_packets: int = 60) -> Packets:
    """Draw a capture of some conversations over some windows, with packets out of order."""
    protocols = st.sampled_from([TCP, TCP, TCP, UDP, ICMP, NO_PROTOCOL])
    flags = st.sampled_from([SYN, SYN | ACK, ACK, ACK, RST | ACK, FIN | ACK])
    edges = st.sampled_from([second * SECOND for second in (0, 9, 10, 11, 12, 19, 20, 21)])
    times = st.integers(0, 60 * SECOND) | edges
    rows = []
    for _ in range(draw(st.integers(1, max_packets))):
        protocol = draw(protocols)
        values = row(
            ts_ns=draw(times),
            src=draw(st.integers(1, 4)),
            dst=draw(st.integers(1, 4)),
            protocol=protocol,
            length_bytes=draw(st.integers(60, 1500)),
        )
        has_ports = protocol in (TCP, UDP)
        values["src_port"] = draw(st.sampled_from([40_000, 40_001, 80])) if has_ports else 0
        values["dst_port"] = draw(st.sampled_from([80, 443, 53])) if has_ports else 0
        values["tcp_flags"] = draw(flags) if protocol == TCP else 0
        for name in ("tcp_seq", "tcp_ack"):
            values[name] = draw(st.integers(0, 5000)) if protocol == TCP else 0
        values["payload_bytes"] = draw(st.sampled_from([0, 0, 10, 100])) if has_ports else 0
        values["icmp_type"] = draw(st.sampled_from([8, 8, 0, 3])) if protocol == ICMP else 0
        if protocol == NO_PROTOCOL:
            values["ether_type"] = draw(st.sampled_from([ARP, ARP, 0x88CC]))
            values["icmp_type"] = draw(st.sampled_from([1, 1, 2])) if values["ether_type"] == ARP else 0
        rows.append(values)
    if draw(st.booleans()):
        rows.sort(key=lambda values: int(values["ts_ns"]))
    return packets(rows)
