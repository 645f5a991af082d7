"""A small reader of what the lab itself records: nanosecond pcap files of Ethernet frames.

Only for labels. It is slow, and separate from the product's reader on purpose: a label must not depend on
the code that it is meant to judge.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from lab.errors import CaptureError
from lab.labels import TCP, UDP, Packet

_NANOSECOND_MAGIC = 0xA1B23C4D  # draft-ietf-opsawg-pcap
_ETHERNET = 1
_IPV4, _IPV6 = 0x0800, 0x86DD
_FRAGMENT = 44
_OPTIONS = (0, 43, 60)  # RFC 8200: hop-by-hop, routing, destination options


def read_packets(path: Path) -> list[Packet]:
    """Return the IP packets of a capture in file order; other frames (ARP) are left out.

    Raises
    ------
    CaptureError
        When the file is not a little-endian nanosecond Ethernet pcap, plain or gzip.
    """
    return [packet for ts_ns, frame in frames(path) if (packet := _packet(ts_ns, frame)) is not None]


def frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield time stamp (ns since 1970) and captured bytes of each frame."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if len(data) < 24:
        raise CaptureError(f"{path} is too short for a capture")
    magic, _, _, _, _, _, link_type = struct.unpack_from("<IHHiIII", data)
    if magic != _NANOSECOND_MAGIC or link_type != _ETHERNET:
        raise CaptureError(f"{path} is not a nanosecond Ethernet pcap")
    at = 24
    while at + 16 <= len(data):
        seconds, nanoseconds, captured, _ = struct.unpack_from("<IIII", data, at)
        yield seconds * 1_000_000_000 + nanoseconds, data[at + 16 : at + 16 + captured]
        at += 16 + captured


def _packet(ts_ns: int, frame: bytes) -> Packet | None:
    ether_type = int.from_bytes(frame[12:14])
    if ether_type == _IPV4:
        return _ipv4(ts_ns, frame[14:])
    return _ipv6(ts_ns, frame[14:]) if ether_type == _IPV6 else None


def _ipv4(ts_ns: int, data: bytes) -> Packet:
    is_first = int.from_bytes(data[6:8]) & 0x1FFF == 0
    ports = _ports(data[9], data[(data[0] & 15) * 4 :]) if is_first else (0, 0)
    return Packet(ts_ns, str(ip_address(data[12:16])), str(ip_address(data[16:20])), *ports, data[9])


def _ipv6(ts_ns: int, data: bytes) -> Packet:
    protocol, rest = data[6], data[40:]
    while protocol in _OPTIONS and len(rest) > 1:
        protocol, rest = rest[0], rest[(rest[1] + 1) * 8 :]
    if protocol == _FRAGMENT:
        is_first = int.from_bytes(rest[2:4]) >> 3 == 0
        protocol, rest = rest[0], rest[8:] if is_first else b""
    ports = _ports(protocol, rest)
    return Packet(ts_ns, str(ip_address(data[8:24])), str(ip_address(data[24:40])), *ports, protocol)


def _ports(protocol: int, data: bytes) -> tuple[int, int]:
    if protocol not in (TCP, UDP) or len(data) < 4:
        return 0, 0
    return int.from_bytes(data[:2]), int.from_bytes(data[2:4])
