"""The pcap format: fixed header, then records.

Source: draft-ietf-opsawg-pcap; the byte orders, magics and swapped lengths are those Wireshark's ``libpcap.c`` reads.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from schemas.errors import CaptureFormatError
from streams.frames import MAX_FRAME_BYTES, FrameColumns, Progress, Stop
from streams.jit import kernel
from streams.octets import Octets, bare, file32

HEADER_BYTES = 24

_MICROSECONDS = 0xA1B2C3D4
_NANOSECONDS = 0xA1B23C4D
_MODIFIED = 0xA1B2CD34
"""Alexey Kuznetzov's patched libpcap: 8 more bytes (interface, protocol, direction) in each record header."""

_MAGICS = {
    magic.to_bytes(4, order): (magic, order == "big")
    for magic in (_MICROSECONDS, _NANOSECONDS, _MODIFIED)
    for order in ("little", "big")
}
PCAP_MAGICS = tuple(_MAGICS)
"""First four bytes of a pcap file."""

_AS_SPECIFIED, _SWAPPED, _MAYBE_SWAPPED = 0, 1, 2
_STOPS = (Stop.FULL, Stop.NEEDS_BYTES, Stop.CORRUPT)


@dataclass(frozen=True)
class PcapIndexer:
    """Finds the frames of a pcap file.

    Attributes
    ----------
    is_big_endian : bool
        Byte order of the file's numbers.
    record_header_bytes : int
        16, or 24 for the modified format.
    tick_ns : int
        Unit of the second half of a time stamp, ns.
    length_order : int
        Whether captured and wire length stand the other way round (files before version 2.4).
    link_type : int
        Of every frame.
    """

    is_big_endian: bool
    record_header_bytes: int
    tick_ns: int
    length_order: int
    link_type: int

    @property
    def format(self) -> str:
        """Name of the format, for people."""
        return "pcap (ns)" if self.tick_ns == 1 else "pcap"

    def index(self, data: Octets, at: int, end: int, columns: FrameColumns, frames: int) -> Progress:
        """Index records of ``data[at:end]`` behind the ``frames`` that the columns hold already."""
        frames, at, stop, needed = index_records(
            data,
            at,
            end,
            self.is_big_endian,
            self.record_header_bytes,
            self.tick_ns,
            self.length_order,
            self.link_type,
            frames,
            columns,
        )
        reason = f"a frame of {needed} bytes, longer than any can be" if _STOPS[stop] is Stop.CORRUPT else ""
        return Progress(frames, at, _STOPS[stop], needed, reason)


def read_header(head: bytes) -> PcapIndexer:
    """Return the indexer for a file that begins with these ``HEADER_BYTES`` bytes.

    Raises
    ------
    CaptureFormatError
        When the header is shorter, or its version is none that exists.
    """
    if len(head) < HEADER_BYTES:
        raise CaptureFormatError(f"ends inside its pcap header ({len(head)} of {HEADER_BYTES} bytes)")
    magic, is_big_endian = _MAGICS[head[:4]]
    major, minor, _, _, _, network = struct.unpack(">HHiIII" if is_big_endian else "<HHiIII", head[4:24])
    if (major, minor) == (543, 0):
        order = _SWAPPED  # DG/UX writes its own version number and the lengths swapped
    elif major != 2:
        raise CaptureFormatError(f"has pcap version {major}.{minor}; only version 2 is known")
    else:
        order = _SWAPPED if minor < 3 else _MAYBE_SWAPPED if minor == 3 else _AS_SPECIFIED
    return PcapIndexer(
        is_big_endian=is_big_endian,
        record_header_bytes=24 if magic == _MODIFIED else 16,
        tick_ns=1 if magic == _NANOSECONDS else 1000,
        length_order=order,
        # The upper 16 bits tell about a frame check sequence, not about the link type.
        link_type=network & 0xFFFF,
    )


@kernel
def index_records(
    data: Octets,
    at: int,
    end: int,
    is_big_endian: bool,
    header_bytes: int,
    tick_ns: int,
    length_order: int,
    link_type: int,
    begin: int,
    columns: FrameColumns,
) -> tuple[int, int, int, int]:
    """Fill columns from row ``begin`` on; return frames, offset reached, why it stopped, bytes needed."""
    room = len(columns.start)
    octets = bare(data)
    for n in range(begin, room):
        if end - at < header_bytes:
            return n, at, 1, header_bytes
        captured = file32(octets, at + 8, is_big_endian)
        length = file32(octets, at + 12, is_big_endian)
        if length_order == 1 or (length_order == 2 and captured > length):
            captured, length = length, captured
        if captured > MAX_FRAME_BYTES:
            return n, at, 2, captured
        if end - at - header_bytes < captured:
            return n, at, 1, header_bytes + captured
        columns.start[n] = at + header_bytes
        columns.captured_bytes[n] = captured
        columns.length_bytes[n] = length
        columns.ts_ns[n] = (
            file32(octets, at, is_big_endian) * 1_000_000_000 + file32(octets, at + 4, is_big_endian) * tick_ns
        )
        columns.link_type[n] = link_type
        at += header_bytes + captured
    return room, at, 0, 0
