"""Walking the blocks of a packet ring: from ``tpacket3_hdr`` chains to frame columns.

Source of every offset: ``linux/if_packet.h`` (``tpacket_block_desc``, ``tpacket_hdr_v1``, ``tpacket3_hdr``) and the
kernel's ``Documentation/networking/packet_mmap.rst``. Numbers in a ring are in the machine's byte order, and the
machine's is taken to be little-endian, as all are that this runs on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streams.frames import FrameColumns
from streams.jit import kernel
from streams.octets import Octets, bare, le32

BLOCK_STATUS_AT, BLOCK_PACKETS_AT, _FIRST_PACKET_AT = 8, 12, 16
"""Offsets in ``tpacket_block_desc``, behind its version and the offset of private data."""

BLOCK_HEADER_BYTES = 48
FRAME_HEADER_BYTES = 48
"""``sizeof(struct tpacket3_hdr)``; a ``sockaddr_ll`` stands behind it."""

STATUS_KERNEL, STATUS_USER = 0, 1
"""``TP_STATUS_KERNEL``, ``TP_STATUS_USER``: who may touch a block."""

VLAN_VALID, VLAN_TPID_VALID = 1 << 4, 1 << 6
"""``TP_STATUS_VLAN_VALID``, ``TP_STATUS_VLAN_TPID_VALID``."""

VLAN_TAG_BYTES = 4
_ADDRESSES_BYTES = 12
_ETHERNET = 1
_CTAG = 0x8100
"""EtherType of a customer tag (IEEE 802.1Q), when the kernel does not say which it took off."""


@kernel
def walk_blocks(
    ring: npt.NDArray[np.uint8],
    block_bytes: int,
    first: int,
    count: int,
    snap_bytes: int,
    link_type: int,
    columns: FrameColumns,
) -> int:
    """Fill columns with the frames of ``count`` blocks of a ring, and give them back their VLAN tags.

    The kernel takes the outermost tag off a frame and keeps it beside. It is written back in place, into the room
    that the kernel leaves in front of each frame, so that the frame is what was on the wire; nothing else is
    copied.

    Parameters
    ----------
    ring : numpy.ndarray of uint8
        The whole ring; writable.
    block_bytes, first, count : int
        Size of a block, number of the first, and how many; they go on at the ring's beginning.
    snap_bytes : int
        Most bytes captured of a frame; a tag must not make it longer.
    link_type : int
        LINKTYPE_ value of every frame.
    columns : FrameColumns
        Room for all frames of the blocks.

    Returns
    -------
    int
        Frames found.
    """
    octets = bare(ring)
    blocks = len(ring) // block_bytes
    room = len(columns.start)
    n = 0
    for number in range(first, first + count):
        base = (number % blocks) * block_bytes
        at = base + le32(octets, base + _FIRST_PACKET_AT)
        for _ in range(le32(octets, base + BLOCK_PACKETS_AT)):
            # The kernel is trusted, but a wrong offset must not become a wild access.
            if n == room or at < base or at + FRAME_HEADER_BYTES > base + block_bytes:
                break
            start = at + (le32(octets, at + 24) & 0xFFFF)
            captured = le32(octets, at + 12)
            length = le32(octets, at + 16)
            status = le32(octets, at + 20)
            captured = min(captured, base + block_bytes - start)
            if status & VLAN_VALID and link_type == _ETHERNET and captured >= _ADDRESSES_BYTES:
                start -= VLAN_TAG_BYTES
                write_tag(octets, start, le32(octets, at + 32), le32(octets, at + 36), status)
                captured = min(captured + VLAN_TAG_BYTES, snap_bytes)
                length += VLAN_TAG_BYTES
            columns.start[n] = start
            columns.captured_bytes[n] = captured
            columns.length_bytes[n] = length
            columns.ts_ns[n] = le32(octets, at + 4) * 1_000_000_000 + le32(octets, at + 8)
            columns.link_type[n] = link_type
            n += 1
            at += le32(octets, at)
    return n


@kernel
def write_tag(octets: Octets, start: int, tci: int, tpid: int, status: int) -> None:
    """Move the addresses to ``start`` and write a VLAN tag behind them."""
    for k in range(_ADDRESSES_BYTES):
        octets[start + k] = octets[start + VLAN_TAG_BYTES + k]
    kind = tpid & 0xFFFF if status & VLAN_TPID_VALID else _CTAG
    octets[start + 12] = kind >> 8
    octets[start + 13] = kind & 0xFF
    octets[start + 14] = (tci >> 8) & 0xFF
    octets[start + 15] = tci & 0xFF
