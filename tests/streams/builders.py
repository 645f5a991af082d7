"""Valid packets and capture files, to be taken apart, cut and damaged by tests."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

import numpy as np

from streams.frames import FrameBlock
from streams.octets import read_only

START_S = 1_700_000_000
"""Time of the first frame of a built capture, s."""

STEP_US = 1_000
"""Time between its frames, µs."""


def ethernet(packet: bytes, ether_type: int | None = None, vlans: Sequence[int] = (), tag: int = 0x8100) -> bytes:
    """Return an Ethernet frame around a packet."""
    head = bytes.fromhex("020000000002 020000000001")
    for vlan in vlans:
        head += struct.pack(">HH", tag, vlan)
    return head + struct.pack(">H", ether_type_of(packet) if ether_type is None else ether_type) + packet


def ether_type_of(packet: bytes) -> int:
    """Return the EtherType of an IP packet."""
    return 0x86DD if packet[0] >> 4 == 6 else 0x0800


def ipv4(
    protocol: int,
    payload: bytes,
    source: str = "192.0.2.1",
    destination: str = "192.0.2.2",
    options: bytes = b"",
    fragment: int = 0,
    total_bytes: int | None = None,
) -> bytes:
    """Return an IPv4 packet; ``fragment`` is the field with the flags."""
    header_bytes = 20 + len(options)
    total = header_bytes + len(payload) if total_bytes is None else total_bytes
    head = struct.pack(">BBHHHBBH", 0x40 | header_bytes // 4, 0, total, 1, fragment, 64, protocol, 0)
    return head + ip_address(source).packed + ip_address(destination).packed + options + payload


def ipv6(
    protocol: int,
    payload: bytes,
    source: str = "2001:db8::1",
    destination: str = "2001:db8::2",
    extensions: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """Return an IPv6 packet; extensions are (number, header without its first byte)."""
    numbers = [*(number for number, _ in extensions), protocol]
    chain = b"".join(bytes([after]) + rest for (_, rest), after in zip(extensions, numbers[1:], strict=True))
    head = struct.pack(">IHBB", 6 << 28, len(chain) + len(payload), numbers[0], 64)
    return head + ip_address(source).packed + ip_address(destination).packed + chain + payload


def tcp(
    payload: bytes = b"",
    source_port: int = 40000,
    destination_port: int = 443,
    flags: int = 0x18,
    options: bytes = b"",
    sequence: int = 1000,
    acknowledgement: int = 2000,
) -> bytes:
    """Return a TCP segment."""
    offset = (20 + len(options)) // 4
    ports = struct.pack(">HHII", source_port, destination_port, sequence, acknowledgement)
    return ports + struct.pack(">HHHH", offset << 12 | flags, 501, 0, 0) + options + payload


def udp(payload: bytes = b"", source_port: int = 40000, destination_port: int = 53, length: int | None = None) -> bytes:
    """Return a UDP datagram."""
    size = 8 + len(payload) if length is None else length
    return struct.pack(">HHHH", source_port, destination_port, size, 0) + payload


def arp(sender: str = "192.0.2.1", target: str = "192.0.2.2") -> bytes:
    """Return an ARP request for an IPv4 address."""
    return (
        struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1)
        + bytes(6)
        + ip_address(sender).packed
        + bytes(6)
        + ip_address(target).packed
    )


def gre(inner: bytes, ether_type: int, flags: int = 0, fields: bytes = b"") -> bytes:
    """Return a GRE packet; ``fields`` are the optional ones that ``flags`` announces."""
    return struct.pack(">HH", flags, ether_type) + fields + inner


def vxlan(frame: bytes) -> bytes:
    """Return a VXLAN packet around an Ethernet frame."""
    return struct.pack(">II", 0x08000000, 42 << 8) + frame


def pcap_file(
    frames: Iterable[bytes],
    link_type: int = 1,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    extra: bytes = b"",
    lengths: Sequence[int] | None = None,
) -> bytes:
    """Return a pcap file; ``extra`` stands in each record header, ``lengths`` are those on the wire."""
    tick = 1000 if magic == 0xA1B23C4D else 1
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, link_type)]
    for number, frame in enumerate(frames):
        length = len(frame) if lengths is None else lengths[number]
        part = number * STEP_US * tick
        parts += [struct.pack(order + "IIII", START_S, part, len(frame), length), extra, frame]
    return b"".join(parts)


def pcapng_block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Return a pcapng block."""
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    """Return a Section Header Block."""
    return pcapng_block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(
    link_type: int = 1,
    order: str = "<",
    snap_bytes: int = 0,
    resolution: int | None = None,
    offset_s: int | None = None,
) -> bytes:
    """Return an Interface Description Block."""
    options = b""
    if resolution is not None:
        options += struct.pack(order + "HHB3x", 9, 1, resolution)
    if offset_s is not None:
        options += struct.pack(order + "HHq", 14, 8, offset_s)
    return pcapng_block(1, struct.pack(order + "HHI", link_type, 0, snap_bytes) + options, order)


def enhanced_packet(frame: bytes, ticks: int, number: int = 0, order: str = "<", length: int | None = None) -> bytes:
    """Return an Enhanced Packet Block."""
    size = len(frame) if length is None else length
    body = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), size) + frame
    return pcapng_block(6, body, order)


def obsolete_packet(frame: bytes, ticks: int, number: int = 0, order: str = "<") -> bytes:
    """Return a Packet Block."""
    size = len(frame)
    body = struct.pack(order + "HHIIII", number, 0, ticks >> 32, ticks & 0xFFFFFFFF, size, size) + frame
    return pcapng_block(2, body, order)


def simple_packet(frame: bytes, length: int | None = None, order: str = "<") -> bytes:
    """Return a Simple Packet Block."""
    return pcapng_block(3, struct.pack(order + "I", len(frame) if length is None else length) + frame, order)


def block_of(
    frames: Sequence[bytes],
    link_type: int = 1,
    lengths: Sequence[int] | None = None,
    ts_ns: Sequence[int] | None = None,
    between: bytes = b"",
) -> FrameBlock:
    """Return a block of frames; ``between`` stands before, between and after them in its data."""
    data, start = bytearray(between), []
    for frame in frames:
        start.append(len(data))
        data += frame + between
    sizes = np.array([len(frame) for frame in frames], np.uint32)
    return FrameBlock(
        data=read_only(np.frombuffer(bytes(data), np.uint8)),
        start=np.array(start, np.int64),
        captured_bytes=sizes,
        length_bytes=sizes.copy() if lengths is None else np.array(lengths, np.uint32),
        ts_ns=np.arange(len(frames), dtype=np.int64) if ts_ns is None else np.array(ts_ns, np.int64),
        link_type=np.full(len(frames), link_type, np.uint16),
        first_frame=1,
        first_offset=0,
        last_offset=len(data),
    )
