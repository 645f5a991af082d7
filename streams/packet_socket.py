"""The packet socket: what of ``AF_PACKET`` a capture needs, see packet(7) and the kernel's packet_mmap.rst."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import CaptureError, CapturePermissionError, NoInterfaceError
from streams.capture_filter import Instruction

_SOL_PACKET = 263
_ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION = 1, 5, 6, 10
_RESERVE, _TIMESTAMP, _FANOUT, _IGNORE_OUTGOING = 12, 17, 18, 23
_TPACKET_V3 = 2
_PROMISCUOUS = 1
_EVERY_PROTOCOL = 3
"""``ETH_P_ALL``."""
_RAW_HARDWARE_TIME = 1 << 6
"""``SOF_TIMESTAMPING_RAW_HARDWARE``."""
_FANOUT_BY_HASH, _FANOUT_UNIQUE_ID = 0, 0x2000
_SO_ATTACH_FILTER = 26

_TAG_ROOM_BYTES = 4
"""Left free in front of each frame, for its VLAN tag."""


@dataclass(frozen=True)
class SocketCounts:
    """What the kernel counted for a packet socket since it was last asked.

    Parameters
    ----------
    packets : int
        Frames behind the filter, those that were lost included.
    drops : int
        Those that found no room in the ring.
    freezes : int
        How often the ring was full.
    """

    packets: int
    drops: int
    freezes: int


def no_permission() -> CapturePermissionError:
    """Return the error of a process that may not capture, with what to do about it."""
    return CapturePermissionError(
        "Capturing from an interface needs the capability CAP_NET_RAW, which this process does not have. Run it as "
        "root, or let the service have it (systemd: AmbientCapabilities=CAP_NET_RAW; container: --cap-add NET_RAW; "
        "one program: sudo setcap cap_net_raw+ep on a copy of the Python interpreter)."
    )


class PacketSocket:
    """One packet socket; it receives nothing until it is bound.

    Raises
    ------
    CapturePermissionError
        Without CAP_NET_RAW.
    CaptureError
        The system has no packet sockets.
    """

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except PermissionError:
            raise no_permission() from None
        except (AttributeError, OSError) as error:
            raise CaptureError(f"This system has no packet sockets, which only Linux has ({error}).") from error

    def fileno(self) -> int:
        """Return the file descriptor, for poll(2) and mmap(2)."""
        return self._socket.fileno()

    def make_ring(self, block_bytes: int, blocks: int, frame_bytes: int, retire_ms: int) -> None:
        """Have the kernel allocate a ring of TPACKET_V3.

        Raises
        ------
        CaptureError
            The kernel has not that much memory in one piece.
        """
        self._set(_VERSION, struct.pack("i", _TPACKET_V3))
        self._set(_RESERVE, struct.pack("I", _TAG_ROOM_BYTES))
        frames = block_bytes // frame_bytes * blocks
        request = struct.pack("7I", block_bytes, blocks, frame_bytes, frames, retire_ms, 0, 0)
        try:
            self._set(_RX_RING, request)
        except OSError as error:
            size_mib = block_bytes * blocks >> 20
            raise CaptureError(
                f"The kernel gives no ring of {size_mib} MiB ({error.strerror}); set SPANWATCH_RING_MIB lower."
            ) from error

    def attach(self, program: Sequence[Instruction]) -> None:
        """Let a filter choose the frames, and how many bytes of each; takes the place of the one before.

        Raises
        ------
        CaptureError
            The kernel refuses it: it is too long.
        """
        code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
        room = ctypes.create_string_buffer(code, len(code))
        try:
            self._socket.setsockopt(
                socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(room))
            )
        except OSError as error:
            raise CaptureError(f"The kernel refuses the capture filter ({error.strerror}).") from error

    def ignore_outgoing(self) -> None:
        """Leave out frames that this machine sends: on the loopback interface each would be seen twice."""
        self._set(_IGNORE_OUTGOING, struct.pack("i", 1))

    def use_hardware_time(self) -> None:
        """Take the interface's own time stamps, where a frame has one."""
        self._set(_TIMESTAMP, struct.pack("i", _RAW_HARDWARE_TIME))

    def bind(self, interface: str) -> None:
        """Begin to receive; raises ``NoInterfaceError`` when the interface is gone."""
        try:
            self._socket.bind((interface, _EVERY_PROTOCOL))
        except OSError as error:
            raise NoInterfaceError(f"Cannot capture from {interface}: {error.strerror}.") from error

    def be_promiscuous(self, index: int) -> None:
        """Receive frames that are for others, too, for as long as the socket is open."""
        self._set(_ADD_MEMBERSHIP, struct.pack("iHH8x", index, _PROMISCUOUS, 0))

    def share(self, group: int | None) -> int:
        """Receive a share of the interface's flows; return the group that shares them.

        Parameters
        ----------
        group : int or None
            None makes a group of its own, which the others then join.
        """
        kind = _FANOUT_BY_HASH | (_FANOUT_UNIQUE_ID if group is None else 0)
        self._set(_FANOUT, struct.pack("I", (group or 0) | kind << 16))
        (answer,) = struct.unpack("I", self._socket.getsockopt(_SOL_PACKET, _FANOUT, 4))
        return int(answer & 0xFFFF)

    def counts(self) -> SocketCounts:
        """Return the kernel's counts since the last call."""
        answer = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12)
        return SocketCounts(*struct.unpack("3I", answer))

    def failure(self) -> str:
        """Return what has gone wrong since it was last asked (``SO_ERROR``); empty for nothing."""
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return os.strerror(number) if number and number != errno.EINTR else ""

    def close(self) -> None:
        """Stop receiving; the ring lives on while it is mapped."""
        self._socket.close()

    def _set(self, option: int, value: bytes) -> None:
        self._socket.setsockopt(_SOL_PACKET, option, value)
