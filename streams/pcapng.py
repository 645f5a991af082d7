"""The pcapng format: sections of blocks, each section with interfaces of its own.

Source: draft-ietf-opsawg-pcapng. Blocks are walked by a kernel, which comes back to Python only for the section
and interface blocks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streams.frames import MAX_FRAME_BYTES, TIME_LIMIT_NS, FrameColumns, Progress, Stop
from streams.jit import kernel
from streams.octets import Octets, bare, file32

PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
"""First four bytes of a pcapng file; reads the same in both byte orders."""

_SECTION, _INTERFACE, _PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_MAX_BLOCK_BYTES = 16 * 1024 * 1024
"""Longest block accepted (as Wireshark's ``MAX_BLOCK_SIZE``); bounds what must be in memory at once."""

_OPTION_END, _OPTION_TSRESOL, _OPTION_TSOFFSET = 0, 9, 14
_MICROSECONDS = 6
_BINARY_RESOLUTION = 0x80

_MOST_S = 1 << 62
_LIMIT_S = TIME_LIMIT_NS // 1_000_000_000

_FULL, _NEEDS_BYTES, _CORRUPT, _PYTHON = (
    Stop.FULL.value,
    Stop.NEEDS_BYTES.value,
    Stop.CORRUPT.value,
    Stop.SECTION.value,
)
_BAD_LENGTH, _BAD_TRAILER, _BAD_INTERFACE, _BAD_FRAME = 0, 1, 2, 3
_REASONS = (
    "a block with an impossible length",
    "a block whose two lengths differ",
    "a frame of an interface that its section does not describe",
    "a frame longer than its block or than any can be",
)


class Interfaces(NamedTuple):
    """Interfaces of a section as the kernel takes them, by interface id.

    Attributes
    ----------
    link_type : numpy.ndarray of int64
        LINKTYPE_ value.
    snap_bytes : numpy.ndarray of int64
        Most bytes captured of a frame; 0 for no limit.
    resolution : numpy.ndarray of int64
        ``if_tsresol``: power of ten, or of two with the highest bit set.
    offset_s : numpy.ndarray of int64
        ``if_tsoffset``: seconds to add.
    """

    link_type: npt.NDArray[np.int64]
    snap_bytes: npt.NDArray[np.int64]
    resolution: npt.NDArray[np.int64]
    offset_s: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Interface:
    link_type: int
    snap_bytes: int
    resolution: int = _MICROSECONDS
    offset_s: int = 0


class PcapngIndexer:
    """Finds the frames of a pcapng file; knows the section it is in."""

    format = "pcapng"

    def __init__(self) -> None:
        self._is_big_endian = False
        self._is_inside_section = False
        self._interfaces: list[_Interface] = []
        self._table = _table([])
        self._newest_ts_ns = 0

    def index(self, data: Octets, at: int, end: int, columns: FrameColumns, frames: int) -> Progress:
        """Index blocks of ``data[at:end]`` behind the ``frames`` that the columns hold already."""
        while True:
            frames, at, stop, detail, self._newest_ts_ns = index_blocks(
                data, at, end, self._is_big_endian, self._table, self._newest_ts_ns, frames, columns
            )
            if stop == _CORRUPT:
                return Progress(frames, at, Stop.CORRUPT, reason=_REASONS[detail])
            if stop != _PYTHON:
                return Progress(frames, at, Stop(stop), needed_bytes=detail)
            progress = self._read_description(data, at, end)
            at = progress.at
            if progress.stop is not Stop.SECTION:
                return Progress(frames, at, progress.stop, progress.needed_bytes, progress.reason)

    def _read_description(self, data: Octets, at: int, end: int) -> Progress:
        """Read the section or interface block at an offset."""
        head = data[at : min(at + 12, end)].tobytes()
        if len(head) < 12:
            return Progress(0, at, Stop.NEEDS_BYTES, 12)
        is_section = head[:4] == PCAPNG_MAGIC
        is_big_endian = self._is_big_endian
        if is_section:
            is_big_endian = head[8:12] == _BYTE_ORDER_MAGIC.to_bytes(4, "big")
            if not is_big_endian and head[8:12] != _BYTE_ORDER_MAGIC.to_bytes(4, "little"):
                return Progress(0, at, Stop.CORRUPT, reason="a section with no byte order")
        size = _padded(int.from_bytes(head[4:8], "big" if is_big_endian else "little"))
        if not (28 if is_section else 20) <= size <= _MAX_BLOCK_BYTES:
            return Progress(0, at, Stop.CORRUPT, reason=_REASONS[_BAD_LENGTH])
        if end - at < size:
            return Progress(0, at, Stop.NEEDS_BYTES, size)
        if is_section:
            self._is_big_endian = is_big_endian
            self._interfaces = []
        else:
            self._interfaces.append(_read_interface(data[at : at + size].tobytes(), is_big_endian))
        self._table = _table(self._interfaces)
        return Progress(0, at + size, Stop.SECTION)


def _padded(size: int) -> int:
    """Return a block's length with its padding, which some writers leave out of it."""
    return size + 3 & ~3


def _table(interfaces: list[_Interface]) -> Interfaces:
    fields = ("link_type", "snap_bytes", "resolution", "offset_s")
    return Interfaces(*(np.array([getattr(i, f) for i in interfaces], np.int64) for f in fields))


def _read_interface(block: bytes, is_big_endian: bool) -> _Interface:
    """Read an Interface Description Block; an option that is cut or has an odd length is left out."""
    order = ">" if is_big_endian else "<"
    link_type, _, snap_bytes = struct.unpack_from(order + "HHI", block, 8)
    resolution, offset_s = _MICROSECONDS, 0
    at, end = 16, len(block) - 4
    while at + 4 <= end:
        code, size = struct.unpack_from(order + "HH", block, at)
        at += 4
        if code == _OPTION_END or at + size > end:
            break
        if code == _OPTION_TSRESOL and size == 1:
            resolution = block[at]
        elif code == _OPTION_TSOFFSET and size == 8:
            (offset_s,) = struct.unpack_from(order + "q", block, at)
        at += _padded(size)
    return _Interface(link_type, snap_bytes, resolution, offset_s)


@kernel
def ticks_to_ns(ticks: np.uint64, resolution: int, offset_s: int) -> int:
    """Return the event time of a time stamp, rounded down to ns and kept within ``TIME_LIMIT_NS``.

    Parameters
    ----------
    ticks : numpy.uint64
        The time stamp's 64 bits.
    resolution : int
        ``if_tsresol``.
    offset_s : int
        ``if_tsoffset``.
    """
    exponent = np.uint64(resolution & 0x7F)
    billion = np.uint64(1_000_000_000)
    if resolution & _BINARY_RESOLUTION:
        if exponent >= 64:
            seconds, fraction_ns = np.uint64(0), np.uint64(0)
        else:
            seconds = ticks >> exponent
            rest = ticks - (seconds << exponent)
            low = (rest & np.uint64(0xFFFFFFFF)) * billion
            high = (rest >> np.uint64(32)) * billion
            # rest * 10^9 needs 94 bits: high and low halves are multiplied apart.
            if exponent >= np.uint64(32):
                fraction_ns = (high + (low >> np.uint64(32))) >> (exponent - np.uint64(32))
            else:
                fraction_ns = low >> exponent
    elif exponent > 19:
        seconds, fraction_ns = np.uint64(0), np.uint64(0)
    else:
        per_second = np.uint64(1)
        for _ in range(exponent):
            per_second *= np.uint64(10)
        seconds = ticks // per_second
        rest = ticks - seconds * per_second
        fraction_ns = rest * (billion // per_second) if exponent <= 9 else rest // (per_second // billion)
    # Bounded before they are added, so that neither the sum nor its nanoseconds overflow.
    whole_s = int(np.int64(min(seconds, np.uint64(_MOST_S)))) + min(max(offset_s, -_MOST_S), _MOST_S - 1)
    whole_s = min(max(whole_s, -2 * _LIMIT_S), 2 * _LIMIT_S - 1)
    return min(max(whole_s * 1_000_000_000 + int(np.int64(fraction_ns)), -TIME_LIMIT_NS), TIME_LIMIT_NS)


@kernel
def index_blocks(
    data: Octets,
    at: int,
    end: int,
    is_big_endian: bool,
    interfaces: Interfaces,
    ts_ns: int,
    n: int,
    columns: FrameColumns,
) -> tuple[int, int, int, int, int]:
    """Fill columns from row ``n`` on; return frames, offset, why it stopped, a detail of that, newest time."""
    room = len(columns.start)
    octets = bare(data)
    known = len(interfaces.link_type)
    while n < room:
        if end - at < 12:
            return n, at, _NEEDS_BYTES, 12, ts_ns
        kind = file32(octets, at, is_big_endian)
        if kind in (_SECTION, _INTERFACE):
            return n, at, _PYTHON, 0, ts_ns
        size = file32(octets, at + 4, is_big_endian)
        total = (size + 3) & ~3
        if total < 12 or total > _MAX_BLOCK_BYTES:
            return n, at, _CORRUPT, _BAD_LENGTH, ts_ns
        if end - at < total:
            return n, at, _NEEDS_BYTES, total, ts_ns
        if file32(octets, at + total - 4, is_big_endian) != size:
            return n, at, _CORRUPT, _BAD_TRAILER, ts_ns
        if kind not in (_ENHANCED_PACKET, _SIMPLE_PACKET, _PACKET):
            at += total
            continue
        header, number = (12 if kind == _SIMPLE_PACKET else 28), 0
        if total < header + 4:
            return n, at, _CORRUPT, _BAD_LENGTH, ts_ns
        if kind == _ENHANCED_PACKET:
            number = file32(octets, at + 8, is_big_endian)
        elif kind == _PACKET:
            number = file32(octets, at + 8, is_big_endian)
            number = number >> 16 if is_big_endian else number & 0xFFFF
        if number >= known:
            return n, at, _CORRUPT, _BAD_INTERFACE, ts_ns
        if kind == _SIMPLE_PACKET:
            length = file32(octets, at + 8, is_big_endian)
            captured = min(length, total - header - 4)
            if interfaces.snap_bytes[number] > 0:
                captured = min(captured, interfaces.snap_bytes[number])
        else:
            captured = file32(octets, at + 20, is_big_endian)
            length = file32(octets, at + 24, is_big_endian)
            high = file32(octets, at + 12, is_big_endian)
            ticks = np.uint64(high) << np.uint64(32) | np.uint64(file32(octets, at + 16, is_big_endian))
            ts_ns = ticks_to_ns(ticks, interfaces.resolution[number], interfaces.offset_s[number])
        if captured > total - header - 4 or captured > MAX_FRAME_BYTES:
            return n, at, _CORRUPT, _BAD_FRAME, ts_ns
        columns.start[n] = at + header
        columns.captured_bytes[n] = captured
        columns.length_bytes[n] = length
        columns.ts_ns[n] = ts_ns
        columns.link_type[n] = interfaces.link_type[number]
        n += 1
        at += total
    return n, at, _FULL, 0, ts_ns
