"""Sends TCP segments into an interface at a steady rate.

A packet socket takes a train of segments as one large frame with a ``virtio_net_hdr`` that says how to cut it, and
the kernel cuts it on its way out (``gso_max_segs 1`` of the interface sees to that): a segment costs a quarter of what
it costs alone, so that the load does not take the processor away from what it is to load.

``python -m benchmarks.live_sender INTERFACE RATE SECONDS BYTES`` prints what was sent, as JSON.
"""

from __future__ import annotations

import json
import resource
import socket
import struct
import sys
import time

_SOL_PACKET, _VNET_HEADER = 263, 15
_NEEDS_CHECKSUM, _TCP4 = 1, 1
"""``VIRTIO_NET_HDR_F_NEEDS_CSUM``, ``VIRTIO_NET_HDR_GSO_TCPV4`` (linux/virtio_net.h)."""
_HEADER_BYTES = 54
_SEQ_AT = 10 + 14 + 20 + 4
FLOWS = 1024
TRAIN = 50
"""Segments cut from one frame; consecutive ones of one connection."""


def train_of(flow: int, size: int) -> bytearray:
    """Return ``TRAIN`` segments of a connection, of ``size`` bytes each on the wire, as one frame."""
    data = (size - _HEADER_BYTES) * TRAIN
    cut = struct.pack("<BBHHHH", _NEEDS_CHECKSUM, _TCP4, _HEADER_BYTES, size - _HEADER_BYTES, 34, 16)
    ethernet = bytes.fromhex("0200000000020200000000010800")
    source = bytes((10, 1, flow >> 8, flow & 255))
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + data, flow, 0, 64, 6, 0, source, bytes((10, 2, 0, 1)))
    tcp = struct.pack("!HHIIBBHHH", 20_000 + flow, 443, 0, 1, 0x50, 0x10, 65_535, 0, 0)
    return bytearray(cut + ethernet + ip + tcp + bytes(data))


def send(interface: str, rate: int, seconds: float, size: int) -> dict[str, float]:
    """Send segments; return how many, in what time, and the processor time of it."""
    trains = [train_of(flow, size) for flow in range(FLOWS)]
    step = (size - _HEADER_BYTES) * TRAIN
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
        out.setsockopt(_SOL_PACKET, _VNET_HEADER, 1)
        out.bind((interface, 0))
        wanted = round(rate * seconds / TRAIN)
        sent = 0
        began_s = time.monotonic()
        while sent < wanted:
            due = min(wanted, int((time.monotonic() - began_s) * rate / TRAIN))
            if due == sent:
                time.sleep(0.0002)
            while sent < due:
                train = trains[sent % FLOWS]
                struct.pack_into("!I", train, _SEQ_AT, sent // FLOWS * step & 0xFFFFFFFF)
                out.send(train)
                sent += 1
        took_s = time.monotonic() - began_s
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"sent": sent * TRAIN, "seconds": took_s, "cpu_seconds": used.ru_utime + used.ru_stime}


if __name__ == "__main__":
    print(json.dumps(send(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))))
