"""Which addresses may be blocked: everything but what would cut off this machine, its network or its friends."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from infra.firewall import Address
from infra.settings import Settings
from schemas.errors import AddressRefusedError

log = logging.getLogger(__name__)

ROUTES = Path("/proc/net")
"""Where Linux shows its routing tables (proc_net(5)); other systems have no such folder."""

_LOCALHOST = "Cannot block localhost"
"""The documented sentence."""

_NO_HOSTS = (IPv4Network("0.0.0.0/8"), IPv4Network("240.0.0.0/4"))
"""This network, and what is reserved, limited broadcast included (RFC 6890)."""

_LOCAL_NAMES = frozenset({"localhost", "localhost.", "localhost.localdomain", "ip6-localhost"})


def parse_address(text: str) -> Address:
    """Return the address that a request names; one that is mapped into IPv6 (RFC 4291, 2.5.5.2) as IPv4.

    Raises
    ------
    AddressRefusedError
        It is none, or a network, or has a zone.
    """
    if text.lower() in _LOCAL_NAMES:
        raise AddressRefusedError(_LOCALHOST)
    if "/" in text:
        raise AddressRefusedError("A single address can be blocked, not a network.")
    if "%" in text:
        raise AddressRefusedError("Write the address without a zone.")
    try:
        address = ip_address(text)
    except ValueError:
        raise AddressRefusedError("This is not an IPv4 or IPv6 address.") from None
    return plain(address)


def plain(address: Address) -> Address:
    """Return an address without the IPv6 form around an IPv4 one, and without a zone."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


class AddressGuard:
    """Says why an address is never blocked.

    Parameters
    ----------
    settings : Settings
        The networks allowed, and the servers of the stack, which are looked up once, here.
    routes : Path
        Folder of the kernel's routing tables.
    """

    def __init__(self, settings: Settings, routes: Path = ROUTES) -> None:
        self._allowed = settings.defence_allow
        self._servers = frozenset(_server_addresses(settings))
        self._routes = routes

    def check(self, address: Address, asked_from: str = "") -> None:
        """Refuse an address that is never blocked.

        Parameters
        ----------
        address : Address
            As ``parse_address`` returns it.
        asked_from : str
            Address of who asks; empty when nobody is at the other end.

        Raises
        ------
        AddressRefusedError
            With the reason.
        """
        if why := self.why_not(address):
            raise AddressRefusedError(why)
        if asked_from and _is_address(asked_from, address):
            raise AddressRefusedError("Cannot block the address that this request comes from")

    def why_not(self, address: Address) -> str:
        """Return why an address is never blocked; empty when it may be.

        The machine's addresses and routes are looked at anew each time: they change.
        """
        if address.is_loopback:
            return _LOCALHOST
        if address.is_unspecified or address.is_multicast or any(address in network for network in _NO_HOSTS):
            return "Cannot block an address that no host has"
        if address in own_addresses():
            return "Cannot block this machine's own address"
        if address in next_hops(self._routes):
            return "Cannot block the gateway"
        if address in self._servers:
            return "Cannot block a server that spanwatch itself needs"
        network = allowing(self._allowed, address)
        return f"Cannot block an allow-listed address ({network})" if network else ""


def allowing(allowed: Sequence[IPv4Network | IPv6Network], address: Address) -> IPv4Network | IPv6Network | None:
    """Return the network of a list that an address lies in, or None."""
    # An address is in no network of the other family.
    return next((network for network in allowed if address in network), None)


def own_addresses() -> set[Address]:
    """Return the addresses of this machine's interfaces, broadcast addresses included."""
    found = set()
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family in (socket.AF_INET, socket.AF_INET6):
                found |= {plain(ip_address(text)) for text in (one.address, one.broadcast) if text}
    return found


def next_hops(routes: Path = ROUTES) -> set[Address]:
    """Return the gateways of this machine's routes, of the default and of every other."""
    return {hop for hop in (*_hops_ipv4(routes / "route"), *_hops_ipv6(routes / "ipv6_route")) if int(hop)}


def _lines(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return []  # a kernel without this family


def _hops_ipv4(path: Path) -> Iterator[Address]:
    # Columns: interface, destination, gateway, …; addresses are hexadecimal in the machine's byte order.
    for fields in _lines(path)[1:]:
        if len(fields) > 2:
            yield IPv4Address(socket.htonl(int(fields[2], 16)))


def _hops_ipv6(path: Path) -> Iterator[Address]:
    # Columns: destination, prefix, source, prefix, next hop, …; addresses are 32 hexadecimal digits.
    for fields in _lines(path):
        if len(fields) > 4:
            yield IPv6Address(int(fields[4], 16))


def _server_addresses(settings: Settings) -> Iterator[Address]:
    """Yield the addresses of Kafka and ClickHouse where they are other machines."""
    hosts = [server.rpartition(":")[0].strip("[]") for server in settings.kafka.split(",") if server]
    if not settings.has_embedded_store:
        hosts.append(urlsplit(settings.clickhouse).hostname or "")
    for host in filter(None, hosts):
        try:
            found = socket.getaddrinfo(host, None)
        except OSError:
            log.warning("the address of %s is not known: it is not among those that are never blocked", host)
            continue
        yield from (plain(ip_address(str(entry[4][0]))) for entry in found)


def _is_address(text: str, address: Address) -> bool:
    try:
        return plain(ip_address(text)) == address
    except ValueError:
        return False  # a name, as test clients have
