"""What tshark says about packets, in the words of our columns."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import TypeAlias

from schemas.packets import NO_PROTOCOL
from streams.decode import NO_TIME_NS, decode
from streams.files import open_capture
from tests.tshark import read_fields

Frame: TypeAlias = dict[str, list[str]]
Row: TypeAlias = dict[str, object]

FRAME_COLUMNS = ("frame", "ts_ns", "length_bytes", "captured_bytes")
"""What must agree on every file that tshark reads, whatever is in the frames."""

FIELDS = (
    *("frame.number", "frame.time_epoch", "frame.len", "frame.cap_len", "frame.protocols", "vlan.id"),
    *("ip.src", "ip.dst", "ip.proto", "ip.ttl", "ipv6.src", "ipv6.dst", "ipv6.hlim"),
    *("arp.opcode", "arp.src.proto_ipv4", "arp.dst.proto_ipv4"),
    *("tcp.srcport", "tcp.dstport", "tcp.len", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags"),
    *("tcp.window_size_value", "tcp.hdr_len", "tcp.options.wscale.shift"),
    *("udp.srcport", "udp.dstport", "udp.length", "sctp.srcport", "sctp.dstport"),
    *("icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code"),
)

_NETWORK = {"ip": ("ip.src", "ip.dst", "ip.ttl"), "ipv6": ("ipv6.src", "ipv6.dst", "ipv6.hlim")}
_TRANSPORT = ("tcp", "udp", "udplite", "sctp", "icmp", "icmpv6")
_NO_ADDRESS = "::"


def tshark_rows(path: Path, profile: Path) -> tuple[list[Row], str]:
    """Return what tshark says of each frame of a capture, and what it complained about."""
    frames, complaints = read_fields(path, FIELDS, profile)
    return [_row(frame) for frame in frames], complaints


def our_rows(path: Path) -> list[Row]:
    """Return the packets of a capture, as our decoder has them."""
    rows: list[Row] = []
    newest_ns = NO_TIME_NS
    with open_capture(path) as capture:
        for block in capture.blocks(10_000):
            packets = decode(block, newest_ns)
            newest_ns = packets.newest_ns(newest_ns)
            columns = {
                name: [_address(bytes(a)) for a in column] if column.ndim == 2 else column.tolist()
                for name, column in packets._asdict().items()
            }
            rows += [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return rows


def _address(packed: bytes) -> str:
    address = IPv6Address(packed)
    return str(address.ipv4_mapped or address)


def _layers(frame: Frame) -> list[str]:
    """Return the protocols of a frame without those that an ICMP error quotes."""
    names = frame["frame.protocols"][0].split(":") if frame["frame.protocols"] else []
    first = next((at for at, name in enumerate(names) if name in ("icmp", "icmpv6")), len(names))
    return names[: first + 1]


def _row(frame: Frame) -> Row:
    seconds, nanoseconds = frame["frame.time_epoch"][0].split(".")
    sign = -1 if seconds.startswith("-") else 1
    layers = _layers(frame)
    row: Row = {
        "frame": int(frame["frame.number"][0]),
        "ts_ns": int(seconds) * 1_000_000_000 + sign * int(nanoseconds),
        "length_bytes": int(frame["frame.len"][0]),
        "captured_bytes": int(frame["frame.cap_len"][0]),
        "vlan": next((int(vlan) for vlan in frame["vlan.id"] if int(vlan)), 0),
        "src_ip": _NO_ADDRESS,
        "dst_ip": _NO_ADDRESS,
        "src_port": 0,
        "dst_port": 0,
    }
    last = _innermost_readable(frame, layers)
    if last < 0:
        return row | {"protocol": NO_PROTOCOL}
    if layers[last] == "arp":
        for ours, theirs in (("src_ip", "arp.src.proto_ipv4"), ("dst_ip", "arp.dst.proto_ipv4")):
            row[ours] = frame[theirs][0] if frame[theirs] else _NO_ADDRESS
        if row["dst_ip"] != _NO_ADDRESS:
            row["icmp_type"] = min(int(frame["arp.opcode"][0]), 255)
        return row | {"protocol": NO_PROTOCOL}
    at = layers[: last + 1].count(layers[last]) - 1
    source, destination, ttl = _NETWORK[layers[last]]
    row |= {"src_ip": _plain(frame[source][at]), "dst_ip": _plain(frame[destination][at])}
    row["ttl"] = int(frame[ttl][at])
    if layers[last] == "ip":
        row["protocol"] = int(frame["ip.proto"][at])
    transport = next((name for name in layers[last:] if name in _TRANSPORT), None)
    return row if transport is None else row | _transport(frame, transport, layers.count(transport) - 1)


def _innermost_readable(frame: Frame, layers: list[str]) -> int:
    """Return the place of the innermost network layer whose addresses tshark could read, -1 for none."""
    found = -1
    for place, name in enumerate(layers):
        count = layers[: place + 1].count(name)
        if name == "arp" or (name in _NETWORK and len(frame[_NETWORK[name][1]]) >= count):
            found = place
    return found


def _plain(address: str) -> str:
    """Return an address as ours are written: an IPv6 address that maps IPv4 as IPv4."""
    parsed = ip_address(address)
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _transport(frame: Frame, name: str, at: int) -> Row:
    def values(**fields: str) -> Row:
        return {column: int(frame[field][at], 0) for column, field in fields.items() if at < len(frame[field])}

    if name in ("icmp", "icmpv6"):
        return values(icmp_type=f"{name}.type", icmp_code=f"{name}.code")
    if name == "sctp":
        return values(src_port="sctp.srcport", dst_port="sctp.dstport")
    if name != "tcp":
        row = values(src_port="udp.srcport", dst_port="udp.dstport", udp_length="udp.length")
        length = row.pop("udp_length", None)
        return row | ({"payload_bytes": length - 8} if isinstance(length, int) and length >= 8 else {})
    row = values(
        src_port="tcp.srcport",
        dst_port="tcp.dstport",
        payload_bytes="tcp.len",
        tcp_seq="tcp.seq_raw",
        tcp_ack="tcp.ack_raw",
        tcp_flags="tcp.flags",
        tcp_window_bytes="tcp.window_size_value",
        l4_header_bytes="tcp.hdr_len",
    )
    if frame["tcp.options.wscale.shift"]:
        row["tcp_window_scale"] = min(14, int(frame["tcp.options.wscale.shift"][-1]))
    return row
