"""The frame block: where captured frames lie and when they were seen, before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from schemas.enums import Hop
from streams.columns import empty_columns
from streams.octets import Octets

MAX_FRAME_BYTES = 262_144
"""Longest frame a capture file may hold (libpcap's ``MAXIMUM_SNAPLEN``); a longer one is a corrupt length."""

TIME_LIMIT_NS = 1 << 62
"""Event times are kept within ± this (the year 2116), so that no difference of two overflows."""


@dataclass(frozen=True)
class FrameBlock:
    """Frames that follow one another in a capture.

    Attributes
    ----------
    data : numpy.ndarray of uint8
        Bytes that the frames lie in.
    start : numpy.ndarray of int64, shape (n_frames,)
        Offset of each frame's first byte in ``data``.
    captured_bytes, length_bytes : numpy.ndarray of uint32, shape (n_frames,)
        Bytes of each frame in the capture and on the wire.
    ts_ns : numpy.ndarray of int64, shape (n_frames,)
        Event time, ns since the Unix epoch.
    link_type : numpy.ndarray of uint16, shape (n_frames,)
        LINKTYPE_ value (tcpdump.org/linktypes.html).
    first_frame : int
        Number of the first frame in its capture, from 1.
    first_offset, last_offset : int
        Part of the (uncompressed) file that the block stands for: half-open, and the next block goes on at
        ``last_offset``.
    quiet_ns : int
        Of a port: every frame that it received before this time has been handed out, ns; 0 when nothing is known.
    """

    data: Octets
    start: npt.NDArray[np.int64]
    captured_bytes: npt.NDArray[np.uint32]
    length_bytes: npt.NDArray[np.uint32]
    ts_ns: npt.NDArray[np.int64]
    link_type: npt.NDArray[np.uint16]
    first_frame: int
    first_offset: int
    last_offset: int
    quiet_ns: int = 0

    def __len__(self) -> int:
        return len(self.start)


class HopCount(NamedTuple):
    """What a source of frames knows of a hop before or beside the decoder; see ``LEDGER_COLUMNS``."""

    hop: Hop
    reason: str
    packets_in: int
    packets_out: int


class FrameSource(Protocol):
    """Where a capture's frames come from: a file, a pipe or a port."""

    @property
    def is_live(self) -> bool:
        """Whether frames come from a port: nothing can be read again, and the clock moves without frames."""
        ...

    @property
    def interface(self) -> str:
        """The port's name; empty for a file."""
        ...

    @property
    def file_bytes(self) -> int:
        """Size of the file on disk; 0 for a pipe or a port."""
        ...

    @property
    def is_truncated(self) -> bool:
        """Whether the file ends inside a record; known at the end."""
        ...

    @property
    def fill(self) -> float:
        """How full the buffer is that frames wait in and get lost from, 0 to 1; 0 where none get lost."""
        ...

    def blocks(self, max_frames: int) -> Iterator[FrameBlock]:
        """Yield the frames in order, about ``max_frames`` in a block at most.

        A block's bytes are valid until the next block is asked for. A port yields blocks without frames, too.
        """
        ...

    def counts(self) -> list[HopCount]:
        """Return what was counted so far of frames before they came to the decoder."""
        ...


class FrameColumns(NamedTuple):
    """Room for the index of a block, as the kernels fill it; see ``FrameBlock``."""

    start: npt.NDArray[np.int64]
    captured_bytes: npt.NDArray[np.uint32]
    length_bytes: npt.NDArray[np.uint32]
    ts_ns: npt.NDArray[np.int64]
    link_type: npt.NDArray[np.uint16]

    @classmethod
    def empty(cls, max_frames: int) -> FrameColumns:
        """Return room for so many frames."""
        return cls(*empty_columns(_FRAME_LAYOUT, max_frames))  # type: ignore[arg-type]

    def first(self, frames: int) -> FrameColumns:
        """Return the columns' first rows, without a copy."""
        columns: list[Any] = [column[:frames] for column in self]
        return FrameColumns(*columns)


_FRAME_LAYOUT = tuple((np.dtype(name), ()) for name in (np.int64, np.uint32, np.uint32, np.int64, np.uint16))


class Stop(IntEnum):
    """Why an indexer stopped."""

    FULL = 0
    """There is no room for another frame."""
    NEEDS_BYTES = 1
    """The bytes at hand end inside a record."""
    CORRUPT = 2
    """The record's length cannot be right, so the next one cannot be found."""
    SECTION = 3
    """A pcapng section or interface block, which is for Python to read."""


@dataclass(frozen=True)
class Progress:
    """How far an indexer came.

    Attributes
    ----------
    frames : int
        Frames in the columns now.
    at : int
        Offset of the first record that is not indexed.
    stop : Stop
        Why it went no further; never ``SECTION``.
    needed_bytes : int
        How many bytes from ``at`` it needs at least, when it needs bytes.
    reason : str
        What is wrong, when it is corrupt.
    """

    frames: int
    at: int
    stop: Stop
    needed_bytes: int = 0
    reason: str = ""


class Indexer(Protocol):
    """Finds the frames in the bytes of a capture of one format."""

    @property
    def format(self) -> str:
        """Name of the format, for people."""
        ...

    def index(self, data: Octets, at: int, end: int, columns: FrameColumns, frames: int) -> Progress:
        """Index records of ``data[at:end]`` behind the ``frames`` that the columns hold already."""
        ...
