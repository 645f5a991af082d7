"""Turn off what a network card would do after the mirror, so that the capture shows what is on the wire.

With segmentation offload a veth pair carries 64 KB frames, and with checksum offload frames without a
checksum.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
import sys

_SIOCETHTOOL = 0x8946  # linux/sockios.h
_COMMANDS = {"tx checksum": 0x17, "tcp segmentation": 0x1F, "gso": 0x24, "gro": 0x2C}
"""linux/ethtool.h: ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO."""


def turn_off(interface: str) -> None:
    """Turn off checksum and segmentation offload of an interface of this namespace.

    Raises
    ------
    OSError
        When the interface does not exist or refuses.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in _COMMANDS.values():
            value = ctypes.create_string_buffer(struct.pack("II", command, 0), 8)
            request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(value))
            fcntl.ioctl(control, _SIOCETHTOOL, request)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        turn_off(name)
