"""Taking packets out of a capture: by time, addresses, ports and protocol, into a pcapng file.

``python -m streams.extract SELECTION OUTPUT FILE…`` does it from the command line; SELECTION is JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.errors import CaptureError, CaptureNotFoundError, SpanwatchError
from schemas.evidence import ANY_PROTOCOL, Ends, Extracted, Selection
from streams.decode import NO_TIME_NS, decode
from streams.files import open_capture
from streams.frames import FrameBlock
from streams.octets import Octets
from streams.packets import Packets
from streams.pcapng_writer import BLOCK_BYTES, enhanced_packets, interface_header, section_header

BLOCK_FRAMES = 65_536
"""Frames looked at together."""

SLACK_NS = 60 * 10**9
"""How far a segment's time of change may lie from its packets' event times: the disk is late, clocks differ."""

Mask = npt.NDArray[np.bool_]


class _Address(NamedTuple):
    """Sixteen bytes as two numbers, as they lie in a column of addresses."""

    high: np.uint64
    low: np.uint64


def _address(text: str) -> _Address:
    parsed = ip_address(text)
    octets = parsed.packed if parsed.version == 6 else bytes(10) + b"\xff\xff" + parsed.packed
    return _Address(*np.frombuffer(octets, np.uint64))


def _is_at(addresses: Octets, ports: npt.NDArray[np.uint16], ip: str, port: int) -> Mask:
    """Return which packets have one end there; an empty address and port 0 are anywhere."""
    found = np.ones(len(ports), np.bool_)
    if ip:
        halves, wanted = addresses.view(np.uint64), _address(ip)
        found &= (halves[:, 0] == wanted.high) & (halves[:, 1] == wanted.low)
    if port:
        found &= ports == port
    return found


def between(packets: Packets, ends: Ends) -> Mask:
    """Return which packets travel between two ends, in either direction; shape (n_packets,)."""

    def one_way(a: str, a_port: int, b: str, b_port: int) -> Mask:
        from_a = _is_at(packets.src_ip, packets.src_port, a, a_port)
        return from_a & _is_at(packets.dst_ip, packets.dst_port, b, b_port)

    a, b = (ends.a, ends.a_port), (ends.b, ends.b_port)
    found = one_way(*a, *b) | one_way(*b, *a)
    if ends.protocol != ANY_PROTOCOL:
        found &= packets.protocol == ends.protocol
    return found


def selected(block: FrameBlock, wanted: Selection) -> FrameBlock:
    """Return the frames of a block that are wanted, whatever the limits say.

    Only frames of the right time are decoded.
    """
    of_time = _rows(block, (block.ts_ns >= wanted.first_ns) & (block.ts_ns <= wanted.last_ns))
    if not wanted.ends or not len(of_time):
        return of_time
    packets = decode(of_time, NO_TIME_NS)
    found = np.zeros(len(of_time), np.bool_)
    for ends in wanted.ends:
        found |= between(packets, ends)
    return _rows(of_time, found)


def _rows(block: FrameBlock, mask: Mask | slice) -> FrameBlock:
    return FrameBlock(
        data=block.data,
        start=block.start[mask],
        captured_bytes=block.captured_bytes[mask],
        length_bytes=block.length_bytes[mask],
        ts_ns=block.ts_ns[mask],
        link_type=block.link_type[mask],
        first_frame=block.first_frame,
        first_offset=block.first_offset,
        last_offset=block.last_offset,
    )


class Extraction:
    """Writes the wanted frames of a capture's blocks as pcapng, within the limits of the selection.

    Every link type gets an interface of its own, so that any capture can be written.

    Parameters
    ----------
    wanted : Selection
        Which packets.
    sink : BinaryIO
        Open for writing.

    Attributes
    ----------
    scanned, packets : int
        Frames looked at, and written.
    is_truncated : bool
        Whether a limit has left frames out; then nothing more is written.
    """

    def __init__(self, wanted: Selection, sink: BinaryIO) -> None:
        self.scanned = 0
        self.packets = 0
        self.is_truncated = False
        self._wanted = wanted
        self._sink = sink
        self._bytes = 0
        self._interfaces: dict[int, int] = {}
        sink.write(section_header())

    def feed(self, block: FrameBlock) -> bool:
        """Take a block; return whether the next one is of interest."""
        self.scanned += len(block)
        found = selected(block, self._wanted)
        room = self._room(found)
        if room < len(found):
            self.is_truncated = True
            found = _rows(found, slice(0, room))
        if len(found):
            self._write(found)
        return not self.is_truncated

    def _room(self, found: FrameBlock) -> int:
        """Return how many of the frames the limits allow."""
        fits = self._bytes + np.cumsum(found.captured_bytes, dtype=np.int64) <= self._wanted.max_bytes
        return min(int(np.count_nonzero(fits)), self._wanted.max_packets - self.packets)

    def _write(self, found: FrameBlock) -> None:
        for link_type in np.unique(found.link_type).tolist():
            if link_type not in self._interfaces:
                self._interfaces[link_type] = len(self._interfaces)
                self._sink.write(interface_header(link_type, 0, ""))
        blocks = enhanced_packets(found)
        if len(self._interfaces) > 1:
            _name_interfaces(blocks, found, self._interfaces)
        self._sink.write(blocks.data)
        self.packets += len(found)
        self._bytes += int(found.captured_bytes.sum(dtype=np.int64))

    @property
    def result(self) -> Extracted:
        """What came of it."""
        return Extracted(packets=self.packets, scanned=self.scanned, is_truncated=self.is_truncated)


def _name_interfaces(blocks: Octets, found: FrameBlock, interfaces: dict[int, int]) -> None:
    """Write each Enhanced Packet Block's interface id: 32 bits behind its type and length."""
    padded = (found.captured_bytes.astype(np.int64) + 3) & ~3
    at = np.cumsum(padded + BLOCK_BYTES) - (padded + BLOCK_BYTES)
    # More than 256 link types do not occur: the lowest byte is enough.
    blocks[at + 8] = [interfaces[link_type] for link_type in found.link_type.tolist()]


