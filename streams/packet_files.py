"""Where recorded packets go: one file of a user's, or a bounded ring of segments in the state folder."""

from __future__ import annotations

import logging
from io import FileIO
from pathlib import Path
from typing import Protocol

from schemas.errors import CaptureError
from streams.octets import Octets

log = logging.getLogger(__name__)

SEGMENT_BYTES = 64 * 1024 * 1024
"""A segment of the packet ring is closed beyond this size."""

SEGMENTS_AT_LEAST = 4
"""A smaller ring has smaller segments, so that deleting the oldest never deletes most of it."""


class PacketFile(Protocol):
    """Something that pcapng blocks are written to."""

    def write(self, blocks: Octets) -> None:
        """Append whole blocks; raises ``OSError``."""

    def close(self) -> None:
        """Close it."""


class OutputFile:
    """A pcapng file that a user has asked for.

    Parameters
    ----------
    path : Path
        Made anew when it exists.
    header : bytes
        What it begins with.
    limit_bytes : int
        Most bytes that it may have: what comes behind is left out. 0 sets no bound.

    Raises
    ------
    CaptureError
        It cannot be made.
    """

    def __init__(self, path: Path, header: bytes, limit_bytes: int = 0) -> None:
        self.path = path
        self._limit_bytes = limit_bytes
        self._bytes = len(header)
        self._is_full = False
        try:
            self._file = FileIO(path, "w")
            self._file.write(header)
        except OSError as error:
            raise CaptureError(f"The output file {path} cannot be written: {error.strerror}.") from error

    def write(self, blocks: Octets) -> None:
        """Append whole blocks as long as they fit; raises ``OSError``."""
        if self._is_full:
            return
        if self._limit_bytes and self._bytes + len(blocks) > self._limit_bytes:
            self._is_full = True
            log.info("%s is full: %d bytes", self.path, self._bytes)
            return
        write_all(self._file, blocks)
        self._bytes += len(blocks)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class PacketRing:
    """The newest packets of a machine's live captures, as pcapng segments ``FOLDER/CAPTURE/NNNNNN.pcapng``.

    Each segment is a file of its own right. The bound is one for all captures of the folder: what an ended capture
    left is the oldest, and goes first.

    Parameters
    ----------
    folder : Path
        Folder of all captures.
    capture_id : str
        The capture whose packets these are.
    header : bytes
        What a segment begins with.
    limit_bytes : int
        Most disk all segments may take together.
    segment_bytes : int
        Size beyond which a segment is closed.

    Raises
    ------
    CaptureError
        The folder cannot be made.
    """

    def __init__(
        self, folder: Path, capture_id: str, header: bytes, limit_bytes: int, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._root = folder
        self._folder = folder / capture_id
        self._header = header
        self._limit_bytes = limit_bytes
        self._segment_bytes = min(segment_bytes, limit_bytes // SEGMENTS_AT_LEAST)
        self._number = 0
        self._bytes = 0
        self._file: FileIO | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room()
        except OSError as error:
            raise CaptureError(f"The packet ring {self._folder} cannot be made: {error.strerror}.") from error

    def write(self, blocks: Octets) -> None:
        """Append whole blocks, to a new segment when they do not fit; raises ``OSError``."""
        file = self._file
        if file is None or self._bytes + len(blocks) > self._segment_bytes:
            file = self._turn_over()
        write_all(file, blocks)
        self._bytes += len(blocks)

    def close(self) -> None:
        """Close the newest segment; the packets stay."""
        if self._file is not None:
            self._file.close()

    def _turn_over(self) -> FileIO:
        self.close()
        self._make_room()
        self._number += 1
        self._file = file = FileIO(self._folder / f"{self._number:06d}.pcapng", "w")
        file.write(self._header)
        self._bytes = len(self._header)
        return file

    def _make_room(self) -> None:
        """Delete the oldest segments until another one fits."""
        segments = sorted((path.stat().st_mtime_ns, path) for path in self._root.glob("*/*.pcapng"))
        sizes = [path.stat().st_size for _, path in segments]
        left = sum(sizes) + self._segment_bytes
        for (_, path), size in zip(segments, sizes, strict=True):
            if left <= self._limit_bytes:
                break
            path.unlink(missing_ok=True)
            left -= size
            if path.parent != self._folder and not any(path.parent.iterdir()):
                path.parent.rmdir()


def write_all(file: FileIO, octets: Octets) -> None:
    """Write every byte; a raw file may take less than it is given."""
    rest = octets.data
    while len(rest):
        rest = rest[file.write(rest) :]
