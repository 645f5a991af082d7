"""Decoding frames into rows, well formed, cut and damaged."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import DecodeStatus, Fragment, Tunnel
from schemas.packets import ARP_REQUEST, NO_PROTOCOL, NO_WINDOW_SCALE, PACKET_COLUMNS, PACKET_SCHEMA
from streams.decode import NO_TIME_NS, decode
from streams.packets import Packets
from tests.streams import builders as b

LINK_TYPES = (0, 1, 12, 14, 101, 108, 113, 228, 229, 276, 105)
TCP4 = b.ipv4(6, b.tcp(b"payload"))
TCP6 = b.ipv6(6, b.tcp(b"payload"))
SCALE = b"\x02\x04\x05\xb4\x01\x03\x03\x07"
SAMPLES = [
    b.ethernet(b.ipv4(6, b.tcp(b"data", options=SCALE))),
    b.ethernet(b.ipv4(17, b.udp(b"data"), options=b"\x94\x04\x00\x00"), vlans=(5, 6)),
    b.ethernet(b.ipv6(17, b.udp(b"data"), extensions=[(0, bytes(7)), (43, bytes(7)), (60, bytes(7))])),
    b.ethernet(b.ipv4(47, b.gre(TCP6, 0x86DD, 0xB000, bytes(12)))),
    b.ethernet(b.ipv4(17, b.udp(b.vxlan(b.ethernet(TCP4)), destination_port=4789))),
    b.ethernet(b.arp(), 0x0806),
    b.ethernet(b"\x00\x01\x11\x40" + TCP4, 0x8847),
]


def row_of(frame: bytes, link_type: int = 1, length: int | None = None) -> dict[str, Any]:
    packets = decode(b.block_of([frame], link_type, None if length is None else [length]), NO_TIME_NS)
    return row(packets, 0)


def row(packets: Packets, number: int) -> dict[str, Any]:
    found = {name: column[number] for name, column in packets._asdict().items()}
    for name in ("src_ip", "dst_ip"):
        address = IPv6Address(found[name].tobytes())
        found[name] = str(address.ipv4_mapped or address)
    return {name: value if isinstance(value, str) else int(value) for name, value in found.items()}


def test_the_columns_are_those_of_the_schema() -> None:
    packets = decode(b.block_of([]), NO_TIME_NS)
    assert packets._fields == tuple(column.name for column in PACKET_COLUMNS)
    for field, column in zip(PACKET_SCHEMA, packets, strict=True):
        assert column.itemsize * int(np.prod(column.shape[1:], dtype=int)) == field.type.bit_width // 8


def test_a_tcp_segment_fills_every_tcp_column() -> None:
    found = row_of(b.ethernet(b.ipv4(6, b.tcp(b"abc", options=SCALE, flags=0x112)), vlans=(77, 78)))
    assert found == {
        "ts_ns": 0,
        "frame": 1,
        "lag_ns": 0,
        "src_ip": "192.0.2.1",
        "dst_ip": "192.0.2.2",
        "src_port": 40000,
        "dst_port": 443,
        "protocol": 6,
        "ether_type": 0x0800,
        "vlan": 77,
        "tunnel": Tunnel.NONE,
        "fragment": Fragment.NONE,
        "ttl": 64,
        "tcp_flags": 0x112,
        "tcp_seq": 1000,
        "tcp_ack": 2000,
        "tcp_window_bytes": 501,
        "tcp_window_scale": 7,
        "payload_bytes": 3,
        "length_bytes": 73,
        "captured_bytes": 73,
        "ip_header_bytes": 20,
        "l4_header_bytes": 28,
        "icmp_type": 0,
        "icmp_code": 0,
        "decode_status": DecodeStatus.OK,
    }


@pytest.mark.parametrize(
    ("link_type", "head"),
    [
        (0, b"\x02\0\0\0"),
        (0, b"\0\0\0\x02"),
        (108, b"\0\0\0\x02"),
        (12, b""),
        (14, b""),
        (101, b""),
        (228, b""),
        (113, struct.pack(">HHH8xH", 0, 1, 6, 0x0800)),
        (276, struct.pack(">HHIHBB8x", 0x0800, 0, 2, 1, 0, 6)),
    ],
)
def test_every_link_type_leads_to_the_same_ipv4_packet(link_type: int, head: bytes) -> None:
    found = row_of(head + TCP4, link_type)
    assert (found["src_ip"], found["dst_port"], found["payload_bytes"]) == ("192.0.2.1", 443, 7)
    assert (found["decode_status"], found["ether_type"]) == (DecodeStatus.OK, 0x0800)


@pytest.mark.parametrize(
    ("link_type", "head"),
    [(0, bytes([family, 0, 0, 0])) for family in (10, 23, 24, 28, 30)] + [(101, b""), (229, b"")],
)
def test_every_link_type_leads_to_the_same_ipv6_packet(link_type: int, head: bytes) -> None:
    found = row_of(head + TCP6, link_type)
    assert (found["src_ip"], found["dst_port"], found["ether_type"]) == ("2001:db8::1", 443, 0x86DD)


@pytest.mark.parametrize("tag", [0x8100, 0x88A8, 0x9100])
def test_the_outermost_vlan_is_kept(tag: int) -> None:
    found = row_of(b.ethernet(TCP4, vlans=(100, 200), tag=tag))
    assert (found["vlan"], found["dst_port"]) == (100, 443)


PPP = b"\x11\x00\x00\x01" + struct.pack(">HH", len(TCP4) + 2, 0x0021)


@pytest.mark.parametrize(
    ("payload", "ether_type"),
    [
        (b"\x00\x01\x10\x40\x00\x02\x11\x40" + TCP4, 0x8847),
        (b"\x00\x01\x11\x40" + bytes(4) + b.ethernet(TCP4), 0x8848),
        (PPP + TCP4, 0x8864),
        (b"\xaa\xaa\x03\x00\x00\x00\x08\x00" + TCP4, 8 + len(TCP4)),
    ],
)
def test_labels_and_wrappers_are_taken_off(payload: bytes, ether_type: int) -> None:
    found = row_of(b.ethernet(payload, ether_type))
    assert (found["dst_port"], found["payload_bytes"], found["ether_type"]) == (443, 7, 0x0800)
    assert found["decode_status"] == DecodeStatus.OK


OUTER = {"source": "203.0.113.1", "destination": "203.0.113.2"}
INNER = b.ethernet(TCP4)
ERSPAN_III = struct.pack(">HHIHH", 0x2000, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("protocol", "payload", "tunnel"),
    [
        (47, b.gre(TCP4, 0x0800), Tunnel.GRE),
        (47, b.gre(TCP6, 0x86DD, 0xB000, bytes(12)), Tunnel.GRE),
        (47, b.gre(INNER, 0x6558), Tunnel.GRE),
        (47, struct.pack(">HHHHI", 0x3001, 0x880B, 60, 1, 7) + b"\xff\x03\x00\x21" + TCP4, Tunnel.GRE),
        (17, b.udp(b.gre(TCP4, 0x0800), destination_port=4754), Tunnel.GRE),
        (47, b.gre(INNER, 0x88BE), Tunnel.ERSPAN),
        (47, b.gre(bytes(8) + INNER, 0x88BE, 0x1000, bytes(4)), Tunnel.ERSPAN),
        (47, b.gre(ERSPAN_III + INNER, 0x22EB, 0x1000, bytes(4)), Tunnel.ERSPAN),
        (47, b.gre(ERSPAN_III[:-1] + b"\x01" + bytes(8) + INNER, 0x22EB, 0x1000, bytes(4)), Tunnel.ERSPAN),
        (17, b.udp(b.vxlan(INNER), destination_port=4789), Tunnel.VXLAN),
        (4, TCP4, Tunnel.IP_IN_IP),
        (41, TCP6, Tunnel.IP_IN_IP),
        (4, b.ipv4(47, b.gre(TCP4, 0x0800)), Tunnel.IP_IN_IP),
    ],
)
@pytest.mark.parametrize("version", [4, 6])
def test_a_tunnel_is_taken_off_to_the_innermost_packet(
    version: int, protocol: int, payload: bytes, tunnel: Tunnel
) -> None:
    outer = b.ipv4(protocol, payload, **OUTER) if version == 4 else b.ipv6(protocol, payload)
    found = row_of(b.ethernet(outer))
    assert found["src_ip"] in ("192.0.2.1", "2001:db8::1")
    assert (found["dst_port"], found["payload_bytes"], found["protocol"]) == (443, 7, 6)
    assert (found["tunnel"], found["decode_status"]) == (tunnel, DecodeStatus.OK)


@pytest.mark.parametrize(
    ("inner", "status"),
    [
        (b.gre(TCP4[:10], 0x0800), DecodeStatus.TRUNCATED_NETWORK),
        (b.gre(b"\x00" * 40, 0x0800), DecodeStatus.MALFORMED_NETWORK),
        (b.gre(b"\x00" * 40, 0x88CC), DecodeStatus.UNKNOWN_NETWORK),
        (b.gre(b"\x00" * 5, 0x6558), DecodeStatus.TRUNCATED_LINK),
        (b"\x00\x00", DecodeStatus.TRUNCATED_TRANSPORT),
    ],
)
def test_the_outer_packet_stands_in_for_an_inner_one_that_cannot_be_read(inner: bytes, status: DecodeStatus) -> None:
    found = row_of(b.ethernet(b.ipv4(47, inner, **OUTER)))
    assert (found["src_ip"], found["protocol"], found["tunnel"]) == ("203.0.113.1", 47, Tunnel.NONE)
    assert found["decode_status"] == status


def test_tunnels_in_tunnels_end_somewhere() -> None:
    packet = TCP4
    for _ in range(50):
        packet = b.ipv4(4, packet, **OUTER)
    found = row_of(b.ethernet(packet))
    assert (found["protocol"], found["decode_status"]) == (4, DecodeStatus.UNKNOWN_NETWORK)


def test_other_traffic_on_the_vxlan_port_stays_as_it_is() -> None:
    found = row_of(b.ethernet(b.ipv4(17, b.udp(bytes(40), destination_port=4789))))
    assert (found["protocol"], found["tunnel"], found["payload_bytes"]) == (17, Tunnel.NONE, 40)


def test_ipv6_extension_headers_are_walked() -> None:
    chain = [(0, bytes(7)), (43, bytes(7)), (60, b"\x01" + bytes(14)), (51, b"\x04" + bytes(22)), (135, bytes(7))]
    found = row_of(b.ethernet(b.ipv6(17, b.udp(b"abc"), extensions=chain)))
    assert (found["protocol"], found["dst_port"], found["payload_bytes"]) == (17, 53, 3)
    assert found["ip_header_bytes"] == 40 + 8 + 8 + 16 + 24 + 8


@pytest.mark.parametrize(
    ("offset_and_more", "fragment", "port"),
    [(0x0001, Fragment.FIRST, 53), (0x0010, Fragment.LATER, 0), (0x0000, Fragment.NONE, 53)],
)
def test_ipv6_fragments_are_told_apart(offset_and_more: int, fragment: Fragment, port: int) -> None:
    head = struct.pack(">BHI", 0, offset_and_more, 99)
    found = row_of(b.ethernet(b.ipv6(17, b.udp(b"abc"), extensions=[(44, head)])))
    assert (found["fragment"], found["dst_port"], found["protocol"]) == (fragment, port, 17)


def test_ipv4_fragments_count_only_the_bytes_they_carry() -> None:
    first = row_of(b.ethernet(b.ipv4(17, b.udp(b"x" * 92, length=3000), fragment=0x2000)))
    later = row_of(b.ethernet(b.ipv4(17, b"y" * 100, fragment=0x000D)))
    assert (first["fragment"], first["dst_port"], first["payload_bytes"]) == (Fragment.FIRST, 53, 92)
    assert (later["fragment"], later["dst_port"], later["payload_bytes"]) == (Fragment.LATER, 0, 100)
    assert first["decode_status"] == later["decode_status"] == DecodeStatus.OK


def test_arp_shows_its_protocol_addresses() -> None:
    found = row_of(b.ethernet(b.arp("198.51.100.1", "198.51.100.2") + bytes(18), 0x0806))
    assert (found["src_ip"], found["dst_ip"], found["protocol"]) == ("198.51.100.1", "198.51.100.2", NO_PROTOCOL)
    assert (found["decode_status"], found["ether_type"], found["icmp_type"]) == (DecodeStatus.OK, 0x0806, ARP_REQUEST)


@pytest.mark.parametrize(
    ("protocol", "payload", "expected"),
    [
        (1, b"\x03\x0d" + bytes(26), {"icmp_type": 3, "icmp_code": 13, "payload_bytes": 20}),
        (58, b"\x80\x00" + bytes(10), {"icmp_type": 128, "icmp_code": 0, "payload_bytes": 4}),
        (132, struct.pack(">HHII", 7, 8, 1, 0) + b"chunk", {"src_port": 7, "dst_port": 8, "payload_bytes": 5}),
        (136, struct.pack(">HHHH", 7, 8, 8, 0) + b"lite!", {"src_port": 7, "dst_port": 8, "payload_bytes": 5}),
        (50, b"esp is not looked into", {"src_port": 0, "l4_header_bytes": 0, "payload_bytes": 22}),
    ],
)
def test_other_transports(protocol: int, payload: bytes, expected: dict[str, int]) -> None:
    found = row_of(b.ethernet(b.ipv4(protocol, payload)))
    assert {name: found[name] for name in expected} == expected
    assert found["decode_status"] == DecodeStatus.OK


def test_link_padding_is_no_payload() -> None:
    assert row_of(b.ethernet(b.ipv4(6, b.tcp())) + bytes(6))["payload_bytes"] == 0


def test_a_total_length_of_zero_reaches_to_the_end_of_the_frame() -> None:
    assert row_of(b.ethernet(b.ipv4(6, b.tcp(b"x" * 3000), total_bytes=0)))["payload_bytes"] == 3000


def test_a_snapped_frame_keeps_the_lengths_of_the_wire() -> None:
    frame = b.ethernet(b.ipv4(6, b.tcp(b"x" * 1000)))
    found = row_of(frame[:54], length=len(frame))
    assert (found["payload_bytes"], found["length_bytes"], found["captured_bytes"]) == (1000, len(frame), 54)
    assert found["decode_status"] == DecodeStatus.OK


@pytest.mark.parametrize(
    ("captured", "status"),
    [
        (0, DecodeStatus.TRUNCATED_LINK),
        (13, DecodeStatus.TRUNCATED_LINK),
        (14, DecodeStatus.TRUNCATED_NETWORK),
        (33, DecodeStatus.TRUNCATED_NETWORK),
        (34, DecodeStatus.TRUNCATED_TRANSPORT),
        (53, DecodeStatus.TRUNCATED_TRANSPORT),
        (54, DecodeStatus.OK),
    ],
)
def test_a_cut_is_named_by_the_layer_it_falls_into(captured: int, status: DecodeStatus) -> None:
    frame = b.ethernet(TCP4)
    assert row_of(frame[:captured], length=len(frame))["decode_status"] == status


@pytest.mark.parametrize(
    ("packet", "status"),
    [
        (b"\x44" + TCP4[1:], DecodeStatus.MALFORMED_NETWORK),
        (b"\x65" + TCP4[1:], DecodeStatus.MALFORMED_NETWORK),
        (b.ipv4(6, b.tcp(), total_bytes=19), DecodeStatus.MALFORMED_NETWORK),
        (b.ipv4(6, b.tcp(), total_bytes=30), DecodeStatus.MALFORMED_TRANSPORT),
        (b.ipv4(6, b.tcp()[:12] + b"\x40" + b.tcp()[13:]), DecodeStatus.MALFORMED_TRANSPORT),
        (b.ipv4(17, b.udp(b"abc", length=4)), DecodeStatus.MALFORMED_TRANSPORT),
        (b.ipv4(17, b.udp(b"abc", length=400)), DecodeStatus.MALFORMED_TRANSPORT),
    ],
)
def test_a_header_that_contradicts_itself_is_malformed(packet: bytes, status: DecodeStatus) -> None:
    assert row_of(b.ethernet(packet, 0x0800))["decode_status"] == status


def test_what_is_not_ip_is_unknown_and_keeps_its_type() -> None:
    for frame, ether_type in (
        (b.ethernet(bytes(46), 0x88CC), 0x88CC),
        (b.ethernet(b"\x42\x42\x03" + bytes(43), 38), 38),
    ):
        found = row_of(frame)
        assert (found["decode_status"], found["ether_type"]) == (DecodeStatus.UNKNOWN_NETWORK, ether_type)
        assert (found["protocol"], found["src_ip"]) == (NO_PROTOCOL, "::")


def test_an_unknown_link_type_is_one_row() -> None:
    found = row_of(b"802.11", link_type=105)
    assert (found["decode_status"], found["length_bytes"]) == (DecodeStatus.UNSUPPORTED_LINK_TYPE, 6)


def test_lag_is_measured_from_the_newest_earlier_frame() -> None:
    packets = decode(b.block_of([SAMPLES[0]] * 5, ts_ns=[100, 90, 120, 110, 121]), NO_TIME_NS)
    assert packets.lag_ns.tolist() == [0, 10, 0, 10, 0]
    assert packets.newest_ns(NO_TIME_NS) == 121
    assert decode(b.block_of([SAMPLES[0]], ts_ns=[100]), 130).lag_ns.tolist() == [30]


def test_a_window_scale_above_14_counts_as_14() -> None:
    found = row_of(b.ethernet(b.ipv4(6, b.tcp(options=b"\x03\x03\xff\x00"))))
    assert found["tcp_window_scale"] == 14
    assert row_of(b.ethernet(TCP4))["tcp_window_scale"] == NO_WINDOW_SCALE


def damage(frame: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    damaged = bytearray(frame)
    for at, value in changes:
        damaged[at % len(frame)] = value
    return bytes(damaged[: len(frame) - cut])


damaged_frame = st.one_of(
    st.binary(max_size=120),
    st.builds(
        damage,
        st.sampled_from([*SAMPLES, TCP4, TCP6]),
        st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
        st.integers(0, 40),
    ),
)


@settings(max_examples=200)
@given(
    frames=st.lists(damaged_frame, min_size=1, max_size=8),
    link_type=st.sampled_from(LINK_TYPES),
    extra=st.integers(0, 2000),
)
def test_whatever_the_bytes_each_frame_is_one_row_made_of_its_own_bytes(
    frames: list[bytes], link_type: int, extra: int
) -> None:
    lengths = [len(frame) + extra for frame in frames]
    # The bytes around the frames differ; a decoder that reads beyond a frame gives different rows.
    found = [
        decode(b.block_of(frames, link_type, lengths, between=between), NO_TIME_NS)
        for between in (b"", b"\x00" * 96, b"\xff" * 96, b"\x45\x60\x03\x11" * 24)
    ]
    for packets in found[1:]:
        for column, other in zip(found[0], packets, strict=True):
            assert column.tolist() == other.tolist()
    statuses = found[0].decode_status
    assert len(statuses) == len(frames)
    assert set(statuses.tolist()) <= {status.value for status in DecodeStatus}
    assert (found[0].payload_bytes <= found[0].length_bytes).all()


@given(frames=st.lists(st.sampled_from(SAMPLES), min_size=2, max_size=20), data=st.data())
def test_rows_do_not_depend_on_how_frames_are_put_into_blocks(frames: list[bytes], data: st.DataObject) -> None:
    times = data.draw(st.lists(st.integers(0, 50), min_size=len(frames), max_size=len(frames)))
    cut = data.draw(st.integers(1, len(frames) - 1))
    whole = decode(b.block_of(frames, ts_ns=times), NO_TIME_NS)
    first = decode(b.block_of(frames[:cut], ts_ns=times[:cut]), NO_TIME_NS)
    second = decode(b.block_of(frames[cut:], ts_ns=times[cut:]), first.newest_ns(NO_TIME_NS))
    for name, column in whole._asdict().items():
        if name != "frame":
            parts = np.concatenate([getattr(first, name), getattr(second, name)])
            assert column.tolist() == parts.tolist()
