"""Writing pcapng: one section, one interface, an Enhanced Packet Block per frame, times in nanoseconds.

Source: draft-ietf-opsawg-pcapng, sections 4.1 to 4.3. The time stamps are the event times of the stream, so that a
file that is computed gives the same event times again.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from streams.columns import room
from streams.frames import FrameBlock
from streams.jit import kernel
from streams.octets import Octets, bare, read_only

_SECTION, _INTERFACE, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_LENGTH_UNKNOWN = 0xFFFFFFFFFFFFFFFF
_NAME, _RESOLUTION, _END = 2, 9, 0
_APPLICATION = 4
_NANOSECONDS = 9

BLOCK_BYTES = 32
"""An Enhanced Packet Block without its frame: 28 bytes before, 4 behind."""


def file_header(link_type: int, snap_bytes: int, interface: str) -> bytes:
    """Return what a file begins with: section and interface.

    Parameters
    ----------
    link_type : int
        LINKTYPE_ value of every frame.
    snap_bytes : int
        Most bytes captured of a frame; 0 for no limit.
    interface : str
        Its name.
    """
    return section_header() + interface_header(link_type, snap_bytes, interface)


def section_header() -> bytes:
    """Return a Section Header Block."""
    section = struct.pack("<IHHQ", _BYTE_ORDER_MAGIC, 1, 0, _LENGTH_UNKNOWN) + _options({_APPLICATION: b"spanwatch"})
    return _block(_SECTION, section)


def interface_header(link_type: int, snap_bytes: int, interface: str) -> bytes:
    """Return an Interface Description Block whose times are in ns; parameters as of ``file_header``."""
    described = _options({_NAME: interface.encode(), _RESOLUTION: bytes([_NANOSECONDS])})
    return _block(_INTERFACE, struct.pack("<HHI", link_type, 0, snap_bytes) + described)


def enhanced_packets(block: FrameBlock) -> Octets:
    """Return the frames of a block as Enhanced Packet Blocks, in memory that refers to nothing of the block.

    Times before 1970 cannot be written and become 0.

    Returns
    -------
    numpy.ndarray of uint8
        The blocks one behind the other.
    """
    padded = (block.captured_bytes.astype(np.int64) + 3) & ~3
    out = room(int(padded.sum()) + BLOCK_BYTES * len(block))
    lay_out(read_only(block.data), block.start, block.captured_bytes, block.length_bytes, block.ts_ns, out)
    return out


def _options(options: dict[int, bytes]) -> bytes:
    written = b"".join(
        struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in options.items()
    )
    return written + struct.pack("<HH", _END, 0)


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


@kernel
def put32(out: Octets, at: int, value: int) -> None:
    """Write an unsigned 32-bit number, lowest byte first."""
    out[at] = value & 0xFF
    out[at + 1] = (value >> 8) & 0xFF
    out[at + 2] = (value >> 16) & 0xFF
    out[at + 3] = (value >> 24) & 0xFF


@kernel
def lay_out(
    data: Octets,
    start: npt.NDArray[np.int64],
    captured_bytes: npt.NDArray[np.uint32],
    length_bytes: npt.NDArray[np.uint32],
    ts_ns: npt.NDArray[np.int64],
    out: Octets,
) -> None:
    """Write an Enhanced Packet Block for each frame; ``out`` has exactly the room for them."""
    source, target = bare(data), bare(out)
    at = 0
    for row in range(len(start)):
        captured, length = int(captured_bytes[row]), int(length_bytes[row])
        padded = (captured + 3) & ~3
        size = BLOCK_BYTES + padded
        ticks = max(int(ts_ns[row]), 0)
        put32(target, at, _ENHANCED_PACKET)
        put32(target, at + 4, size)
        put32(target, at + 8, 0)
        put32(target, at + 12, ticks >> 32)
        put32(target, at + 16, ticks)
        put32(target, at + 20, captured)
        put32(target, at + 24, length)
        begin, to = start[row], at + 28
        for k in range(captured):
            target[to + k] = source[begin + k]
        for k in range(captured, padded):
            target[to + k] = 0
        put32(target, at + size - 4, size)
        at += size
