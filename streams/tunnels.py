"""What is inside a decoded packet: GRE, ERSPAN, VXLAN, and IP in IP.

Sources: RFC 2784 and RFC 2890 (GRE), RFC 2637 (its version 1, PPTP), RFC 8086 (GRE in UDP), RFC 7348 (VXLAN),
RFC 2003 and RFC 2473 (IP in IP), draft-foschiano-erspan-03 (ERSPAN).
"""

from __future__ import annotations

from schemas.enums import DecodeStatus, Tunnel
from streams.fields import DST_PORT, PROTOCOL, Fields
from streams.jit import kernel
from streams.link_layers import ETHERNET, IPV4, IPV6, enter_ppp
from streams.octets import Octets, be16
from streams.transport_layers import UDP

_OK = DecodeStatus.OK.value
_TRUNCATED = DecodeStatus.TRUNCATED_TRANSPORT.value
_UNKNOWN = DecodeStatus.UNKNOWN_NETWORK.value
_NONE, _GRE, _ERSPAN = Tunnel.NONE.value, Tunnel.GRE.value, Tunnel.ERSPAN.value
_VXLAN, _IP_IN_IP = Tunnel.VXLAN.value, Tunnel.IP_IN_IP.value

_PROTOCOL_IPV4, _PROTOCOL_IPV6, _PROTOCOL_GRE = 4, 41, 47
_VXLAN_PORT, _GRE_IN_UDP_PORT = 4789, 4754
_ERSPAN_I_OR_II, _ERSPAN_III, _PPP = 0x88BE, 0x22EB, 0x880B


@kernel
def enter_erspan_iii(data: Octets, at: int, end: int) -> tuple[int, int, int, int]:
    """Return status, kind of tunnel, EtherType and offset of what an ERSPAN type III header stands before."""
    if end - at < 12:
        return _TRUNCATED, _ERSPAN, 0, at
    fields = be16(data, at + 10)
    frame_type = fields >> 10 & 0x1F
    at += 20 if fields & 1 else 12
    if frame_type == 0:
        return _OK, _ERSPAN, ETHERNET, at
    if frame_type == 2 and end - at >= 1:
        return _OK, _ERSPAN, (IPV6 if data[at] >> 4 == 6 else IPV4), at
    return _UNKNOWN, _ERSPAN, 0, at


@kernel
def enter_pptp(data: Octets, at: int, end: int, flags: int) -> tuple[int, int, int, int]:
    """Return status, kind of tunnel, EtherType and offset of what a GRE header of version 1 stands before."""
    has_payload = flags & 0x1000 != 0
    if not has_payload:
        return _OK, _NONE, 0, at
    at += 16 if flags & 0x0080 else 12
    if at > end:
        return _TRUNCATED, _GRE, 0, at
    status, ether_type, at = enter_ppp(data, at, end)
    return status, _GRE, ether_type, at


@kernel
def enter_gre(data: Octets, at: int, end: int) -> tuple[int, int, int, int]:
    """Return status, kind of tunnel, EtherType and offset of what a GRE header stands before."""
    if end - at < 4:
        return _TRUNCATED, _GRE, 0, at
    flags = be16(data, at)
    ether_type = be16(data, at + 2)
    if flags & 0x0007 == 1 and ether_type == _PPP:
        return enter_pptp(data, at, end, flags)
    # Source routes (RFC 1701) are no longer sent, and there is no further version.
    if flags & 0x4007:
        return _UNKNOWN, _GRE, 0, at
    has_sequence = flags & 0x1000 != 0
    at += 4
    if flags & 0x8000:
        at += 4
    if flags & 0x2000:
        at += 4
    if has_sequence:
        at += 4
    if at > end:
        return _TRUNCATED, _GRE, 0, at
    if ether_type == _ERSPAN_III:
        return enter_erspan_iii(data, at, end)
    if ether_type == _ERSPAN_I_OR_II:
        # Type II has a header of its own and numbers its frames; type I has and does neither.
        return _OK, _ERSPAN, ETHERNET, at + (8 if has_sequence else 0)
    return _OK, _GRE, ether_type, at


@kernel
def enter_tunnel(data: Octets, at: int, end: int, fields: Fields) -> tuple[int, int, int, int]:
    """Return status, kind of tunnel, EtherType and offset of the packet inside the one of this row.

    Parameters
    ----------
    at : int
        Offset of the transport header of the row's packet.

    Returns
    -------
    tuple of int
        The kind is ``Tunnel.NONE`` when the packet is no tunnel.
    """
    protocol = fields[PROTOCOL]
    if protocol == _PROTOCOL_IPV4:
        return _OK, _IP_IN_IP, IPV4, at
    if protocol == _PROTOCOL_IPV6:
        return _OK, _IP_IN_IP, IPV6, at
    if protocol == _PROTOCOL_GRE:
        return enter_gre(data, at, end)
    if protocol == UDP and fields[DST_PORT] == _GRE_IN_UDP_PORT:
        return enter_gre(data, at + 8, end)
    # The port alone does not make a VXLAN: the flag that says that there is an identifier must be set.
    if protocol == UDP and fields[DST_PORT] == _VXLAN_PORT and end - at >= 16 and data[at + 8] & 0x08:
        return _OK, _VXLAN, ETHERNET, at + 16
    return _OK, _NONE, 0, at
