"""Commands and servers started by the lab: tracked by process id, ended by process id."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import CommandError

_GRACE_S = 2.0


@dataclass
class Server:
    """A process that runs until the lab ends it.

    Attributes
    ----------
    name
        For messages.
    process
        Leads a process group of its own, so that its children end with it and a Ctrl-C at the terminal
        reaches only the lab, which then ends everything in order.
    log
        Where its output goes.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def is_running(self) -> bool:
        """Tell whether the process has not ended yet."""
        return self.process.poll() is None

    def tail(self, lines: int = 5) -> str:
        """Return the last lines it wrote, for error messages."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def end(self, first_signal: int = signal.SIGTERM, grace_s: float = _GRACE_S) -> None:
        """Ask the process group to end, and make it end after a grace period, s."""
        for number in (first_signal, signal.SIGKILL):
            if not self.is_running():
                # Its id may be somebody else's by now.
                return
            _signal_group(self.process.pid, number)
            try:
                self.process.wait(grace_s)
            except subprocess.TimeoutExpired:
                continue


def start(name: str, command: Sequence[str], log: Path, cwd: Path | None = None) -> Server:
    """Start a server whose output goes to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=cwd,
        )
    return Server(name, process, log)


def run(
    command: Sequence[str], *, timeout_s: float = 60.0, check: bool = True, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it wrote.

    Parameters
    ----------
    timeout_s
        After this long the command and its children are killed.
    check
        Whether an exit status other than 0 is an error. Attack tools end as they like, so scenarios say False
        for them.

    Raises
    ------
    CommandError
        When the command took too long, or failed and `check` is set.
    """
    with subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        cwd=cwd,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise CommandError(f"Took longer than {timeout_s:.0f} s: {' '.join(command)}") from None
        finally:
            if process.poll() is None:
                _signal_group(process.pid, signal.SIGKILL)
    if check and process.returncode != 0:
        raise CommandError(f"Exit status {process.returncode}: {' '.join(command)}\n{output.strip()}")
    return subprocess.CompletedProcess(list(command), process.returncode, output, "")


def end_processes(pids: Sequence[int]) -> None:
    """End processes by id: SIGTERM, and SIGKILL for those still there after a grace period."""
    waiting = [pid for pid in pids if _signal(pid, signal.SIGTERM)]
    deadline_s = time.monotonic() + _GRACE_S
    while waiting and time.monotonic() < deadline_s:
        time.sleep(0.05)
        waiting = [pid for pid in waiting if _signal(pid, 0)]
    for pid in waiting:
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return
