"""The live port: frames of a network interface, from one packet ring or several."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from schemas.enums import Hop
from schemas.errors import NoInterfaceError
from streams.capture_filter import NOTHING, Instruction, compile_filter
from streams.frames import FrameBlock, FrameColumns, HopCount
from streams.interfaces import Interface, find_interface, interface_names
from streams.packet_socket import PacketSocket
from streams.ring import MAX_SNAP_BYTES, RETIRE_MS, RingFrames, open_rings

__all__ = ["LivePort", "PortPlan", "check_port", "open_port"]

log = logging.getLogger(__name__)

POLL_MS = 50
"""Pause between two looks at rings without frames, ms."""

QUIET_MARGIN_NS = (RETIRE_MS + 70) * 1_000_000
"""What a quiet ring may still hold is younger than this: its block is handed over ``RETIRE_MS`` after its first frame,
by a timer that a busy machine lets wait a little."""

HARDWARE_MARGIN_NS = 1_000_000_000
"""The same for time stamps of another clock (see ``streams.interfaces.MAX_CLOCK_ERROR_S``)."""

DRAIN_S = 1.0
"""How long what was received before the end is waited for."""

MIB = 1 << 20


@dataclass(frozen=True)
class PortPlan:
    """How to capture from an interface.

    Parameters
    ----------
    interface : str
        Its name.
    filter : str
        Capture filter, see pcap-filter(7); empty takes every frame.
    snap_bytes : int
        Most bytes kept of a frame.
    ring_bytes : int
        Memory for frames that wait to be read, all rings together.
    rings : int
        Rings that share the flows; a network card with several queues fills them from several cores.
    is_promiscuous : bool
        Whether frames for other machines are taken, too: on a mirrored port all of them are.
    duration_s : float
        Ends by itself after so long; 0 does not.
    """

    interface: str
    filter: str = ""
    snap_bytes: int = MAX_SNAP_BYTES
    ring_bytes: int = 256 * MIB
    rings: int = 1
    is_promiscuous: bool = True
    duration_s: float = 0.0


class LivePort:
    """An interface that is being captured from; a ``FrameSource`` that ends when it is told to stop.

    Attributes
    ----------
    link_type : int
        LINKTYPE_ value of the frames.
    has_hardware_time : bool
        Whether the interface stamps the frames itself.
    rings : list of Ring
        What the frames are read from.
    """

    is_live = True
    file_bytes = 0
    is_truncated = False

    def __init__(self, plan: PortPlan) -> None:
        interface, program = check_port(plan)
        self.interface = interface.name
        self.link_type = interface.link_type
        self._nic = interface
        self._nic_before = interface.counts()
        self.rings = open_rings(interface, plan.rings, plan.ring_bytes, plan.snap_bytes, program)
        if plan.is_promiscuous and not interface.is_loopback:
            self.rings[0].socket.be_promiscuous(interface.index)
        self.has_hardware_time = interface.start_hardware_time()
        if self.has_hardware_time:
            for ring in self.rings:
                ring.socket.use_hardware_time()
        self._margin_ns = HARDWARE_MARGIN_NS if self.has_hardware_time else QUIET_MARGIN_NS
        self._ends_s = time.monotonic() + plan.duration_s if plan.duration_s else float("inf")
        self._is_stopping = False
        self._frames = 0

    @property
    def fill(self) -> float:
        """How full the fullest ring is, 0 to 1."""
        return max(ring.fill for ring in self.rings)

    def stop(self) -> None:
        """Let ``blocks`` end once what was received is read; for signal handlers and other threads."""
        self._is_stopping = True

    def blocks(self, max_frames: int) -> Iterator[FrameBlock]:
        """Yield frames as they come, and every ``POLL_MS`` without any a block without frames.

        A block's bytes lie in the ring; the kernel has them back when the next block is asked for.

        Raises
        ------
        CaptureError
            The interface is gone.
        """
        poll = select.poll()
        for ring in self.rings:
            poll.register(ring.socket.fileno(), select.POLLIN | select.POLLERR)
        while not self._is_stopping and time.monotonic() < self._ends_s:
            yield from self._look(poll, max_frames)
        for ring in self.rings:
            ring.socket.attach(NOTHING)
        give_up_s = time.monotonic() + DRAIN_S
        is_drained = False
        while not is_drained and time.monotonic() < give_up_s:
            # Looked at first: a frame that is just passing the old filter is counted a little later.
            yield from self._look(poll, max_frames)
            is_drained = self._is_drained()

    def _look(self, poll: select.poll, max_frames: int) -> Iterator[FrameBlock]:
        """Yield what has come, or a block without frames."""
        now_ns = time.time_ns()
        for _, event in poll.poll(POLL_MS):
            if event & select.POLLERR:
                self._note_failure()
        is_quiet = True
        for ring in self.rings:
            taken = ring.take(max_frames)
            if taken is not None:
                is_quiet = False
                yield self._block(taken)
                ring.give_back()
        if is_quiet:
            yield _no_frames(self._frames, now_ns - self._margin_ns)

    def _block(self, taken: RingFrames) -> FrameBlock:
        frames = taken.columns
        block = FrameBlock(
            data=taken.data,
            start=frames.start,
            captured_bytes=frames.captured_bytes,
            length_bytes=frames.length_bytes,
            ts_ns=frames.ts_ns,
            link_type=frames.link_type,
            first_frame=self._frames + 1,
            first_offset=0,
            last_offset=0,
        )
        self._frames += len(block)
        return block

    def _is_drained(self) -> bool:
        """Whether every frame that the kernel counted was handed out or lost."""
        counts = [ring.counts() for ring in self.rings]
        return sum(count.packets - count.drops for count in counts) == self._frames

    def _note_failure(self) -> None:
        """Go on while the interface is merely down: it may come up again."""
        failures = {ring.socket.failure() for ring in self.rings} - {""}
        if self.interface not in interface_names():
            raise NoInterfaceError(f"The interface {self.interface} is gone.")
        for failure in failures:
            log.warning("%s: %s; the capture goes on", self.interface, failure)

    def counts(self) -> list[HopCount]:
        """Return what interface and kernel counted since the capture began, as rows of the ledger."""
        nic = self._nic.counts().since(self._nic_before)
        rings = [ring.counts() for ring in self.rings]
        seen, drops = sum(count.packets for count in rings), sum(count.drops for count in rings)
        freezes = sum(count.freezes for count in rings)
        lost = nic.dropped + nic.missed
        return [
            HopCount(Hop.NIC, "", nic.received + lost, nic.received),
            *_losses(Hop.NIC, {"rx_dropped": nic.dropped, "rx_missed_errors": nic.missed}),
            HopCount(Hop.KERNEL, "", seen, seen - drops),
            *_losses(Hop.KERNEL, {"ring_full": drops}),
            *([HopCount(Hop.KERNEL, "times_ring_was_full", freezes, freezes)] if freezes else []),
        ]

    def close(self) -> None:
        """Stop receiving."""
        for ring in self.rings:
            ring.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_port(plan: PortPlan) -> tuple[Interface, tuple[Instruction, ...]]:
    """Return the interface of a plan and its compiled filter; raises what ``open_port`` raises."""
    # Whoever may not capture learns so first, in our words and not in libpcap's.
    PacketSocket().close()
    interface = find_interface(plan.interface)
    return interface, compile_filter(plan.filter, interface.name, plan.snap_bytes)


def open_port(plan: PortPlan) -> LivePort:
    """Begin to capture from an interface.

    Raises
    ------
    NoInterfaceError
        There is no such interface, or it is down.
    CapturePermissionError
        This process may not capture.
    CaptureFilterError
        The capture filter is wrong.
    CaptureError
        The kernel refuses.
    """
    return LivePort(plan)


def _no_frames(frames: int, quiet_ns: int) -> FrameBlock:
    """Return a block that only tells the time."""
    none = FrameColumns.empty(0)
    return FrameBlock(none.start.view("u1"), *none, frames + 1, 0, 0, quiet_ns)


def _losses(hop: Hop, lost: dict[str, int]) -> list[HopCount]:
    return [HopCount(hop, reason, packets, 0) for reason, packets in lost.items() if packets]
