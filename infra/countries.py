"""In which country an address was registered, asked of nobody: the database is part of the package iptocc.

iptocc holds what the five regional Internet registries publish about every block that they have assigned, IPv4 and
IPv6, refreshed every night (``pip install --upgrade iptocc`` brings the newest). That is the country a block was
assigned to, not where it is used: the two agree for some 95 % of the IPv4 addresses (Zander, 2012, "On the Accuracy of
IP Geolocation Based on IP Allocation Data"). Anycast and the clouds are where they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import numpy as np
from iptocc import country_code
from numpy.typing import NDArray

LAN = "LAN"
"""A private or link-local address: somebody on this side."""

LOCAL = "LOCAL"
"""The machine itself: a loopback address."""

UNKNOWN = "UNKNOWN"
"""No address, one that nobody was assigned, or one for a purpose of its own, such as multicast."""

_PRIVATE = tuple(
    ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),  # RFC 1918, RFC 4193
        *("169.254.0.0/16", "fe80::/10"),  # RFC 3927, RFC 4291
        "100.64.0.0/10",  # RFC 6598: between a provider and its customers
    )
)

_NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 behind a translator (RFC 6052)."""


def country_of(addresses: Sequence[str]) -> NDArray[np.str_]:
    """Return where each address is from.

    Parameters
    ----------
    addresses : sequence of str
        IPv4 and IPv6 as people write them; anything else is unknown.

    Returns
    -------
    numpy.ndarray of str, (n_addresses,)
        ISO 3166-1 alpha-2 code in capitals (``EU`` where a registry says no more than that), or ``LAN``, ``LOCAL`` or
        ``UNKNOWN``.

    Examples
    --------
    >>> country_of(["49.36.0.1", "2001:67c:2e8:22::c100:68b", "10.0.0.1", "::1", "192.0.2.1"]).tolist()
    ['IN', 'NL', 'LAN', 'LOCAL', 'UNKNOWN']
    """
    different, places = np.unique(np.asarray(addresses, np.str_), return_inverse=True)
    texts = different.tolist()
    codes = [code or _without_country(text) for code, text in zip(country_code(texts), texts, strict=True)]
    return np.asarray(codes, np.str_)[places]


@lru_cache(65_536)
def _without_country(text: str) -> str:
    """Return what an address is that no registry has assigned; IPv4 inside IPv6 is looked up once more."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(address, IPv6Address) and (inner := _inner(address)):
        return country_code(str(inner)) or _without_country(str(inner))
    if address.is_loopback:
        return LOCAL
    return LAN if any(address in network for network in _PRIVATE) else UNKNOWN


def _inner(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that is mapped (RFC 4291), of 6to4 (RFC 3056), of Teredo (RFC 4380) or of NAT64."""
    if address in _NAT64:
        return IPv4Address(address.packed[12:])
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
