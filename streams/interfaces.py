"""Network interfaces of this machine: what they are, what they counted, and their clocks."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import NoInterfaceError

_SIOCGIFFLAGS, _SIOCGIFHWADDR, _SIOCETHTOOL, _SIOCSHWTSTAMP = 0x8913, 0x8927, 0x8946, 0x89B0
"""linux/sockios.h"""
_IFF_UP, _IFF_LOOPBACK = 1 << 0, 1 << 3
"""linux/if.h"""
_ETHTOOL_GET_TS_INFO = 0x41
_TS_INFO_BYTES = 44
_SOF_RX_HARDWARE, _SOF_RAW_HARDWARE = 1 << 2, 1 << 6
"""linux/net_tstamp.h"""
_HWTSTAMP_FILTER_ALL = 1

LINK_TYPES = {1: 1, 772: 1, 512: 9, 768: 101, 776: 101, 778: 101, 65534: 101}
"""ARPHRD_ type of an interface -> LINKTYPE_ of the frames that a raw packet socket gets from it: Ethernet, loopback
(with an Ethernet header), PPP, and tunnels that carry bare IP packets."""

_SYS = Path("/sys/class/net")

MAX_CLOCK_ERROR_S = 0.5
"""An interface's clock must agree with the machine's to this: its time stamps are event times beside others'."""


@dataclass(frozen=True)
class NicCounts:
    """What an interface counted since it was made.

    Parameters
    ----------
    received : int
        Frames that it handed to the kernel.
    dropped : int
        Frames that found no room in the kernel (``rx_dropped``).
    missed : int
        Frames that found no room in the interface itself (``rx_missed_errors``).
    """

    received: int
    dropped: int
    missed: int

    def since(self, before: NicCounts) -> NicCounts:
        """Return what was counted since an earlier look."""
        return NicCounts(self.received - before.received, self.dropped - before.dropped, self.missed - before.missed)


@dataclass(frozen=True)
class Interface:
    """An interface that can be captured from.

    Parameters
    ----------
    name : str
        As in ``ip link``.
    index : int
        The kernel's number of it.
    link_type : int
        LINKTYPE_ value of its frames.
    is_loopback : bool
        Whether what it sends comes back to it.
    """

    name: str
    index: int
    link_type: int
    is_loopback: bool

    def counts(self) -> NicCounts:
        """Return the interface's own counters; zeros where there are none."""
        return NicCounts(*(_statistic(self.name, name) for name in ("rx_packets", "rx_dropped", "rx_missed_errors")))

    def start_hardware_time(self) -> bool:
        """Have the interface stamp every frame that it receives; return whether it does, by a clock that is right.

        Without CAP_NET_ADMIN, or an interface that can do it, the kernel's own time stamps are as good as it gets.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            info = bytearray(struct.pack("I", _ETHTOOL_GET_TS_INFO).ljust(_TS_INFO_BYTES, b"\0"))
            if not _request(control, _SIOCETHTOOL, self.name, info):
                return False
            _, abilities, clock = struct.unpack_from("IIi", info)
            wanted = _SOF_RX_HARDWARE | _SOF_RAW_HARDWARE
            if abilities & wanted != wanted or clock < 0 or not _is_right(Path(f"/dev/ptp{clock}")):
                return False
            config = bytearray(struct.pack("iii", 0, 0, _HWTSTAMP_FILTER_ALL))
            return _request(control, _SIOCSHWTSTAMP, self.name, config)


def interface_names() -> list[str]:
    """Return the interfaces of this machine (this network namespace), by name."""
    return sorted(name for _, name in socket.if_nameindex())


def find_interface(name: str) -> Interface:
    """Return an interface that is up.

    Raises
    ------
    NoInterfaceError
        There is none of this name, it is down, or its frames are of a kind that we do not read.
    """
    names = interface_names()
    if name not in names:
        raise NoInterfaceError(f"There is no interface {name!r}; there are {', '.join(names) or 'none'}.")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        (flags,) = struct.unpack_from("H", _asked(control, _SIOCGIFFLAGS, name), 16)
        (kind,) = struct.unpack_from("H", _asked(control, _SIOCGIFHWADDR, name), 16)
    if not flags & _IFF_UP:
        raise NoInterfaceError(f"The interface {name} is down; bring it up with `ip link set {name} up`.")
    if kind not in LINK_TYPES:
        raise NoInterfaceError(f"The interface {name} carries frames of a kind that is not read here (ARPHRD {kind}).")
    return Interface(name, socket.if_nametoindex(name), LINK_TYPES[kind], bool(flags & _IFF_LOOPBACK))


def _asked(control: socket.socket, request: int, name: str) -> bytes:
    return fcntl.ioctl(control, request, struct.pack("16s24x", name.encode()))


def _request(control: socket.socket, request: int, name: str, data: bytearray) -> bool:
    """Hand the kernel a pointer to data that it reads and fills; return whether it took it."""
    room = (ctypes.c_char * len(data)).from_buffer(data)
    try:
        fcntl.ioctl(control, request, struct.pack("16sP16x", name.encode(), ctypes.addressof(room)))
    except OSError:
        return False
    return True


def _statistic(interface: str, name: str) -> int:
    try:
        return int((_SYS / interface / "statistics" / name).read_text())
    except (OSError, ValueError):
        return 0


def _is_right(clock: Path) -> bool:
    """Whether a hardware clock agrees with the machine's."""
    try:
        descriptor = os.open(clock, os.O_RDONLY)
    except OSError:
        return False
    try:
        # FD_TO_CLOCKID of linux/posix-timers.h: a clock that is a file.
        hardware_s = time.clock_gettime((~descriptor << 3) | 3)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return abs(hardware_s - time.time()) <= MAX_CLOCK_ERROR_S
