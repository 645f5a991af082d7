"""A veth pair for tests: what is sent into one end arrives at the other."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Veth:
    """Two ends of a cable; what is sent from ``far`` arrives at ``near``."""

    near: str
    far: str

    def send(self, frames: Sequence[bytes]) -> None:
        """Send frames from the far end."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
            out.bind((self.far, 0))
            for frame in frames:
                out.send(frame)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def veth_pair() -> Iterator[Veth]:
    """Make a pair whose ends say nothing by themselves, and take it away at the end."""
    name = f"swt{os.getpid() % 10**6}{chr(97 + next(_NUMBERS) % 26)}"
    pair = Veth(f"{name}0", f"{name}1")
    _ip("link", "add", pair.near, "type", "veth", "peer", "name", pair.far)
    try:
        for end in (pair.near, pair.far):
            _ip("link", "set", end, "addrgenmode", "none", "arp", "off", "up")
        yield pair
    finally:
        # A test may have taken it away already.
        subprocess.run(["ip", "link", "delete", pair.near], check=False, capture_output=True)


def why_no_capture() -> str:
    """Return why live captures cannot be tested on this machine; empty when they can."""
    if not shutil.which("ip"):
        return "there is no ip program"
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        with veth_pair():
            return ""
    except PermissionError:
        return "this process has no CAP_NET_RAW"
    except subprocess.CalledProcessError as error:
        return f"no veth pair can be made: {error.stderr.decode().strip()}"
