"""What a live capture is asked to do, and from which interface it may."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass

from api.errors import failure
from api.files import OutputFile


@dataclass(frozen=True)
class CapturePlan:
    """What to capture.

    Parameters
    ----------
    interface : str
        One of this machine's.
    output : OutputFile or None
        Where the frames go beside the packet ring, pcapng.
    duration_s : float or None
        When it ends by itself.
    filter : str or None
        As tcpdump's.
    snaplen : int or None
        Most bytes of a frame.
    """

    interface: str
    output: OutputFile | None
    duration_s: float | None = None
    filter: str | None = None
    snaplen: int | None = None

    @property
    def output_name(self) -> str:
        """The output file as it was named; empty when there is none."""
        return self.output.name if self.output else ""

    def command(self, capture_id: str) -> list[str]:
        """Return the child's command line."""
        command = [sys.executable, "-m", "spanwatch", "capture", "--interface", self.interface, "--id", capture_id]
        if self.duration_s is not None:
            command += ["--duration", f"{self.duration_s:g}"]
        if self.snaplen is not None:
            command += ["--snaplen", str(self.snaplen)]
        if self.filter:
            # In one word: a filter may begin like an option.
            command.append(f"--filter={self.filter}")
        if self.output:
            command += ["--output", str(self.output.path)]
            if self.output.limit_bytes:
                command += ["--output-limit", str(self.output.limit_bytes)]
        return command


def interfaces() -> list[str]:
    """Return the names of this machine's network interfaces."""
    return sorted(name for _, name in socket.if_nameindex())


def check_interface(name: str) -> None:
    """Raise ``Refusal`` (400) unless this machine has an interface of that name."""
    known = interfaces()
    if name not in known:
        raise failure(400, f"No interface has this name. There are: {', '.join(known)}.")
