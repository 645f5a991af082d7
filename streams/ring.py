"""The packet ring: memory that the kernel writes frames into and that we read them from, block by block."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streams.capture_filter import NOTHING, Instruction
from streams.frames import FrameColumns
from streams.interfaces import Interface
from streams.octets import Octets
from streams.packet_socket import PacketSocket, SocketCounts
from streams.ring_blocks import (
    BLOCK_PACKETS_AT,
    BLOCK_STATUS_AT,
    STATUS_KERNEL,
    STATUS_USER,
    walk_blocks,
)

BLOCK_BYTES = 1 << 20
"""A block holds some 3,500 frames of 200 bytes: few enough to stay in the core's cache while they are decoded."""

FRAME_BYTES = 2048
"""TPACKET_V3 lays frames out by their length; the kernel only wants a number that divides the block."""

RETIRE_MS = 30
"""The kernel hands a block over when it is full, or this long after its first frame."""

MAX_SNAP_BYTES = 262_144
"""As tcpdump's: no interface has longer frames, segmentation offload included."""


@dataclass(frozen=True)
class RingFrames:
    """The frames of the blocks that are ours at the moment.

    Parameters
    ----------
    data : numpy.ndarray of uint8
        The whole ring.
    columns : FrameColumns
        Where in it the frames lie.
    """

    data: Octets
    columns: FrameColumns


class Ring:
    """One packet socket with its memory-mapped ring; receives nothing until ``open_gate``.

    Parameters
    ----------
    interface : Interface
        Where frames come from.
    ring_bytes : int
        Memory for them, rounded up to whole blocks; two at least.
    snap_bytes : int
        Most bytes kept of a frame.

    Raises
    ------
    CapturePermissionError, CaptureError
        See ``PacketSocket``.
    """

    def __init__(self, interface: Interface, ring_bytes: int, snap_bytes: int) -> None:
        self._link_type = interface.link_type
        self._snap_bytes = snap_bytes
        self._blocks = max(2, -(-ring_bytes // BLOCK_BYTES))
        self._next = 0
        self._held = 0
        self._counts = SocketCounts(0, 0, 0)
        self.frames = 0
        """Frames handed out so far."""
        self.socket = PacketSocket()
        try:
            self.socket.make_ring(BLOCK_BYTES, self._blocks, FRAME_BYTES, RETIRE_MS)
            self._map = mmap.mmap(self.socket.fileno(), BLOCK_BYTES * self._blocks)
        except BaseException:
            self.socket.close()
            raise
        self._octets = np.frombuffer(self._map, np.uint8)
        words = self._octets.view(np.uint32)
        self._status = words[BLOCK_STATUS_AT // 4 :: BLOCK_BYTES // 4]
        self._packets = words[BLOCK_PACKETS_AT // 4 :: BLOCK_BYTES // 4]
        self._data = self._octets.view()
        self._data.flags.writeable = False

    @property
    def fill(self) -> float:
        """Share of the blocks that wait to be read, 0 to 1."""
        return int(np.count_nonzero(self._status & STATUS_USER)) / self._blocks

    def take(self, max_frames: int) -> RingFrames | None:
        """Return the frames of the blocks that are ready, or None; they are ours until ``give_back``.

        Parameters
        ----------
        max_frames : int
            Blocks are taken up to so many frames, but one at least.
        """
        count = frames = 0
        while count < self._blocks:
            number = (self._next + count) % self._blocks
            if not self._status[number] & STATUS_USER:
                break
            more = int(self._packets[number])
            if count and frames + more > max_frames:
                break
            frames += more
            count += 1
        if not count:
            return None
        self._held = count
        columns = FrameColumns.empty(frames)
        found = walk_blocks(self._octets, BLOCK_BYTES, self._next, count, self._snap_bytes, self._link_type, columns)
        self.frames += found
        return RingFrames(self._data, columns.first(found))

    def give_back(self) -> None:
        """Let the kernel have the blocks again that ``take`` has handed out."""
        for number in range(self._next, self._next + self._held):
            self._status[number % self._blocks] = STATUS_KERNEL
        self._next = (self._next + self._held) % self._blocks
        self._held = 0

    def counts(self) -> SocketCounts:
        """Return what the kernel counted for this ring so far."""
        more, sofar = self.socket.counts(), self._counts
        self._counts = SocketCounts(
            sofar.packets + more.packets, sofar.drops + more.drops, sofar.freezes + more.freezes
        )
        return self._counts

    def close(self) -> None:
        """Stop receiving. The memory goes when the last frame in it is forgotten."""
        self.socket.close()


def open_rings(
    interface: Interface, count: int, ring_bytes: int, snap_bytes: int, program: Sequence[Instruction]
) -> list[Ring]:
    """Return rings that share the flows of an interface, and receive from now on.

    No frame comes in before everything is set: a filter that lets nothing pass stands first, since a socket can
    only join the others once it is bound, and would until then receive everybody's frames.

    Parameters
    ----------
    count : int
        How many; the kernel shares out by a hash that both directions of a flow have in common.
    ring_bytes : int
        Memory of all of them together.
    program : sequence of Instruction
        The capture filter.

    Raises
    ------
    CaptureError
        See ``PacketSocket``.
    """
    rings: list[Ring] = []
    group: int | None = None
    try:
        for _ in range(count):
            ring = Ring(interface, ring_bytes // count, snap_bytes)
            rings.append(ring)
            ring.socket.attach(NOTHING)
            if interface.is_loopback:
                ring.socket.ignore_outgoing()
            ring.socket.bind(interface.name)
            if count > 1:
                group = ring.socket.share(group)
        for ring in rings:
            ring.socket.attach(program)
    except BaseException:
        for ring in rings:
            ring.close()
        raise
    return rings
