"""The packets of a block as numpy columns, one row per frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.packets import PACKET_COLUMNS
from streams.columns import empty_columns

NO_TIME_NS = -(1 << 63)
"""``newest_ns`` before the first packet of a capture."""


class Packets(NamedTuple):
    """Columns of ``PACKET_COLUMNS``, in that order, each of shape (n_packets,); addresses (n_packets, 16) uint8."""

    ts_ns: npt.NDArray[np.int64]
    frame: npt.NDArray[np.uint64]
    lag_ns: npt.NDArray[np.int64]
    src_ip: npt.NDArray[np.uint8]
    dst_ip: npt.NDArray[np.uint8]
    src_port: npt.NDArray[np.uint16]
    dst_port: npt.NDArray[np.uint16]
    protocol: npt.NDArray[np.uint8]
    ether_type: npt.NDArray[np.uint16]
    vlan: npt.NDArray[np.uint16]
    tunnel: npt.NDArray[np.uint8]
    fragment: npt.NDArray[np.uint8]
    ttl: npt.NDArray[np.uint8]
    tcp_flags: npt.NDArray[np.uint16]
    tcp_seq: npt.NDArray[np.uint32]
    tcp_ack: npt.NDArray[np.uint32]
    tcp_window_bytes: npt.NDArray[np.uint16]
    tcp_window_scale: npt.NDArray[np.uint8]
    payload_bytes: npt.NDArray[np.uint32]
    length_bytes: npt.NDArray[np.uint32]
    captured_bytes: npt.NDArray[np.uint32]
    ip_header_bytes: npt.NDArray[np.uint16]
    l4_header_bytes: npt.NDArray[np.uint8]
    icmp_type: npt.NDArray[np.uint8]
    icmp_code: npt.NDArray[np.uint8]
    decode_status: npt.NDArray[np.uint8]

    def newest_ns(self, before_ns: int) -> int:
        """Return the newest event time of these packets and of those before them.

        Parameters
        ----------
        before_ns : int
            Newest event time before, ns; ``NO_TIME_NS`` when there is none.
        """
        return max(before_ns, int(self.ts_ns.max(initial=NO_TIME_NS)))


def _column_layout() -> tuple[tuple[np.dtype[np.generic], tuple[int, ...]], ...]:
    """Return dtype and shape behind the row of each column, from the one declaration of the columns."""
    layout: list[tuple[np.dtype[np.generic], tuple[int, ...]]] = []
    for column in PACKET_COLUMNS:
        if column.name in ("src_ip", "dst_ip"):
            layout.append((np.dtype(np.uint8), (column.arrow.byte_width,)))
        else:
            layout.append((np.dtype(column.arrow.to_pandas_dtype()), ()))
    return tuple(layout)


_LAYOUT = _column_layout()


def empty_packets(count: int) -> Packets:
    """Return room for so many packets; the values are whatever lay in memory."""
    return Packets(*empty_columns(_LAYOUT, count))  # type: ignore[arg-type]
