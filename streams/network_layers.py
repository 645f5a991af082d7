"""IPv4, IPv6 with its extension headers, and ARP, into the row of a packet.

Sources: RFC 791, RFC 8200, RFC 4302 (AH), RFC 6275 (mobility), RFC 826 (ARP). Where headers and frame disagree about
lengths, Wireshark's reading is followed: what lies behind the end of the frame does not count, and an IPv4 total
length of 0 (segmentation offload) means up to the end of the frame.
"""

from __future__ import annotations

import numpy as np

from schemas.enums import DecodeStatus, Fragment
from streams.fields import (
    ADDRESS_BYTES,
    DST_AT,
    ETHER_TYPE,
    FRAGMENT,
    ICMP_TYPE,
    IP_HEADER_BYTES,
    PROTOCOL,
    SRC_AT,
    TTL,
    Fields,
    clear,
)
from streams.jit import kernel
from streams.link_layers import IPV4, IPV6
from streams.octets import Octets, be16

_OK = DecodeStatus.OK.value
_TRUNCATED = DecodeStatus.TRUNCATED_NETWORK.value
_MALFORMED = DecodeStatus.MALFORMED_NETWORK.value
_UNKNOWN = DecodeStatus.UNKNOWN_NETWORK.value
_FIRST, _LATER = Fragment.FIRST.value, Fragment.LATER.value

_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION = 0, 43, 44, 51
_DESTINATION_OPTIONS, _MOBILITY, _HOST_IDENTITY, _SHIM6 = 60, 135, 139, 140
_MAX_HEADER_BYTES = 65_535
_MAX_OPERATION = 255


@kernel
def set_addresses(size: int, source_at: int, destination_at: int, fields: Fields) -> None:
    """Note where the addresses of the packet lie."""
    fields[ADDRESS_BYTES] = size
    fields[SRC_AT] = source_at
    fields[DST_AT] = destination_at


@kernel
def read_arp(data: Octets, at: int, end: int, fields: Fields) -> int:
    """Write operation and protocol addresses of an ARP packet; return its status."""
    if end - at < 8:
        return _TRUNCATED
    hardware_bytes, address_bytes = data[at + 4], data[at + 5]
    sender_at = at + 8 + hardware_bytes
    target_at = sender_at + address_bytes + hardware_bytes
    if target_at + address_bytes > end:
        return _TRUNCATED
    fields[ICMP_TYPE] = min(be16(data, at + 6), _MAX_OPERATION)
    if be16(data, at + 2) == IPV4 and address_bytes == 4:
        set_addresses(4, sender_at, target_at, fields)
    return _OK


@kernel
def read_ipv4(data: Octets, at: int, end: int, wire_end: int, fields: Fields) -> tuple[int, int, int]:
    """Write an IPv4 header; return status, offset behind it and where the header says that the packet ends.

    The row is left alone, and the offset is -1, when the header cannot be made out.
    """
    if end - at < 20:
        return _TRUNCATED, -1, 0
    header_bytes = (data[at] & 15) * 4
    total_bytes = be16(data, at + 2)
    if data[at] >> 4 != 4 or header_bytes < 20 or 0 < total_bytes < header_bytes:
        return _MALFORMED, -1, 0
    clear(fields)
    set_addresses(4, at + 12, at + 16, fields)
    fields[ETHER_TYPE] = IPV4
    fields[TTL] = data[at + 8]
    fields[PROTOCOL] = data[at + 9]
    fields[IP_HEADER_BYTES] = header_bytes
    if be16(data, at + 6) & 0x1FFF:
        fields[FRAGMENT] = _LATER
    elif be16(data, at + 6) & 0x2000:
        fields[FRAGMENT] = _FIRST
    said_end = at + total_bytes if total_bytes else wire_end
    if at + header_bytes > end:
        return _TRUNCATED, at + header_bytes, said_end
    return _OK, at + header_bytes, said_end


