"""The bytes of a capture at hand: a buffer that rolls over a file, a pipe or what is unpacked from it.

Plain files are read like the others rather than mapped: measured here, copying a file through a buffer that
stays in the cache costs 19 ns per frame and its pages' faults in a map cost 60; the resident memory does not
grow with the file; and a file that is cut while it is read ends early instead of killing the process.
"""

from __future__ import annotations

import os
import stat
import sys
from io import FileIO
from pathlib import Path

from schemas.errors import CaptureError, CaptureFormatError, CaptureNotFoundError
from streams.columns import room
from streams.compression import UNPACK_ERRORS, FileReader, PeekableReader, unpack
from streams.octets import read_only

BUFFER_BYTES = 8 * 1024 * 1024
"""A full batch of short frames fits, and it is small beside everything else."""

_STEP_BYTES = 256 * 1024
"""Read at once: what is still in the core's own cache when the frames in it are looked for."""


class ByteSource:
    """A stretch of a capture's bytes that moves forward.

    Parameters
    ----------
    raw : io.FileIO
        Open for reading.

    Attributes
    ----------
    data : numpy.ndarray of uint8
        The bytes at hand; earlier arrays stay valid when a new one takes its place.
    end : int
        Offset behind the last valid byte of ``data``.
    base_offset : int
        Offset of ``data[0]`` in the (unpacked) capture.
    is_live : bool
        Whether bytes come as they are made: from a pipe or a terminal.
    compression : str
        Compressions taken off, outermost first, ``+`` between them; empty for none.
    file_bytes : int
        Size of the file; 0 for a pipe.
    damage : str
        What is wrong with the compressed stream; empty while nothing is.
    """

    def __init__(self, raw: FileIO) -> None:
        status = os.fstat(raw.fileno())
        self.is_live = not stat.S_ISREG(status.st_mode)
        self.file_bytes = 0 if self.is_live else status.st_size
        self.base_offset = 0
        self.end = 0
        self.damage = ""
        self._is_at_end = False
        self._file = FileReader(raw, self.is_live)
        self._reader: PeekableReader
        try:
            self._reader, self.compression = unpack(self._file)
        except UNPACK_ERRORS as error:
            raise CaptureFormatError(f"is compressed, but damaged at its beginning ({error})") from error
        self._new_buffer(BUFFER_BYTES)

    @property
    def consumed_bytes(self) -> int:
        """Bytes taken from the file as it lies on disk."""
        return self._file.consumed_bytes

    def read_more(self) -> bool:
        """Read a step into the room left in ``data``; return whether anything came."""
        size = min(_STEP_BYTES, len(self._room) - self.end)
        if self._is_at_end or not size:
            return False
        more = 0
        try:
            more = self._reader.readinto(self._room[self.end : self.end + size])
        except UNPACK_ERRORS as error:
            self.damage = f"the {self.compression} stream is damaged or cut ({error})"
        self.end += more
        self._is_at_end = more == 0
        return more > 0

    def turn_over(self, at: int, needed_bytes: int) -> int | None:
        """Take a new buffer for the bytes from ``at`` on and what comes behind them.

        Parameters
        ----------
        at : int
            First byte that is still needed.
        needed_bytes : int
            How many bytes from ``at`` must fit.

        Returns
        -------
        int or None
            Where ``at`` lies now; None when there is nothing more to come.
        """
        if self._is_at_end:
            return None
        rest = self.data[at : self.end]
        self._new_buffer(max(BUFFER_BYTES, needed_bytes))
        self._room[: len(rest)] = rest.data
        self.base_offset += at
        self.end = len(rest)
        return 0

    def close(self) -> None:
        """Close the file, unless it is standard input; arrays handed out stay valid."""
        self._file.close()

    def _new_buffer(self, size: int) -> None:
        buffer = room(size)
        self._room = buffer.data
        self.data = read_only(buffer)


def open_source(path: Path | None) -> ByteSource:
    """Open the bytes of a capture file, or of standard input for None.

    Raises
    ------
    CaptureNotFoundError
        When there is no such file.
    CaptureError
        When it cannot be opened.
    CaptureFormatError
        When it is a folder, or compressed and damaged from its beginning.
    """
    if path is None:
        return ByteSource(FileIO(sys.stdin.fileno(), closefd=False))
    try:
        raw = FileIO(path)
    except FileNotFoundError as error:
        raise CaptureNotFoundError("does not exist") from error
    except IsADirectoryError as error:
        raise CaptureFormatError("is a folder; name a capture file in it") from error
    except OSError as error:
        raise CaptureError(f"cannot be opened: {error.strerror}") from error
    try:
        return ByteSource(raw)
    except CaptureFormatError:
        raw.close()
        raise
