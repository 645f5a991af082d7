"""The mirror port: every frame that passes the switch, recorded once, with nanosecond time stamps."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import CaptureError
from lab.network import Network
from lab.processes import Server

_DRAIN_S = 1.5
"""The kernel hands packets to tcpdump at least once a second; what it still holds at the end is lost."""
_SUMMARY_S = 20.0
"""tcpdump may take this long to say what it has seen: without that nobody knows whether packets were dropped."""
_CHATTER_PACKETS = 50
"""At most this much IPv6 multicast chatter of the quiet last second may be among what is lost."""


@contextmanager
def recording(net: Network, path: Path, snap_bytes: int = 0) -> Iterator[None]:
    """Record what passes the switch into `path` for as long as the context lasts.

    The bridge device in promiscuous mode gets one copy of every frame that the bridge forwards or floods,
    which is what a mirrored port carries. The mirror sits before the impairment on the way to a host: a
    packet lost there is in the capture, and so is its retransmission.

    Parameters
    ----------
    snap_bytes
        Keep this many bytes of each frame; 0 = all.

    Raises
    ------
    CaptureError
        When the recorder does not start, or the kernel dropped packets.
    """
    command = ["tcpdump", "-i", "br0", "-n", "-U", "-B", "16384", "-Z", "root"]
    command += ["--time-stamp-precision=nano", "-s", str(snap_bytes), "-w", str(path.resolve())]
    server = net.switch.start("tcpdump", *command)
    try:
        _wait_for(server, "listening on")
        yield
        time.sleep(_DRAIN_S)
    finally:
        server.end(signal.SIGINT, _SUMMARY_S)
    _check(server)


def _wait_for(server: Server, words: str) -> None:
    deadline_s = time.monotonic() + 10
    while words not in server.log.read_text():
        if not server.is_running() or time.monotonic() > deadline_s:
            raise CaptureError(f"The mirror did not start: {server.tail()}")
        time.sleep(0.02)


def _check(server: Server) -> None:
    counts = [int(n) for n in re.findall(r"(\d+) packets (?:captured|received|dropped)", server.log.read_text())]
    is_complete = len(counts) == 3 and counts[1] - counts[0] <= _CHATTER_PACKETS and counts[2] == 0
    if not is_complete:
        raise CaptureError(f"The mirror lost packets; record again on a less busy machine.\n{server.tail()}")
