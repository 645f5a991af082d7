"""Names of protocols: IP protocols by number, services by transport and port."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132

IP_PROTOCOL_NAMES: dict[int, str] = {
    0: "hopopt", ICMP: "icmp", 2: "igmp", 4: "ipv4", TCP: "tcp", 8: "egp", 9: "igp", UDP: "udp", 27: "rdp",
    33: "dccp", 41: "ipv6", 46: "rsvp", 47: "gre", 50: "esp", 51: "ah", ICMPV6: "ipv6-icmp", 59: "ipv6-nonxt",
    88: "eigrp", 89: "ospf", 94: "ipip", 97: "etherip", 103: "pim", 108: "ipcomp", 112: "vrrp", 115: "l2tp",
    SCTP: "sctp", 136: "udplite", 137: "mpls-in-ip",
}  # fmt: skip
"""Keywords of IANA's "Assigned Internet Protocol Numbers" that are seen on today's networks."""

ETHER_TYPE_NAMES: dict[int, str] = {
    0x0806: "arp", 0x8035: "rarp", 0x8100: "vlan", 0x8809: "slow-protocols", 0x888E: "eapol", 0x88CC: "lldp",
    0x88E5: "macsec", 0x88F7: "ptp", 0x8863: "pppoe-discovery", 0x8864: "pppoe", 0x9000: "loopback",
    0x0800: "ipv4", 0x86DD: "ipv6", 0x8847: "mpls", 0x8848: "mpls",
}  # fmt: skip
"""Names of EtherTypes (IEEE 802 numbers) of frames that carry no IP."""

LLC_NAME = "llc"
"""Name of an 802.3 frame: its type field is a length below 0x0600."""


@cache
def services() -> dict[tuple[str, int], str]:
    """Return service names by transport (``tcp``, ``udp``, ``sctp``) and port.

    The table holds IANA's system ports and the user ports that are common in practice; a port
    that clients are given at random would otherwise be taken for some forgotten registration.
    Source: IANA "Service Name and Transport Protocol Port Number Registry".
    """
    text = files("schemas").joinpath("services.csv").read_text(encoding="utf-8")
    return {(row["transport"], int(row["port"])): row["name"] for row in csv.DictReader(text.splitlines())}


def protocol_name(protocol: int) -> str:
    """Return the keyword of an IP protocol number, or ``ip-N`` for one without a common name."""
    return IP_PROTOCOL_NAMES.get(protocol, f"ip-{protocol}")


def ether_type_name(ether_type: int) -> str:
    """Return the name of a frame's EtherType, or ``0x….`` for one without a common name."""
    if 0 < ether_type < 0x0600:
        return LLC_NAME
    return ETHER_TYPE_NAMES.get(ether_type, f"0x{ether_type:04x}")
