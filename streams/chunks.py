"""From the frames of a capture to chunks: what is sent together, a message for every partition."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.enums import Align, BatchKind
from schemas.packets import MAX_BATCH_PACKETS
from streams.decode import decode
from streams.frames import FrameBlock, FrameSource
from streams.packets import NO_TIME_NS, Packets, empty_packets
from streams.sampling import FlowSampling, kept_flows
from streams.split import split
from streams.wire import BatchHeader

CHUNK_PACKETS = 131_072
"""Frames read at a time for each partition: one insert costs ClickHouse as much as 20,000 rows do."""

FLUSH_NS = 250_000_000
"""A paced capture sends what it has at the latest after so much time."""

LIVE_FLUSH_S = 0.15
"""A port's packets wait so long for more to join them. With a ring block's own wait (``streams.ring.RETIRE_MS``)
and the pause between two looks at a quiet ring, no packet waits longer than 250 ms."""

TICK_S = 0.5
"""How often a port without packets tells its clock, s."""


@dataclass(frozen=True)
class CapturePlan:
    """What to capture and how to name it.

    Parameters
    ----------
    capture_id, name, fingerprint, sensor : str
        See ``CAPTURE_COLUMNS``.
    window_ns : int
        Window size, ns.
    partitions : int
        Partitions of the ``packets`` topic.
    speed : float
        0 reads as fast as possible, N at N times the original speed.
    align : Align
        Where window 0 begins; a port's windows begin at multiples of their size whatever is said here.
    is_requested : bool
        Whether a worker reads it again should it be killed.
    """

    capture_id: str
    name: str
    fingerprint: str
    sensor: str
    window_ns: int
    partitions: int
    speed: float = 0.0
    align: Align = Align.FIRST_PACKET
    is_requested: bool = False


@dataclass(frozen=True)
class Chunk:
    """One step of a capture: a message for every partition.

    Parameters
    ----------
    header : BatchHeader
        Of a ``data`` message of the chunk; a partition without packets gets a ``progress``.
    batches : list of RecordBatch or None
        Packets by partition.
    packets : Packets
        All packets of the chunk, in the order of the capture, with those that sampling leaves out; none when a
        port was silent.
    kept : int
        How many of them are in the batches.
    """

    header: BatchHeader
    batches: list[pa.RecordBatch | None]
    packets: Packets
    kept: int


@dataclass(frozen=True)
class _Run:
    """Decoded packets that follow one another in a capture, and what they stand for.

    Parameters
    ----------
    packets : Packets
        None when a port was silent.
    first_offset, last_offset : int
        The part of the file they are from.
    quiet_ns : int
        See ``FrameBlock``.
    """

    packets: Packets
    first_offset: int = 0
    last_offset: int = 0
    quiet_ns: int = 0


@dataclass
class _Waiting:
    """Decoded blocks that wait for more to join them."""

    runs: list[_Run] = field(default_factory=list)
    packets: int = 0
    quiet_ns: int = 0
    since_s: float = field(default_factory=time.monotonic)

    def add(self, run: _Run) -> None:
        if not self.packets:
            self.since_s = time.monotonic()
        self.runs.append(run)
        self.packets += len(run.packets.ts_ns)

    def is_due(self, source: FrameSource) -> bool:
        """Whether nothing more may be waited for.

        A block of a file ends with the reader's buffer, so its frames may be few where they are long. A pipe's
        blocks are handed on as they come: what it has not sent yet is not waited for.
        """
        if source.is_live:
            return time.monotonic() - self.since_s >= (LIVE_FLUSH_S if self.packets else TICK_S)
        return not source.file_bytes and self.packets > 0

    def take(self) -> _Run:
        """Return everything as one run; a port's without packets when it was silent."""
        runs, quiet_ns = self.runs, self.quiet_ns
        self.runs, self.packets, self.since_s = [], 0, time.monotonic()
        if not runs:
            return _Run(empty_packets(0), quiet_ns=quiet_ns)
        if len(runs) == 1:
            packets = runs[0].packets
        else:
            columns: list[Any] = [np.concatenate(parts) for parts in zip(*(r.packets for r in runs), strict=True)]
            packets = Packets(*columns)
        return _Run(packets, runs[0].first_offset, runs[-1].last_offset, quiet_ns)


