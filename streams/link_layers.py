"""From the first byte of a frame to its network layer: link headers, tags, labels.

Sources: tcpdump.org/linktypes.html; IEEE 802.1Q, 802.1ad and 802.2; RFC 3032 (MPLS), RFC 4385 and RFC 4448
(pseudowires), RFC 2516 (PPPoE).
"""

from __future__ import annotations

import numpy as np

from schemas.enums import DecodeStatus
from streams.jit import kernel
from streams.octets import Octets, be16, be32, le32

IPV4, ARP, RARP, IPV6, ETHERNET = 0x0800, 0x0806, 0x8035, 0x86DD, 0x6558
"""EtherTypes; 0x6558 (transparent Ethernet bridging) stands for any Ethernet frame about to be taken apart."""

_OK = DecodeStatus.OK.value
_TRUNCATED = DecodeStatus.TRUNCATED_LINK.value
_UNKNOWN = DecodeStatus.UNKNOWN_NETWORK.value
_UNSUPPORTED = DecodeStatus.UNSUPPORTED_LINK_TYPE.value
_MALFORMED = DecodeStatus.MALFORMED_NETWORK.value

_MAX_LAYERS = 32
"""Tags and link headers on top of each other; more is no real frame."""

_LONGEST_LENGTH = 1500
"""Up to here the two bytes behind the addresses are an 802.3 length, not an EtherType."""


@kernel
def ip_by_version(data: Octets, at: int, end: int) -> tuple[int, int]:
    """Return status and EtherType of a raw IP packet, told by its version."""
    if end - at < 1:
        return _TRUNCATED, 0
    version = data[at] >> 4
    if version == 4:
        return _OK, IPV4
    if version == 6:
        return _OK, IPV6
    return _MALFORMED, 0


@kernel
def family_to_ether_type(family: int) -> int:
    """Return the EtherType for an address family of any BSD, 0 when it is neither IPv4 nor IPv6."""
    if family == 2:
        return IPV4
    # AF_INET6 is 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on macOS, 10 on Linux and 23 on Windows.
    if family == 24 or family == 28 or family == 30 or family == 10 or family == 23:
        return IPV6
    return 0


@kernel
def enter_frame(data: Octets, at: int, end: int, link_type: int) -> tuple[int, int, int]:
    """Return status, EtherType and offset of what stands behind a frame's link header.

    An Ethernet frame is returned as it is, with ``ETHERNET`` for its type.
    """
    if link_type == 1:
        return _OK, ETHERNET, at
    if link_type == 0 or link_type == 108:
        if end - at < 4:
            return _TRUNCATED, 0, at
        # The byte order is the capturing machine's, which need not be the file's.
        ether_type = family_to_ether_type(le32(data, at)) or family_to_ether_type(be32(data, at))
        return (_OK if ether_type else _UNKNOWN), ether_type, at + 4
    if link_type == 101 or link_type == 12 or link_type == 14:
        status, ether_type = ip_by_version(data, at, end)
        return status, ether_type, at
    if link_type == 228:
        return _OK, IPV4, at
    if link_type == 229:
        return _OK, IPV6, at
    if link_type == 113:
        if end - at < 16:
            return _TRUNCATED, 0, at
        return _OK, be16(data, at + 14), at + 16
    if link_type == 276:
        if end - at < 20:
            return _TRUNCATED, 0, at
        return _OK, be16(data, at), at + 20
    return _UNSUPPORTED, 0, at


@kernel
def enter_snap(data: Octets, at: int, end: int, ether_type: int) -> tuple[int, int]:
    """Return EtherType and offset behind an LLC/SNAP header; unchanged when there is none."""
    if ether_type <= _LONGEST_LENGTH and end - at >= 8 and be32(data, at) == 0xAAAA0300 and be16(data, at + 4) == 0:
        return be16(data, at + 6), at + 8
    return ether_type, at


@kernel
def enter_mpls(data: Octets, at: int, end: int) -> tuple[int, int, int]:
    """Return status, EtherType and offset behind a stack of MPLS labels."""
    while True:
        if end - at < 4:
            return _TRUNCATED, 0, at
        is_bottom = data[at + 2] & 1
        at += 4
        if is_bottom:
            break
    if end - at < 1:
        return _TRUNCATED, 0, at
    # Labels do not say what they carry; the first four bits do (RFC 4928).
    first = data[at] >> 4
    if first == 4:
        return _OK, IPV4, at
    if first == 6:
        return _OK, IPV6, at
    if first == 0:
        if end - at < 4:
            return _TRUNCATED, 0, at
        return _OK, ETHERNET, at + 4
    return _UNKNOWN, 0, at


@kernel
def enter_ppp(data: Octets, at: int, end: int) -> tuple[int, int, int]:
    """Return status, EtherType and offset behind a PPP header, whose fields may be compressed (RFC 1661)."""
    if end - at >= 2 and be16(data, at) == 0xFF03:
        at += 2
    size = 1 if end - at >= 1 and data[at] & 1 else 2
    if end - at < size:
        return _TRUNCATED, 0, at
    protocol = np.int64(data[at]) if size == 1 else be16(data, at)
    if protocol == 0x0021:
        return _OK, IPV4, at + size
    if protocol == 0x0057:
        return _OK, IPV6, at + size
    return _UNKNOWN, 0, at


@kernel
def peel(data: Octets, at: int, end: int, wire_end: int, ether_type: int, vlan: int) -> tuple[int, int, int, int, int]:
    """Take off Ethernet headers, tags and labels down to something else.

    Parameters
    ----------
    at, end, wire_end : int
        Where the layer begins, where the captured bytes end, and where the bytes on the wire ended.
    ether_type : int
        What the layer is.
    vlan : int
        Outermost VLAN id so far, 0 for none.

    Returns
    -------
    tuple of int
        Status, EtherType, offset, end on the wire, outermost VLAN id.
    """
    for _ in range(_MAX_LAYERS):
        status = _OK
        if ether_type == ETHERNET:
            if end - at < 14:
                return _TRUNCATED, ether_type, at, wire_end, vlan
            ether_type = be16(data, at + 12)
            at += 14
            if ether_type <= _LONGEST_LENGTH:
                wire_end = min(wire_end, at + ether_type)
            ether_type, at = enter_snap(data, at, end, ether_type)
        elif ether_type == 0x8100 or ether_type == 0x88A8 or ether_type == 0x9100:
            if end - at < 4:
                return _TRUNCATED, ether_type, at, wire_end, vlan
            vlan = vlan or be16(data, at) & 0x0FFF
            ether_type, at = enter_snap(data, at + 4, end, be16(data, at + 2))
        elif ether_type == 0x8847 or ether_type == 0x8848:
            status, inner, at = enter_mpls(data, at, end)
            ether_type = inner or ether_type
        elif ether_type == 0x8864:
            if end - at < 6:
                return _TRUNCATED, ether_type, at, wire_end, vlan
            wire_end = min(wire_end, at + 6 + be16(data, at + 4))
            status, inner, at = enter_ppp(data, at + 6, end)
            ether_type = inner or ether_type
        else:
            break
        if status != _OK:
            return status, ether_type, at, wire_end, vlan
    return _OK, ether_type, at, wire_end, vlan
