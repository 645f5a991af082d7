"""TCP, UDP, UDP-Lite, SCTP, ICMP and ICMPv6, into the row of a packet.

Sources: RFC 9293 (TCP), RFC 7323 (window scale), RFC 768, RFC 3828 (UDP-Lite), RFC 9260 (SCTP), RFC 792, RFC 4443.
What was captured of a cut header is written; payload lengths come from the IP header, as in Wireshark's ``tcp.len``.
"""

from __future__ import annotations

from schemas.enums import DecodeStatus, Fragment
from streams.fields import (
    DST_PORT,
    FRAGMENT,
    ICMP_CODE,
    ICMP_TYPE,
    L4_HEADER_BYTES,
    PAYLOAD_BYTES,
    PROTOCOL,
    SRC_PORT,
    TCP_ACK,
    TCP_FLAGS,
    TCP_SEQ,
    TCP_WINDOW_BYTES,
    TCP_WINDOW_SCALE,
    Fields,
)
from streams.jit import kernel
from streams.octets import Octets, be16, be32

_OK = DecodeStatus.OK.value
_TRUNCATED = DecodeStatus.TRUNCATED_TRANSPORT.value
_MALFORMED = DecodeStatus.MALFORMED_TRANSPORT.value
_FIRST, _LATER = Fragment.FIRST.value, Fragment.LATER.value

ICMP, TCP, UDP, ICMPV6, SCTP, UDP_LITE = 1, 6, 17, 58, 132, 136
_LONGEST_SHIFT = 14
"""A larger window scale counts as 14 (RFC 7323, section 2.3)."""
_LONGEST_UDP_PAYLOAD = 65_527


@kernel
def shortest_header(protocol: int) -> int:
    """Return the bytes of a transport header without options, 0 for a protocol that is not looked into."""
    if protocol == TCP:
        return 20
    if protocol == UDP or protocol == UDP_LITE:
        return 8
    if protocol == SCTP:
        return 12
    if protocol == ICMP or protocol == ICMPV6:
        return 4
    return 0


@kernel
def read_window_scale(data: Octets, at: int, end: int, fields: Fields) -> None:
    """Write the window scale option of ``data[at:end]``, the options of a TCP header, when it is there."""
    while at < end:
        kind = data[at]
        if kind == 0:
            return
        if kind == 1:
            at += 1
            continue
        if at + 1 >= end or data[at + 1] < 2:
            return
        size = data[at + 1]
        if kind == 3 and size == 3 and at + 3 <= end:
            fields[TCP_WINDOW_SCALE] = min(data[at + 2], _LONGEST_SHIFT)
            return
        at += size


@kernel
def read_tcp(data: Octets, at: int, end: int, payload_bytes: int, fields: Fields) -> int:
    """Write a TCP header behind its ports; ``payload_bytes`` is counted from the header's beginning."""
    if end - at >= 8:
        fields[TCP_SEQ] = be32(data, at + 4)
    if end - at >= 12:
        fields[TCP_ACK] = be32(data, at + 8)
    if end - at < 14:
        return _TRUNCATED
    header_bytes = (data[at + 12] >> 4) * 4
    fields[TCP_FLAGS] = be16(data, at + 12) & 0x0FFF
    if end - at >= 16:
        fields[TCP_WINDOW_BYTES] = be16(data, at + 14)
    if header_bytes < 20:
        return _MALFORMED
    fields[L4_HEADER_BYTES] = header_bytes
    fields[PAYLOAD_BYTES] = max(0, payload_bytes - header_bytes)
    if end - at > 20:
        read_window_scale(data, at + 20, min(end, at + header_bytes), fields)
    if header_bytes > payload_bytes and fields[FRAGMENT] != _FIRST:
        return _MALFORMED
    return _TRUNCATED if end - at < header_bytes else _OK


@kernel
def read_udp(data: Octets, at: int, end: int, payload_bytes: int, fields: Fields) -> int:
    """Write a UDP header behind its ports."""
    fields[L4_HEADER_BYTES] = 8
    fields[PAYLOAD_BYTES] = max(0, payload_bytes - 8)
    if end - at < 8:
        return _TRUNCATED
    if fields[PROTOCOL] == UDP_LITE:
        return _OK
    said_bytes = be16(data, at + 4)
    if said_bytes == 0 and payload_bytes - 8 > _LONGEST_UDP_PAYLOAD:
        return _OK
    if said_bytes < 8:
        return _MALFORMED
    if said_bytes <= payload_bytes:
        fields[PAYLOAD_BYTES] = said_bytes - 8
        return _OK
    return _OK if fields[FRAGMENT] == _FIRST else _MALFORMED


@kernel
def read_transport(data: Octets, at: int, end: int, wire_end: int, said_end: int, fields: Fields) -> int:
    """Write the transport layer of a packet whose network layer is written; return its status.

    Parameters
    ----------
    at, end, wire_end : int
        Where the layer begins, where the captured bytes end, and where the bytes on the wire ended.
    said_end : int
        Where the IP header says that the packet ends.
    """
    payload_bytes = max(0, min(said_end, wire_end) - at)
    protocol = fields[PROTOCOL]
    shortest = shortest_header(protocol)
    fields[PAYLOAD_BYTES] = payload_bytes
    if fields[FRAGMENT] == _LATER or shortest == 0:
        return _OK
    fields[PAYLOAD_BYTES] = 0
    end = min(end, said_end)
    is_icmp = protocol == ICMP or protocol == ICMPV6
    if end - at >= 2 and is_icmp:
        fields[ICMP_TYPE] = data[at]
        fields[ICMP_CODE] = data[at + 1]
    if end - at >= 4 and not is_icmp:
        fields[SRC_PORT] = be16(data, at)
        fields[DST_PORT] = be16(data, at + 2)
    # Too short by what IP says is a contradiction; too short by what was captured, or cut up, is not.
    if said_end - at < shortest and fields[FRAGMENT] != _FIRST:
        return _MALFORMED
    if protocol == TCP:
        return read_tcp(data, at, end, payload_bytes, fields)
    if protocol == UDP or protocol == UDP_LITE:
        return read_udp(data, at, end, payload_bytes, fields)
    # ICMP counts the four bytes that depend on the type to its header, when they are there.
    header_bytes = shortest if protocol == SCTP else min(8, payload_bytes)
    fields[L4_HEADER_BYTES] = header_bytes
    fields[PAYLOAD_BYTES] = max(0, payload_bytes - header_bytes)
    return _TRUNCATED if end - at < shortest else _OK