def chunks(source: FrameSource, plan: CapturePlan, sampling: FlowSampling | None = None) -> Iterator[Chunk]:
    """Cut a capture into chunks; the same regular file and plan give the same chunks.

    Parameters
    ----------
    source : FrameSource
        The opened file or port.
    plan : CapturePlan
        What to call it.
    sampling : FlowSampling, optional
        Asked for its rate with each chunk; without it every flow is kept.
    """
    origin_ns: int | None = None
    newest_ns, frames, seq = NO_TIME_NS, 0, 0
    for run in _runs(source, min(CHUNK_PACKETS * plan.partitions, MAX_BATCH_PACKETS)):
        if origin_ns is None:
            origin_ns = _origin_ns(run, source, plan)
        for rows in _flushes(run.packets, plan.speed):
            part = _rows_of(run.packets, rows)
            count = len(part.ts_ns)
            newest_ns = max(part.newest_ns(newest_ns), run.quiet_ns or NO_TIME_NS)
            rate = sampling.rate if sampling else 1.0
            header = BatchHeader(
                capture_id=plan.capture_id,
                sensor=plan.sensor,
                kind=BatchKind.DATA,
                seq=seq,
                partitions=plan.partitions,
                window_ns=plan.window_ns,
                origin_ns=origin_ns,
                clock_ns=newest_ns,
                first_frame=frames + 1,
                last_frame=frames + count,
                first_offset=run.first_offset,
                last_offset=run.last_offset,
                is_live=source.is_live,
                sampling_rate=rate,
                interface=source.interface,
            )
            kept = kept_flows(part, rate)
            yield Chunk(header, split(kept, plan.partitions), part, len(kept.ts_ns))
            frames += count
            seq += 1


def _origin_ns(run: _Run, source: FrameSource, plan: CapturePlan) -> int:
    """Return where window 0 begins, from the first run of a capture."""
    first_ns = int(run.packets.ts_ns[0]) if len(run.packets.ts_ns) else run.quiet_ns
    if not source.is_live and plan.align is Align.FIRST_PACKET:
        return first_ns
    if run.quiet_ns:
        first_ns = min(first_ns, run.quiet_ns)
    return first_ns // plan.window_ns * plan.window_ns


def _runs(source: FrameSource, max_frames: int) -> Iterator[_Run]:
    """Decode a capture and put neighbouring blocks together, up to ``max_frames`` packets."""
    waiting, newest_ns = _Waiting(), NO_TIME_NS
    for block in source.blocks(max_frames):
        if waiting.packets and waiting.packets + len(block) > max_frames:
            yield waiting.take()
        if len(block):
            run = _decoded(block, newest_ns)
            newest_ns = run.packets.newest_ns(newest_ns)
            waiting.add(run)
        waiting.quiet_ns = max(waiting.quiet_ns, block.quiet_ns)
        if waiting.is_due(source):
            yield waiting.take()
    if waiting.packets:
        yield waiting.take()


def _decoded(block: FrameBlock, newest_ns: int) -> _Run:
    return _Run(decode(block, newest_ns), block.first_offset, block.last_offset)


def _rows_of(packets: Packets, rows: slice) -> Packets:
    columns: list[Any] = [column[rows] for column in packets]
    return Packets(*columns)


def _flushes(packets: Packets, speed: float) -> list[slice]:
    """Return the runs of packets to send together: all of them, or one run per flush interval."""
    if speed <= 0:
        return [slice(0, len(packets.ts_ns))]
    interval = (packets.ts_ns + packets.lag_ns) // int(FLUSH_NS * speed)
    cuts = [0, *(np.flatnonzero(np.diff(interval)) + 1).tolist(), len(packets.ts_ns)]
    return [slice(first, last) for first, last in pairwise(cuts)]
