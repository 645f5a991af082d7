"""The capture file: frames of a pcap or pcapng file, plain, compressed or piped in, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from schemas.errors import CaptureFormatError, SpanwatchError
from streams import pcap, pcapng
from streams.frames import FrameBlock, FrameColumns, HopCount, Indexer, Progress, Stop
from streams.sources import ByteSource, open_source

__all__ = ["CaptureFile", "FrameBlock", "open_capture"]

_OTHER_FORMATS = {
    b"BZh": "a bzip2 archive",
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x04\x22\x4d\x18": "an lz4 archive",
    b"Rar!": "a RAR archive",
    b"snoop\0": "a Solaris snoop capture",
    b"\x7fELF": "a program",
    b"%PDF": "a PDF document",
    b"SQLi": "an SQLite database",
    b"PAR1": "a Parquet file",
    b"ARRO": "an Arrow file",
    b"<?xm": "an XML document",
    b"<!DO": "an HTML document",
    b"<htm": "an HTML document",
    b"version ": "a Git LFS pointer, not the file it stands for",
}
_READ = "spanwatch reads pcap and pcapng, plain or packed with gzip, zstd or xz"


class CaptureFile:
    """An open capture; iterate over ``blocks`` once, then ask how it ended.

    Attributes
    ----------
    format : str
        ``pcap``, ``pcap (ns)`` or ``pcapng``.
    compression : str
        ``gzip``, ``zstd``, ``xz``, more than one with ``+`` between them, or empty.
    file_bytes : int
        Size of the file on disk; 0 for a pipe.
    is_truncated : bool
        Whether the capture ends inside a record, or at one whose length cannot be right. Known at the end.
    reason : str
        Why reading ended early, in words; empty when it did not.
    """

    is_live = False
    interface = ""
    fill = 0.0

    def __init__(self, source: ByteSource, indexer: Indexer, at: int) -> None:
        self._source = source
        self._indexer = indexer
        self._at = at
        self._frames = 0
        self.format = indexer.format
        self.compression = source.compression
        self.file_bytes = source.file_bytes
        self.is_truncated = False
        self.reason = ""

    @property
    def consumed_bytes(self) -> int:
        """Bytes of the file used so far, as they lie on disk: progress against ``file_bytes``."""
        return self._source.consumed_bytes

    def blocks(self, max_frames: int) -> Iterator[FrameBlock]:
        """Yield the frames in file order, at most ``max_frames`` in a block.

        The blocks of a file are the same each time it is read, compressed or not having a say in where they
        end. Of a pipe, a block holds what has come within a quarter of a second.

        Raises
        ------
        ValueError
            When ``max_frames`` is not positive.
        """
        if max_frames <= 0:
            raise ValueError(f"max_frames is {max_frames}, must be positive")
        source = self._source
        while True:
            begin = self._at
            columns = FrameColumns.empty(max_frames)
            progress = self._index(columns)
            if progress.frames:
                yield self._block(columns, progress.frames, begin)
            if progress.stop is Stop.CORRUPT:
                self._end(f"{progress.reason} at offset {source.base_offset + self._at}")
                return
            if progress.stop is Stop.NEEDS_BYTES:
                moved_to = source.turn_over(self._at, progress.needed_bytes)
                if moved_to is None:
                    self._end_of_bytes()
                    return
                self._at = moved_to

    def counts(self) -> list[HopCount]:
        """Return nothing: a file loses no frames before they are decoded."""
        return []

    def close(self) -> None:
        """Close the file; blocks handed out stay valid."""
        self._source.close()

    def __enter__(self) -> CaptureFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _index(self, columns: FrameColumns) -> Progress:
        """Index frames until the columns or the buffer are full; of a pipe, what is there."""
        source = self._source
        progress = Progress(0, self._at, Stop.NEEDS_BYTES)
        while True:
            progress = self._indexer.index(source.data, progress.at, source.end, columns, progress.frames)
            self._at = progress.at
            has_enough = progress.stop is not Stop.NEEDS_BYTES or (source.is_live and progress.frames > 0)
            if has_enough or not source.read_more():
                return progress

    def _block(self, columns: FrameColumns, frames: int, begin: int) -> FrameBlock:
        block = FrameBlock(
            data=self._source.data,
            start=columns.start[:frames],
            captured_bytes=columns.captured_bytes[:frames],
            length_bytes=columns.length_bytes[:frames],
            ts_ns=columns.ts_ns[:frames],
            link_type=columns.link_type[:frames],
            first_frame=self._frames + 1,
            first_offset=self._source.base_offset + begin,
            last_offset=self._source.base_offset + self._at,
        )
        self._frames += frames
        return block

    def _end_of_bytes(self) -> None:
        left = self._source.end - self._at
        if self._source.damage:
            self._end(self._source.damage)
        elif left:
            self._end(f"the file ends inside a record, {left} bytes after its beginning")

    def _end(self, reason: str) -> None:
        self.is_truncated = True
        self.reason = reason


def open_capture(path: Path | None) -> CaptureFile:
    """Open a capture file, or standard input for None; formats are recognised by content.

    Raises
    ------
    CaptureNotFoundError
        When there is no such file.
    CaptureError
        When it cannot be opened.
    CaptureFormatError
        When it is not a capture; says what it is instead, where that can be told.
    """
    name = "standard input" if path is None else str(path)
    try:
        source = open_source(path)
        try:
            return _open(source)
        except SpanwatchError:
            source.close()
            raise
    except SpanwatchError as error:
        raise type(error)(f"{name} {error}.") from error


def _open(source: ByteSource) -> CaptureFile:
    while source.end < pcap.HEADER_BYTES and source.read_more():
        pass
    head = source.data[: min(source.end, pcap.HEADER_BYTES)].tobytes()
    if head[:4] in pcap.PCAP_MAGICS:
        return CaptureFile(source, pcap.read_header(head), pcap.HEADER_BYTES)
    if head[:4] == pcapng.PCAPNG_MAGIC:
        return CaptureFile(source, pcapng.PcapngIndexer(), 0)
    if source.damage:
        raise CaptureFormatError(f"holds no capture: {source.damage}")
    if not head:
        content = "holds nothing once unpacked" if source.compression else "is empty"
        raise CaptureFormatError(f"{content}; {_READ}")
    raise CaptureFormatError(f"is not a capture file: it {_describe(head)}; {_READ}")


def _describe(head: bytes) -> str:
    for magic, name in _OTHER_FORMATS.items():
        if head.startswith(magic):
            return f"is {name}"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return f"is text that begins with “{' '.join(head.decode().split())}”"
    return f"begins with the bytes {head[:4].hex(' ')}"
