"""Packet records to pcap bytes: one matrix per kind of header, no Python per packet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.records import SERVER_BIT, SYN, TCP, UDP

if TYPE_CHECKING:
    from numpy.typing import NDArray

PCAP_HEADER_BYTES = 24
RECORD_HEADER_BYTES = 16
TCP_HEADER_BYTES = 32  # with NOP, NOP, timestamps (RFC 7323)
SYN_HEADER_BYTES = 40  # MSS, SACK permitted, timestamps, NOP, window scale 7
NAME = b"\x07h000000\x07example\x03com\x00"


def pcap_header(snap_bytes: int) -> bytes:
    """Return the global header of a nanosecond, little-endian, Ethernet capture."""
    words = np.array([0xA1B23C4D, 4 << 16 | 2, 0, 0, snap_bytes, 1], "<u4")
    return words.tobytes()


def l4_header_bytes(rows: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the length of the transport header of every record (n,)."""
    is_tcp = rows["protocol"] == TCP
    tcp = np.where(rows["flags"] & SYN, SYN_HEADER_BYTES, TCP_HEADER_BYTES)
    return np.where(is_tcp, tcp, 8)


def frame_bytes(rows: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the length of every frame on the wire (n,)."""
    link = np.where(rows["vlan"] > 0, 18, 14)
    network = np.where(rows["is_ipv6"], 40, 20)
    total: NDArray[np.int64] = link + network + l4_header_bytes(rows) + rows["payload_bytes"]
    return total


def _put(matrix: NDArray[np.uint8], column: int, values: NDArray[np.generic] | int, width: int) -> None:
    """Write big-endian numbers of `width` bytes at `column`; columns past the snap length are left out."""
    numbers = np.asarray(values)
    for i in range(min(width, matrix.shape[1] - column)):
        matrix[:, column + i] = (numbers >> (8 * (width - 1 - i))) & 0xFF


def write_frames(rows: NDArray[np.void], snap_bytes: int, noise: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pcap records of all packets in order (bytes,), each cut at `snap_bytes`."""
    wire = frame_bytes(rows)
    captured = np.minimum(wire, snap_bytes)
    width = RECORD_HEADER_BYTES + int(captured.max(initial=0))
    matrix = np.empty((len(rows), width), np.uint8)
    matrix[:] = noise[:width]
    head = np.empty((len(rows), 4), "<u4")
    head[:, 0] = rows["ts_ns"] // 1_000_000_000
    head[:, 1] = rows["ts_ns"] % 1_000_000_000
    head[:, 2], head[:, 3] = captured, wire
    matrix[:, :RECORD_HEADER_BYTES] = head.view(np.uint8).reshape(len(rows), RECORD_HEADER_BYTES)
    layout = (rows["vlan"] > 0) * 2 + rows["is_ipv6"]
    for kind in range(4):
        chosen = np.flatnonzero(layout == kind)
        if len(chosen):
            frames = matrix[chosen, RECORD_HEADER_BYTES:]
            _fill(frames, rows[chosen])
            matrix[chosen, RECORD_HEADER_BYTES:] = frames
    return matrix[np.arange(width) < (RECORD_HEADER_BYTES + captured)[:, None]]


def _fill(frames: NDArray[np.uint8], rows: NDArray[np.void]) -> None:
    is_ipv6, is_tagged = bool(rows["is_ipv6"][0]), bool(rows["vlan"][0])
    for column, side in ((0, "destination"), (6, "source")):
        _put(frames, column, rows[side].astype(np.uint64) | 0x020000000000, 6)
    if is_tagged:
        _put(frames, 12, 0x8100, 2)
        _put(frames, 14, rows["vlan"], 2)
    link = 18 if is_tagged else 14
    _put(frames, link - 2, 0x86DD if is_ipv6 else 0x0800, 2)
    (_ipv6 if is_ipv6 else _ipv4)(frames, link, rows)
    l4 = link + (40 if is_ipv6 else 20)
    for protocol, writer in ((TCP, _tcp), (UDP, _udp), (0, _icmp)):
        chosen = rows["protocol"] == protocol if protocol else (rows["protocol"] != TCP) & (rows["protocol"] != UDP)
        if chosen.any():
            part = frames[chosen]
            writer(part, l4, rows[chosen])
            frames[chosen] = part


def _host_ipv4(host: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Clients live in 10.0.0.0/16 (RFC 1918), servers in 198.18.0.0/16 (RFC 2544)."""
    network = np.where(host & SERVER_BIT, 0xC6120000, 0x0A000000).astype(np.uint32)
    return np.asarray(network | (host & 0xFFFF), np.uint32)


def _ipv4(frames: NDArray[np.uint8], at: int, rows: NDArray[np.void]) -> None:
    length = 20 + l4_header_bytes(rows) + rows["payload_bytes"]
    source, destination = _host_ipv4(rows["source"]), _host_ipv4(rows["destination"])
    ident = (rows["seq"] ^ rows["ack"]) & 0xFFFF
    ttl_protocol = 64 << 8 | rows["protocol"].astype(np.uint32)
    total = 0x4500 + length + ident + 0x4000 + ttl_protocol
    for address in (source, destination):
        total = total + (address >> 16) + (address & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    words = (0x4500, length, ident, 0x4000, ttl_protocol, checksum)
    for i, word in enumerate(words):
        _put(frames, at + 2 * i, word, 2)
    _put(frames, at + 12, source, 4)
    _put(frames, at + 16, destination, 4)


def _ipv6(frames: NDArray[np.uint8], at: int, rows: NDArray[np.void]) -> None:
    _put(frames, at, 0x60000000, 4)
    _put(frames, at + 4, l4_header_bytes(rows) + rows["payload_bytes"], 2)
    _put(frames, at + 6, rows["protocol"], 1)
    _put(frames, at + 7, 64, 1)
    for column, side in ((8, "source"), (24, "destination")):
        _put(frames, at + column, 0x20010DB8, 4)  # documentation prefix, RFC 3849
        _put(frames, at + column + 4, 0, 8)
        _put(frames, at + column + 12, rows[side], 4)


def _tcp(frames: NDArray[np.uint8], at: int, rows: NDArray[np.void]) -> None:
    is_syn = (rows["flags"] & SYN) > 0
    _put(frames, at, rows["source_port"], 2)
    _put(frames, at + 2, rows["destination_port"], 2)
    _put(frames, at + 4, rows["seq"], 4)
    _put(frames, at + 8, rows["ack"], 4)
    _put(frames, at + 12, np.where(is_syn, SYN_HEADER_BYTES, TCP_HEADER_BYTES) // 4 << 4, 1)
    _put(frames, at + 13, rows["flags"], 1)
    _put(frames, at + 14, np.where(is_syn, 64240, 501), 2)
    _put(frames, at + 16, 0, 4)
    clock_ms = rows["ts_ns"] // 1_000_000 & 0xFFFFFFFF
    for is_wanted, column in ((~is_syn, at + 22), (is_syn, at + 26)):
        part = frames[is_wanted]
        if column == at + 22:
            _put(part, at + 20, 0x0101, 2)
        else:
            _put(part, at + 20, 0x020405B40402, 6)
            _put(part, at + 36, 0x01030307, 4)
        _put(part, column, 0x080A, 2)
        _put(part, column + 2, clock_ms[is_wanted], 4)
        _put(part, column + 6, np.where(rows["ack"][is_wanted], clock_ms[is_wanted] - 10, 0), 4)
        frames[is_wanted] = part


def _udp(frames: NDArray[np.uint8], at: int, rows: NDArray[np.void]) -> None:
    _put(frames, at, rows["source_port"], 2)
    _put(frames, at + 2, rows["destination_port"], 2)
    _put(frames, at + 4, 8 + rows["payload_bytes"].astype(np.uint32), 2)
    _put(frames, at + 6, 0xFFFF, 2)  # IPv6 forbids zero
    is_dns = (rows["source_port"] == 53) | (rows["destination_port"] == 53)
    if is_dns.any():
        part = frames[is_dns]
        _dns(part, at + 8, rows[is_dns])
        frames[is_dns] = part
    part = frames[~is_dns]
    _put(part, at + 8, 0x40 | (rows["source_port"][~is_dns] & 0x03), 1)  # QUIC short header, RFC 9000
    frames[~is_dns] = part


def _dns(frames: NDArray[np.uint8], at: int, rows: NDArray[np.void]) -> None:
    number, is_answer = rows["seq"].astype(np.int64), rows["flags"]
    _put(frames, at, number, 2)
    _put(frames, at + 2, np.where(is_answer, 0x8180, 0x0100), 2)
    _put(frames, at + 4, np.where(is_answer, 0x0001000100000000, 0x0001000000000000), 8)
    name = np.frombuffer(NAME, np.uint8)
    _put_bytes(frames, at + 12, name)
    for digit in range(6):
        if at + 14 + digit < frames.shape[1]:
            frames[:, at + 14 + digit] = 48 + number // 10 ** (5 - digit) % 10
    end = at + 12 + len(name)
    _put(frames, end, 0x00010001, 4)
    _put(frames, end + 4, 0xC00C00010001, 6)
    _put(frames, end + 10, 300, 4)
    _put(frames, end + 14, 4, 2)
    _put(frames, end + 16, number + 0xC6120000, 4)


def _put_bytes(frames: NDArray[np.uint8], at: int, values: NDArray[np.uint8]) -> None:
    room = max(0, min(len(values), frames.shape[1] - at))
    frames[:, at : at + room] = values[:room]


def _icmp(frames: NDArray[np.uint8], at: int, rows: NDArray[np.void]) -> None:
    _put(frames, at, rows["flags"], 1)
    _put(frames, at + 1, 0, 3)
    _put(frames, at + 4, rows["seq"], 4)
