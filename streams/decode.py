"""Decoding: from the bytes of captured frames to one row of columns each.

The row describes the innermost IP or ARP packet whose header could be read. ``decode_status`` says why decoding
ended before the transport header, or why the packet inside a tunnel could not be reached.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from schemas.enums import DecodeStatus, Fragment, Tunnel
from streams.fields import (
    ADDRESS_BYTES,
    DST_AT,
    DST_PORT,
    ETHER_TYPE,
    FIELDS,
    FRAGMENT,
    ICMP_CODE,
    ICMP_TYPE,
    IP_HEADER_BYTES,
    L4_HEADER_BYTES,
    PAYLOAD_BYTES,
    PROTOCOL,
    SRC_AT,
    SRC_PORT,
    TCP_ACK,
    TCP_FLAGS,
    TCP_SEQ,
    TCP_WINDOW_BYTES,
    TCP_WINDOW_SCALE,
    TTL,
    TUNNEL,
    VLAN,
    Fields,
    clear,
)
from streams.files import FrameBlock
from streams.jit import kernel
from streams.link_layers import ARP, RARP, enter_frame, peel
from streams.network_layers import read_arp, read_network
from streams.octets import Octets, bare, read_only
from streams.packets import NO_TIME_NS, Packets, empty_packets
from streams.transport_layers import read_transport
from streams.tunnels import enter_tunnel

__all__ = ["MAX_PACKETS_IN_PACKET", "NO_TIME_NS", "Packets", "decode"]

MAX_PACKETS_IN_PACKET = 8
"""Network layers inside one another that are looked into; what is deeper counts as unknown."""

_OK = DecodeStatus.OK.value
_UNKNOWN = DecodeStatus.UNKNOWN_NETWORK.value
_NO_TUNNEL = Tunnel.NONE.value
_LATER = Fragment.LATER.value


def decode(block: FrameBlock, newest_ns: int) -> Packets:
    """Decode the frames of a block, each into exactly one row, whatever its bytes.

    Parameters
    ----------
    block : FrameBlock
        The frames; the columns of the result do not refer to its bytes.
    newest_ns : int
        Newest event time of the capture before this block, ns; ``NO_TIME_NS`` before the first.

    Returns
    -------
    Packets
        Columns of shape (len(block),).
    """
    packets = empty_packets(len(block))
    decode_frames(
        read_only(block.data),
        block.start,
        block.captured_bytes,
        block.length_bytes,
        block.ts_ns,
        block.link_type,
        block.first_frame,
        newest_ns,
        np.zeros(FIELDS, np.int64),
        packets,
    )
    return packets


@kernel
def decode_frame(data: Octets, at: int, end: int, wire_end: int, link_type: int, fields: Fields) -> int:
    """Decode one frame into fields that are clear; return its status."""
    status, ether_type, at = enter_frame(data, at, end, link_type)
    if status != _OK:
        fields[ETHER_TYPE] = ether_type
        return status
    outermost, vlan, is_outer = _NO_TUNNEL, 0, True
    for _ in range(MAX_PACKETS_IN_PACKET):
        status, ether_type, at, wire_end, vlan = peel(data, at, end, wire_end, ether_type, vlan)
        if is_outer:
            fields[ETHER_TYPE] = ether_type
            fields[VLAN] = vlan
        if status != _OK:
            return status
        if ether_type in (ARP, RARP):
            clear(fields)
            fields[ETHER_TYPE] = ether_type
            fields[VLAN] = vlan
            fields[TUNNEL] = outermost
            return read_arp(data, at, min(end, wire_end), fields)
        status, at, said_end = read_network(data, at, end, wire_end, ether_type, fields)
        if at < 0:
            return status
        fields[VLAN] = vlan
        fields[TUNNEL] = outermost
        if status != _OK:
            return status
        status = read_transport(data, at, end, wire_end, said_end, fields)
        if status != _OK or fields[FRAGMENT] == _LATER:
            return status
        wire_end = min(wire_end, said_end)
        end = min(end, wire_end)
        status, tunnel, ether_type, at = enter_tunnel(data, at, end, fields)
        if tunnel == _NO_TUNNEL or status != _OK:
            return status
        outermost = outermost or tunnel
        is_outer = False
    return _UNKNOWN


@kernel
def copy_address(data: Octets, at: int, size: int, addresses: Octets, to: int) -> None:
    """Write an address of 0, 4 or 16 bytes into 16 bytes: none is ::, IPv4 is mapped."""
    if size == 16:
        for k in range(16):
            addresses[to + k] = data[at + k]
        return
    for k in range(16):
        addresses[to + k] = 0
    if size == 4:
        addresses[to + 10] = 0xFF
        addresses[to + 11] = 0xFF
        for k in range(4):
            addresses[to + 12 + k] = data[at + k]


@kernel
def decode_frames(
    data: Octets,
    start: npt.NDArray[np.int64],
    captured_bytes: npt.NDArray[np.uint32],
    length_bytes: npt.NDArray[np.uint32],
    ts_ns: npt.NDArray[np.int64],
    link_type: npt.NDArray[np.uint16],
    first_frame: int,
    newest_ns: int,
    fields: Fields,
    packets: Packets,
) -> None:
    """Decode frames into the rows of ``packets``; ``fields`` is room to work in."""
    octets, workplace = bare(data), bare(fields)
    for row in range(len(start)):
        begin = start[row]
        end = begin + np.int64(captured_bytes[row])
        # A frame that was captured longer than it says to have been was so on the wire.
        wire_end = max(end, begin + np.int64(length_bytes[row]))
        clear(workplace)
        packets.decode_status[row] = decode_frame(octets, begin, end, wire_end, link_type[row], workplace)
        packets.ts_ns[row] = ts_ns[row]
        packets.frame[row] = first_frame + row
        packets.lag_ns[row] = newest_ns - ts_ns[row] if newest_ns > ts_ns[row] else 0
        newest_ns = max(newest_ns, ts_ns[row])
        packets.length_bytes[row] = length_bytes[row]
        packets.captured_bytes[row] = captured_bytes[row]
        copy_address(octets, fields[SRC_AT], fields[ADDRESS_BYTES], bare(packets.src_ip), row * 16)
        copy_address(octets, fields[DST_AT], fields[ADDRESS_BYTES], bare(packets.dst_ip), row * 16)
        packets.src_port[row] = fields[SRC_PORT]
        packets.dst_port[row] = fields[DST_PORT]
        packets.protocol[row] = fields[PROTOCOL]
        packets.ether_type[row] = fields[ETHER_TYPE]
        packets.vlan[row] = fields[VLAN]
        packets.tunnel[row] = fields[TUNNEL]
        packets.fragment[row] = fields[FRAGMENT]
        packets.ttl[row] = fields[TTL]
        packets.tcp_flags[row] = fields[TCP_FLAGS]
        packets.tcp_seq[row] = fields[TCP_SEQ]
        packets.tcp_ack[row] = fields[TCP_ACK]
        packets.tcp_window_bytes[row] = fields[TCP_WINDOW_BYTES]
        packets.tcp_window_scale[row] = fields[TCP_WINDOW_SCALE]
        packets.payload_bytes[row] = fields[PAYLOAD_BYTES]
        packets.ip_header_bytes[row] = fields[IP_HEADER_BYTES]
        packets.l4_header_bytes[row] = fields[L4_HEADER_BYTES]
        packets.icmp_type[row] = fields[ICMP_TYPE]
        packets.icmp_code[row] = fields[ICMP_CODE]
