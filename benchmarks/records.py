"""The packet record that the traffic models write and the frame builder reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
SERVER_BIT = 1 << 16

RECORD = np.dtype(
    [
        ("ts_ns", "i8"),
        ("source", "u4"),  # host number; SERVER_BIT tells servers from clients
        ("destination", "u4"),
        ("source_port", "u2"),
        ("destination_port", "u2"),
        ("seq", "u4"),
        ("ack", "u4"),
        ("payload_bytes", "u2"),
        ("vlan", "u2"),  # 0 = no tag
        ("protocol", "u1"),
        ("flags", "u1"),  # TCP flags, or the ICMP type
        ("is_ipv6", "u1"),
    ]
)


def places(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the position of every element inside its group, for groups of `counts` elements laid end to end."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)


def sums_before(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sum of the earlier values of the same group, for groups of `counts` >= 1 elements laid end to end."""
    running = np.cumsum(values) - values
    before: NDArray[np.int64] = running - np.repeat(running[np.cumsum(counts) - counts], counts)
    return before
