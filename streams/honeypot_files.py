"""Log files of honeypots, block by block: from beginning to end, or followed as they grow and are rotated."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from schemas.errors import CaptureError
from schemas.honeypots import DEAD_LETTER_BYTES, MAX_LINE_BYTES
from streams.compression import UNPACK_ERRORS, FileReader, unpack
from streams.honeypot_blocks import LogBlock

BLOCK_BYTES = 4 * 1024 * 1024
"""Read at once, and the most that one message holds: some 7,000 lines of Cowrie's."""

BLOCK_LINES = 16_384
"""Lines of a block at most, however short they are."""

STDIN = "-"

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class LineSplitter:
    """Bytes into lines, whatever pieces they come in.

    A line longer than ``MAX_LINE_BYTES`` is not gathered: only its beginning is kept, and how long it was.

    Parameters
    ----------
    file : str
        As messages name it.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._next = 1
        self._rest = b""
        self._dropped = 0

    def feed(self, piece: bytes) -> Iterator[LogBlock]:
        """Yield the lines that a piece completes."""
        if self._next == 1 and not self._rest:
            piece = self._without_mark(piece)
        *lines, rest = (self._rest + piece).split(b"\n")
        lengths: dict[int, int] = {}
        if lines and self._dropped:
            lengths[0], self._dropped = self._dropped + len(lines[0]), 0
            lines[0] = lines[0][:DEAD_LETTER_BYTES]
        if lines and max(map(len, lines)) > MAX_LINE_BYTES:
            for place, line in enumerate(lines):
                if len(line) > MAX_LINE_BYTES:
                    lengths[place], lines[place] = len(line), line[:DEAD_LETTER_BYTES]
        if self._dropped or len(rest) > MAX_LINE_BYTES:
            self._dropped += max(len(rest) - DEAD_LETTER_BYTES, 0)
            rest = rest[:DEAD_LETTER_BYTES]
        self._rest = rest
        yield from self._blocks(lines, lengths)

    def finish(self) -> Iterator[LogBlock]:
        """Yield what stands behind the last line feed, as a line."""
        if self._rest:
            lengths = {0: self._dropped + len(self._rest)} if self._dropped else {}
            line, self._rest, self._dropped = self._rest, b"", 0
            yield from self._blocks([line], lengths)

    def _blocks(self, lines: list[bytes], lengths: dict[int, int]) -> Iterator[LogBlock]:
        for begin in range(0, len(lines), BLOCK_LINES):
            part = lines[begin : begin + BLOCK_LINES]
            cut = {place - begin: length for place, length in lengths.items() if 0 <= place - begin < len(part)}
            yield LogBlock(self._file, self._next, part, cut)
            self._next += len(part)

    def _without_mark(self, piece: bytes) -> bytes:
        if piece.startswith(_UTF16_MARKS):
            raise CaptureError(
                f"{self._file} is UTF-16, and logs are read as UTF-8: convert it, for example with iconv."
            )
        return piece.removeprefix(_UTF8_MARK)


def _opened(path: Path) -> FileIO:
    """Open a file; raises ``CaptureError``."""
    try:
        return FileIO(path)
    except OSError as error:
        raise CaptureError(f"{path} cannot be read: {error.strerror}.") from error


class LogFile:
    """A log that is read once, from its beginning to its end: plain, or packed with gzip, zstd or xz.

    Parameters
    ----------
    name : str
        Path, or ``-`` for standard input.

    Attributes
    ----------
    name : str
        As given.
    file_bytes : int
        Size of the file on disk; 0 when it is not known.

    Raises
    ------
    CaptureError
        It cannot be read.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        raw = FileIO(sys.stdin.fileno(), closefd=False) if name == STDIN else _opened(Path(name))
        status = os.fstat(raw.fileno())
        is_live = not stat.S_ISREG(status.st_mode)
        self.file_bytes = 0 if is_live else status.st_size
        self._reader = FileReader(raw, is_live)

    @property
    def consumed_bytes(self) -> int:
        """Bytes read so far, as they lie on disk."""
        return self._reader.consumed_bytes

    def blocks(self) -> Iterator[LogBlock]:
        """Yield the lines, a block at a time; of a pipe, what came within a quarter of a second.

        Raises
        ------
        CaptureError
            It is UTF-16, cannot be read further, or what it was packed with is damaged.
        """
        splitter = LineSplitter(self.name)
        try:
            source, _ = unpack(self._reader)
            while piece := source.read(BLOCK_BYTES):
                yield from splitter.feed(piece)
            yield from splitter.finish()
        except UNPACK_ERRORS as error:
            raise CaptureError(f"{self.name} is packed, but damaged or cut ({error}).") from error
        except OSError as error:
            raise CaptureError(f"{self.name} cannot be read: {error.strerror}.") from error
        finally:
            self._reader.close()


class FollowedLog:
    """A log that grows: what is appended, across rotations.

    When the path names another file, the one that is open is read to its end first; when the file has become
    shorter than what was read of it, it was emptied in place, and is read from its beginning. While there is no
    file, one is waited for.

    Parameters
    ----------
    name : str
        Path.
    from_end : bool
        Whether to pass over what stands there at the start.
    """

    def __init__(self, name: str, *, from_end: bool = False) -> None:
        self.name = name
        self._path = Path(name)
        self._raw: FileIO | None = None
        self._splitter = LineSplitter(name)
        self._is_last_look = False
        self._open(from_end=from_end)

    def close(self) -> None:
        """Close the file."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def poll(self) -> Iterator[LogBlock]:
        """Yield what has been appended since the last call.

        Raises
        ------
        CaptureError
            It cannot be read, or is UTF-16.
        """
        if self._raw is None and not self._open():
            return
        yield from self._appended()
        if not self._is_replaced():
            self._is_last_look = False
        elif self._is_last_look:
            # Whoever writes may have had the old file open a moment longer: it was looked at twice.
            yield from self._splitter.finish()
            self.close()
            self._is_last_look = False
        else:
            self._is_last_look = True

    def finish(self) -> Iterator[LogBlock]:
        """Yield the unfinished last line, if there is one, and close the file."""
        self.close()
        yield from self._splitter.finish()

    def _open(self, *, from_end: bool = False) -> bool:
        """Open the file if there is one; return whether there is."""
        if not self._path.exists():
            return False
        self._raw = _opened(self._path)
        self._splitter = LineSplitter(self.name)
        if from_end:
            self._raw.seek(0, os.SEEK_END)
        return True

    def _appended(self) -> Iterator[LogBlock]:
        raw = self._raw
        if raw is None:
            return
        if os.fstat(raw.fileno()).st_size < raw.tell():
            yield from self._splitter.finish()
            raw.seek(0)
            self._splitter = LineSplitter(self.name)
        while piece := raw.read(BLOCK_BYTES):
            yield from self._splitter.feed(piece)

    def _is_replaced(self) -> bool:
        if self._raw is None:
            return False
        opened = os.fstat(self._raw.fileno())
        try:
            named = self._path.stat()
        except FileNotFoundError:
            # Moved away, and the new one is not there yet: whoever writes may go on in the old one.
            return False
        return (named.st_dev, named.st_ino) != (opened.st_dev, opened.st_ino)
