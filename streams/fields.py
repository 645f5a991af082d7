"""The packet under way: what the decoding kernels know of one frame, before it becomes a row.

The fields stand in one small array. Handing the 26 columns from kernel to kernel instead costs microseconds per
packet, because numba passes each as seven numbers.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.enums import Fragment, Tunnel
from schemas.packets import NO_PROTOCOL, NO_WINDOW_SCALE
from streams.jit import kernel

Fields: TypeAlias = npt.NDArray[np.int64]
"""One number per field; the constants here are their places."""

ADDRESS_BYTES, SRC_AT, DST_AT = 0, 1, 2
"""Size of the addresses (0, 4 or 16) and their offsets in the data."""

PROTOCOL, ETHER_TYPE, VLAN, TUNNEL, FRAGMENT, TTL, IP_HEADER_BYTES = 3, 4, 5, 6, 7, 8, 9
SRC_PORT, DST_PORT, PAYLOAD_BYTES, L4_HEADER_BYTES, ICMP_TYPE, ICMP_CODE = 10, 11, 12, 13, 14, 15
TCP_FLAGS, TCP_SEQ, TCP_ACK, TCP_WINDOW_BYTES, TCP_WINDOW_SCALE = 16, 17, 18, 19, 20
"""Named like the columns."""

FIELDS = 21
"""How many there are."""

_NO_TUNNEL, _NO_FRAGMENT = Tunnel.NONE.value, Fragment.NONE.value


@kernel
def clear(fields: Fields) -> None:
    """Set every field to what it is for a frame without IP."""
    for field in range(FIELDS):
        fields[field] = 0
    fields[PROTOCOL] = NO_PROTOCOL
    fields[TUNNEL] = _NO_TUNNEL
    fields[FRAGMENT] = _NO_FRAGMENT
    fields[TCP_WINDOW_SCALE] = NO_WINDOW_SCALE
