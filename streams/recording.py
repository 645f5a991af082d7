"""Recording: the frames of a live capture written to disk beside their way into the stream."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator, Sequence

from schemas.enums import Hop
from streams.frames import FrameBlock, FrameSource, HopCount
from streams.octets import Octets
from streams.packet_files import PacketFile
from streams.pcapng_writer import enhanced_packets

log = logging.getLogger(__name__)

MAX_WAITING_BYTES = 128 * 1024 * 1024
"""Blocks that wait for the disk: what it takes to get over a pause of a second or two."""


class Recorder:
    """Writes frames to files in a thread of its own; a disk that is too slow loses frames of the files alone.

    Parameters
    ----------
    files : sequence of PacketFile
        Each gets every frame; closed at the end.

    Attributes
    ----------
    recorded : int
        Frames handed in.
    missed : int
        Frames that came while too many waited for the disk, or after a file could not be written.
    """

    def __init__(self, files: Sequence[PacketFile]) -> None:
        self.recorded = 0
        self.missed = 0
        self._files = list(files)
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Octets, int] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    def record(self, block: FrameBlock) -> None:
        """Take the frames of a block; what is written refers to nothing of it."""
        self.recorded += len(block)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._miss(len(block))
            return
        blocks = enhanced_packets(block)
        with self._lock:
            self._waiting_bytes += len(blocks)
        self._queue.put((blocks, len(block)))

    def close(self) -> None:
        """Write what waits, then close the files."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            blocks, frames = item
            self._write(blocks, frames)
            with self._lock:
                self._waiting_bytes -= len(blocks)
        for file in self._files:
            file.close()

    def _write(self, blocks: Octets, frames: int) -> None:
        is_missed = not self._files
        for file in list(self._files):
            try:
                file.write(blocks)
            except OSError as error:
                log.error("recording ends: %s", error.strerror)  # noqa: TRY400 - a sentence, no trace
                self._files.remove(file)
                file.close()
                is_missed = True
        if is_missed:
            self._miss(frames)

    def _miss(self, frames: int) -> None:
        with self._lock:
            self.missed += frames


class RecordedSource:
    """A source whose frames are recorded as they are handed on; a ``FrameSource`` itself.

    Parameters
    ----------
    source : FrameSource
        Where frames come from.
    recorder : Recorder
        Closed when the source has ended.
    """

    def __init__(self, source: FrameSource, recorder: Recorder) -> None:
        self._source = source
        self._recorder = recorder
        self.is_live = source.is_live
        self.interface = source.interface
        self.file_bytes = source.file_bytes

    @property
    def is_truncated(self) -> bool:
        """See ``FrameSource``."""
        return self._source.is_truncated

    @property
    def fill(self) -> float:
        """See ``FrameSource``."""
        return self._source.fill

    def blocks(self, max_frames: int) -> Iterator[FrameBlock]:
        """Yield the source's blocks; their frames are laid out for the disk before."""
        try:
            for block in self._source.blocks(max_frames):
                if len(block):
                    self._recorder.record(block)
                yield block
        finally:
            self._recorder.close()

    def counts(self) -> list[HopCount]:
        """Return the source's counts, and what was recorded."""
        recorded, missed = self._recorder.recorded, self._recorder.missed
        lost = [HopCount(Hop.RECORD, "not_written", missed, 0)] if missed else []
        return [*self._source.counts(), HopCount(Hop.RECORD, "", recorded, recorded - missed), *lost]
