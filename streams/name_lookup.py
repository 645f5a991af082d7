"""Naming packets and conversations by the tables of ``names``, in kernels."""

from __future__ import annotations

import numpy as np

from schemas.enums import DecodeStatus
from schemas.packets import NO_PROTOCOL
from schemas.protocols import SCTP, TCP, UDP
from streams.arrays import Int64s, UInt16s
from streams.jit import kernel
from streams.names import NAME_TABLES, UNDECODED_ID
from streams.octets import bare
from streams.window_conversations import WORDS, Word

_UNSUPPORTED = int(DecodeStatus.UNSUPPORTED_LINK_TYPE)
_IDENTITY = int(Word.IDENTITY)

_UDP_AT, _SCTP_AT, _ETHER_TYPES_AT, _PROTOCOLS_AT = (65_536 * table for table in (1, 2, 3, 4))
NAMES: UInt16s = np.concatenate(
    [NAME_TABLES.tcp, NAME_TABLES.udp, NAME_TABLES.sctp, NAME_TABLES.ether_types, NAME_TABLES.protocols]
)
"""Name ids by TCP port, UDP port, SCTP port, EtherType and protocol, one table behind the other."""


@kernel
def name_of(protocol: int, ether_type: int, src_port: int, dst_port: int, status: int, names: UInt16s) -> int:
    """Name a packet: service by the lower port, else by the higher, else transport, else network."""
    if protocol == NO_PROTOCOL:
        return UNDECODED_ID if status == _UNSUPPORTED else int(names[_ETHER_TYPES_AT + ether_type])
    name = 0
    if protocol in (TCP, UDP, SCTP):
        table = 0 if protocol == TCP else _UDP_AT if protocol == UDP else _SCTP_AT
        name = int(names[table + min(src_port, dst_port)])
        if name == 0:
            name = int(names[table + max(src_port, dst_port)])
    return name if name != 0 else int(names[_PROTOCOLS_AT + protocol])


def conversation_names(rows: Int64s) -> Int64s:
    """Return the name id of each conversation, given as rows of shape (n_rows, WORDS)."""
    names = np.empty(len(rows), np.int64)
    _name_rows(rows, NAMES, names)
    return names


def service_names(protocols: Int64s, ports: Int64s) -> Int64s:
    """Return the name id of the service at each port, shape (n_services,)."""
    rows = np.zeros((len(ports), WORDS), np.int64)
    rows[:, _IDENTITY] = protocols << 32 | ports << 16 | ports
    return conversation_names(rows)


@kernel
def _name_rows(rows: Int64s, names: UInt16s, found: Int64s) -> None:
    table = bare(names)
    for row in range(len(rows)):
        identity = rows[row, _IDENTITY]
        found[row] = name_of((identity >> 32) & 0xFF, 0, identity & 0xFFFF, (identity >> 16) & 0xFFFF, 0, table)