@kernel
def read_ipv6(data: Octets, at: int, end: int, wire_end: int, fields: Fields) -> tuple[int, int, int]:
    """Write the fixed IPv6 header; otherwise like ``read_ipv4``."""
    if end - at < 40:
        return _TRUNCATED, -1, 0
    if data[at] >> 4 != 6:
        return _MALFORMED, -1, 0
    clear(fields)
    set_addresses(16, at + 8, at + 24, fields)
    fields[ETHER_TYPE] = IPV6
    fields[TTL] = data[at + 7]
    fields[PROTOCOL] = data[at + 6]
    fields[IP_HEADER_BYTES] = 40
    payload_bytes = be16(data, at + 4)
    # 0: a jumbogram (RFC 2675) or segmentation offload.
    return _OK, at + 40, (at + 40 + payload_bytes if payload_bytes else wire_end)


@kernel
def extension_bytes(data: Octets, at: int, protocol: int, is_ipv6: bool) -> int:
    """Return the length of the extension header at an offset (two bytes of it are needed), 0 when it is none."""
    if protocol == _AUTHENTICATION:
        return int(np.int64(data[at + 1]) + 2) * 4
    if not is_ipv6:
        return 0
    if protocol == _FRAGMENT:
        return 8
    if protocol == _HOP_BY_HOP or protocol == _ROUTING or protocol == _DESTINATION_OPTIONS:
        return int(np.int64(data[at + 1]) + 1) * 8
    if protocol == _MOBILITY or protocol == _HOST_IDENTITY or protocol == _SHIM6:
        return int(np.int64(data[at + 1]) + 1) * 8
    return 0


@kernel
def is_extension(protocol: int, is_ipv6: bool) -> bool:
    """Whether a header of this number stands between the IP header and the transport header."""
    if protocol == _AUTHENTICATION:
        return True
    return is_ipv6 and (
        protocol == _HOP_BY_HOP
        or protocol == _ROUTING
        or protocol == _FRAGMENT
        or protocol == _DESTINATION_OPTIONS
        or protocol == _MOBILITY
        or protocol == _HOST_IDENTITY
        or protocol == _SHIM6
    )


@kernel
def skip_extensions(data: Octets, at: int, end: int, said_end: int, fields: Fields) -> tuple[int, int]:
    """Walk the headers between the IP header and the transport header; return status and offset behind them.

    Protocol, header length and fragment of the row are brought up to date on the way.
    """
    is_ipv6 = fields[ETHER_TYPE] == IPV6
    protocol = fields[PROTOCOL]
    header_bytes = fields[IP_HEADER_BYTES]
    status = _OK
    while fields[FRAGMENT] != _LATER and is_extension(protocol, is_ipv6):
        size = 2 if end - at < 2 else extension_bytes(data, at, protocol, is_ipv6)
        if at + size > said_end:
            status = _MALFORMED
            break
        if end - at < size or end - at < 2:
            status = _TRUNCATED
            break
        if protocol == _FRAGMENT:
            field = be16(data, at + 2)
            if field & 0xFFF8:
                fields[FRAGMENT] = _LATER
            elif field & 1:
                fields[FRAGMENT] = _FIRST
        protocol = data[at]
        at += size
        header_bytes += size
    fields[PROTOCOL] = protocol
    fields[IP_HEADER_BYTES] = min(header_bytes, _MAX_HEADER_BYTES)
    return status, at


@kernel
def read_network(
    data: Octets, at: int, end: int, wire_end: int, ether_type: int, fields: Fields
) -> tuple[int, int, int]:
    """Write the network layer of a packet; return status, offset of the transport header and the packet's end.

    Parameters
    ----------
    at, end, wire_end : int
        Where the layer begins, where the captured bytes end, and where the bytes on the wire ended.
    ether_type : int
        What the layer is.

    Returns
    -------
    tuple of int
        Status; offset of the transport header, -1 when the row could not be written; where the IP header says
        that the packet ends, which may lie behind ``wire_end``.
    """
    if ether_type == IPV4:
        status, at, said_end = read_ipv4(data, at, end, wire_end, fields)
    elif ether_type == IPV6:
        status, at, said_end = read_ipv6(data, at, end, wire_end, fields)
    else:
        return _UNKNOWN, -1, 0
    if status == _OK:
        status, at = skip_extensions(data, at, end, said_end, fields)
    return status, at, said_end