def extract(blocks: Iterable[FrameBlock], wanted: Selection, sink: BinaryIO) -> Extracted:
    """Write the wanted frames of some blocks as one pcapng file."""
    extraction = Extraction(wanted, sink)
    for block in blocks:
        if not extraction.feed(block):
            break
    return extraction.result


class Segments:
    """The frames of capture files, one behind the other; segments of a ring that cannot match are passed over.

    A single file must be readable. Of several, what cannot be read is left out and told: the ring deletes its oldest
    segment whenever it begins a new one, which is no fault; anything else is.

    Parameters
    ----------
    paths : sequence of Path
        The files, in order.
    wanted : Selection
        Says which segments may match.

    Attributes
    ----------
    gone : int
        Segments that had been deleted when their turn came.
    unreadable : list of str
        A sentence for each segment that could not be read to its end for another reason.
    """

    def __init__(self, paths: Sequence[Path], wanted: Selection) -> None:
        self.gone = 0
        self.unreadable: list[str] = []
        self._paths = paths
        self._wanted = wanted

    def blocks(self) -> Iterator[FrameBlock]:
        """Yield the frames.

        Raises
        ------
        CaptureError, OSError
            A single file cannot be read.
        """
        for path in self._paths:
            try:
                if len(self._paths) > 1 and self._is_passed_over(path):
                    continue
                with open_capture(path) as capture:
                    for block in capture.blocks(BLOCK_FRAMES):
                        if len(self._paths) > 1 and block.ts_ns[0] > self._wanted.last_ns + SLACK_NS:
                            return
                        yield block
            except (OSError, CaptureError) as error:
                if len(self._paths) == 1:
                    raise
                self._leave_out(path, error)

    def _is_passed_over(self, path: Path) -> bool:
        """Return whether a segment ended too early, or has only just been begun."""
        status = path.stat()
        return not status.st_size or status.st_mtime_ns < self._wanted.first_ns - SLACK_NS

    def _leave_out(self, path: Path, error: OSError | CaptureError) -> None:
        if isinstance(error, FileNotFoundError | CaptureNotFoundError):
            self.gone += 1
            return
        sentence = error.strerror if isinstance(error, OSError) else str(error).removeprefix(f"{path} ")
        self.unreadable.append(f"{path.name}: {sentence}")


def main(arguments: list[str]) -> int:
    """Extract from the command line; print what came of it as JSON, or why nothing did."""
    selection, output, *files = arguments
    wanted = Selection.model_validate_json(selection)
    segments = Segments([Path(file) for file in files], wanted)
    try:
        with Path(output).open("wb") as sink:
            result = extract(segments.blocks(), wanted, sink)
    except (SpanwatchError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    told = {"segments_gone": segments.gone, "segments_unreadable": segments.unreadable}
    sys.stdout.write(result.model_copy(update=told).model_dump_json() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
