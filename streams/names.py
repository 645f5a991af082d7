"""Protocol names as small numbers, so that kernels can count by name."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from schemas.protocols import (
    ETHER_TYPE_NAMES,
    IP_PROTOCOL_NAMES,
    LLC_NAME,
    protocol_name,
    services,
)
from streams.arrays import UInt16s

OTHER_NAME = "other"
"""A frame with an EtherType that has no common name."""

UNDECODED_NAME = "undecoded"
"""A frame of a link type that is not decoded."""

UNDECODED_ID = 0
"""Its position in the vocabulary."""


class NameTables(NamedTuple):
    """Lookup tables from header fields to name ids (positions in ``names``).

    Attributes
    ----------
    names : tuple of str
        The vocabulary; ids are positions in it.
    tcp, udp, sctp : ndarray of uint16, shape (65536,)
        Id of the service at a port, 0 where there is none.
    protocols : ndarray of uint16, shape (256,)
        Id of an IP protocol.
    ether_types : ndarray of uint16, shape (65536,)
        Id of a frame without IP.
    """

    names: tuple[str, ...]
    tcp: UInt16s
    udp: UInt16s
    sctp: UInt16s
    protocols: UInt16s
    ether_types: UInt16s


def _build() -> NameTables:
    by_port = services()
    protocols = [protocol_name(number) for number in range(256)]
    others = {*IP_PROTOCOL_NAMES.values(), *ETHER_TYPE_NAMES.values(), LLC_NAME, OTHER_NAME}
    names = (UNDECODED_NAME, *sorted({*by_port.values(), *protocols, *others}))
    ids = {name: index for index, name in enumerate(names)}
    ports = {transport: np.zeros(65_536, np.uint16) for transport in ("tcp", "udp", "sctp")}
    for (transport, port), name in by_port.items():
        ports[transport][port] = ids[name]
    ether_types = np.full(65_536, ids[OTHER_NAME], np.uint16)
    ether_types[0] = 0
    ether_types[1:0x0600] = ids[LLC_NAME]
    for ether_type, name in ETHER_TYPE_NAMES.items():
        ether_types[ether_type] = ids[name]
    return NameTables(
        names=names,
        tcp=ports["tcp"],
        udp=ports["udp"],
        sctp=ports["sctp"],
        protocols=np.array([ids[name] for name in protocols], np.uint16),
        ether_types=ether_types,
    )


NAME_TABLES = _build()
"""The vocabulary of this version."""
