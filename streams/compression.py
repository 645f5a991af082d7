"""Unpacking gzip, zstd and xz as a stream, recognised by their first bytes and never by a name."""

from __future__ import annotations

import lzma
import select
import time
import zlib
from collections.abc import Callable
from io import FileIO
from typing import IO, Protocol, cast

import zstandard

MAGIC_BYTES = 6
"""Bytes that tell a compression from another."""

UNPACK_ERRORS = (EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError)
"""What a damaged or cut compressed stream raises."""

_MAX_LAYERS = 3
_INPUT_BYTES = 32 * 1024
_MAX_DICTIONARY_BYTES = 256 * 1024 * 1024
"""Memory a compressed file may ask for; the highest ordinary levels of xz and zstd need 65 and 128 MiB."""

_LIVE_WAIT_S = 0.25
"""How long a pipe's bytes wait for more to join them: as long as a batch may stay open."""


class Reader(Protocol):
    """What bytes are taken from."""

    def readinto(self, room: memoryview, /) -> int:
        """Put one byte or more into ``room`` and return how many; 0 only at the end."""
        ...


class FileReader:
    """A file, pipe or terminal, with a count of what was taken from it.

    Parameters
    ----------
    raw : io.FileIO
        Open for reading.
    is_live : bool
        Whether bytes come as they are made, so that waiting for a full read would hold them back.

    Attributes
    ----------
    consumed_bytes : int
        Bytes taken so far.
    """

    def __init__(self, raw: FileIO, is_live: bool) -> None:
        self._raw = raw
        self._is_live = is_live
        self.consumed_bytes = 0

    def readinto(self, room: memoryview, /) -> int:
        """Put one byte or more into ``room`` and return how many; 0 only at the end."""
        size = self._raw.readinto(room) or 0
        deadline = time.monotonic() + _LIVE_WAIT_S
        while self._is_live and 0 < size < len(room) and self._has_more(deadline):
            more = self._raw.readinto(room[size:]) or 0
            if not more:
                break
            size += more
        self.consumed_bytes += size
        return size

    def close(self) -> None:
        """Close the file, unless it is standard input."""
        self._raw.close()

    def _has_more(self, deadline: float) -> bool:
        wait_s = max(0.0, deadline - time.monotonic())
        return bool(select.select([self._raw], [], [], wait_s)[0])


class PeekableReader:
    """A reader whose first bytes can be looked at before they are taken."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self._head = b""

    def peek(self, size: int) -> bytes:
        """Return the next ``size`` bytes, or fewer at the end, and leave them there."""
        while len(self._head) < size and (more := self._take(size - len(self._head))):
            self._head += more
        return self._head[:size]

    def read(self, size: int, /) -> bytes:
        """Return between one and ``size`` bytes; none at the end."""
        if not self._head:
            return self._take(size)
        taken, self._head = self._head[:size], self._head[size:]
        return taken

    def readinto(self, room: memoryview, /) -> int:
        """Put one byte or more into ``room`` and return how many; 0 only at the end."""
        if not self._head:
            return self._source.readinto(room)
        taken = self.read(len(room))
        room[: len(taken)] = taken
        return len(taken)

    def _take(self, size: int) -> bytes:
        room = bytearray(size)
        return bytes(room[: self._source.readinto(memoryview(room))])


class _Stream(Protocol):
    """One compressed stream, as ``lzma.LZMADecompressor`` presents it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _GzipStream:
    """One gzip member, with the interface of ``lzma.LZMADecompressor``."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        before = self._zlib.copy()
        packed = self._zlib.unconsumed_tail + data
        try:
            return self._zlib.decompress(packed, max(0, max_length))
        except zlib.error:
            if rescued := _unpack_up_to_error(before, packed):
                return rescued
            raise


def _unpack_up_to_error(stream: zlib._Decompress, packed: bytes) -> bytes:
    """Return what can be unpacked before the error, which ``zlib`` itself throws away."""
    unpacked = bytearray()
    try:
        for at in range(len(packed)):
            unpacked += stream.decompress(packed[at : at + 1])
    except zlib.error:
        pass
    return bytes(unpacked)


class UnpackingReader:
    """The content of a file of compressed streams that follow one another.

    Raises (from ``readinto``) one of ``UNPACK_ERRORS`` when a stream is damaged or ends early.
    """

    def __init__(self, source: PeekableReader, new_stream: Callable[[], _Stream]) -> None:
        self._source = source
        self._new_stream = new_stream
        self._stream = new_stream()
        self._pending = b""

    def readinto(self, room: memoryview, /) -> int:
        """Put one byte or more into ``room`` and return how many; 0 only at the end."""
        while True:
            if self._stream.eof and not self._start_next_stream():
                return 0
            packed, self._pending = self._pending, b""
            if not packed and self._stream.needs_input:
                packed = self._source.read(_INPUT_BYTES)
            unpacked = self._stream.decompress(packed, len(room))
            if unpacked:
                room[: len(unpacked)] = unpacked
                return len(unpacked)
            if not packed and self._stream.needs_input and not self._stream.eof:
                raise EOFError("the compressed stream ends early")

    def _start_next_stream(self) -> bool:
        rest = self._stream.unused_data.lstrip(b"\0") or self._source.read(_INPUT_BYTES).lstrip(b"\0")
        if rest:
            self._stream = self._new_stream()
            self._pending = rest
        return bool(rest)


def _open_gzip(source: PeekableReader) -> Reader:
    return UnpackingReader(source, _GzipStream)


def _open_xz(source: PeekableReader) -> Reader:
    return UnpackingReader(source, lambda: lzma.LZMADecompressor(memlimit=_MAX_DICTIONARY_BYTES))


def _open_zstd(source: PeekableReader) -> Reader:
    unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_DICTIONARY_BYTES)
    return unpacker.stream_reader(cast(IO[bytes], source), read_size=_INPUT_BYTES, read_across_frames=True)


_COMPRESSIONS: tuple[tuple[bytes, str, Callable[[PeekableReader], Reader]], ...] = (
    (b"\x1f\x8b\x08", "gzip", _open_gzip),
    (b"\x28\xb5\x2f\xfd", "zstd", _open_zstd),
    (b"\xfd7zXZ\x00", "xz", _open_xz),
)


def is_compressed(head: bytes) -> bool:
    """Whether a file that begins with these bytes is compressed in a way that is unpacked here."""
    return any(head.startswith(magic) for magic, _, _ in _COMPRESSIONS)


def unpack(source: Reader) -> tuple[PeekableReader, str]:
    """Return a reader of the content, and the names of the compressions taken off, outermost first.

    Notes
    -----
    At most three layers are taken off: a file that unpacks into itself must end somewhere.
    """
    reader = PeekableReader(source)
    names: list[str] = []
    while len(names) < _MAX_LAYERS:
        head = reader.peek(MAGIC_BYTES)
        found = next((c for c in _COMPRESSIONS if head.startswith(c[0])), None)
        if found is None:
            break
        names.append(found[1])
        reader = PeekableReader(found[2](reader))
    return reader, "+".join(names)
