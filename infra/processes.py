"""Child processes that die with us, each in a process group of its own."""

from __future__ import annotations

import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

from schemas.errors import MissingProgramError

log = logging.getLogger(__name__)

KILL_WAIT_S = 2.0
"""How long SIGKILL may take to be seen; only a process inside a stuck system call takes longer."""

# Runs in the child before the program proper. Not a `preexec_fn`: Python code between fork and exec of a
# process that holds an embedded ClickHouse with threads of its own may find a lock taken for ever.
# prctl(PR_SET_PDEATHSIG = 1), see prctl(2); the parent may have died before, so it is looked at after.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
parent, death_signal, *command = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(death_signal), 0, 0, 0)
if os.getppid() != int(parent):
    os.kill(os.getpid(), signal.SIGKILL)
os.execv(command[0], command)
"""


class _Spawner:
    """A thread that lives as long as the process and starts all children.

    The kernel sends the death signal when the *thread* that forked ends, not the process; children started
    from a thread that comes and goes would die with it.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]]
        self._jobs = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def run(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Call ``start`` on the lasting thread and return its process, or raise what it raised."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="spawner", daemon=True)
                self._thread.start()
        future: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((start, future))
        return future.result()

    def _work(self) -> None:
        while True:
            start, future = self._jobs.get()
            try:
                future.set_result(start())
            except OSError as error:
                future.set_exception(error)


_spawner = _Spawner()


def spawn(
    command: Sequence[str | Path],
    *,
    output: Path | None = None,
    errors: Path | None = None,
    environment: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own that gets ``death_signal`` when this process ends in any way.

    Its own session keeps a terminal's Ctrl-C from it, so that the order of stopping is ours. A program with
    set-user-ID or file capabilities loses the death signal (prctl(2)).

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments; the program is looked up in PATH. Never passes a shell.
    output : Path, optional
        File that standard output and error are appended to; inherited when None.
    errors : Path, optional
        File that standard error is appended to instead.
    environment : mapping, optional
        Variables added to our own.

    Raises
    ------
    MissingProgramError
        There is no such program.
    """
    program = shutil.which(command[0])
    if program is None:
        raise MissingProgramError(f"The program {str(command[0])!r} is not installed or not in PATH.")
    arguments = [os.fspath(part) for part in command[1:]]
    guarded = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        _DIE_WITH_PARENT,
        str(os.getpid()),
        str(int(death_signal)),
        program,
    ]

    def start() -> subprocess.Popen[bytes]:
        with ExitStack() as opened:
            stream = opened.enter_context(output.open("ab")) if output else None
            said = opened.enter_context(errors.open("ab")) if errors else None
            return subprocess.Popen(  # noqa: S603 - the caller's own list of arguments, no shell
                [*guarded, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=said or (subprocess.STDOUT if stream else None),
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    return _spawner.run(start)


def stop_process(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Ask a child to end, then end its whole process group.

    Parameters
    ----------
    process : subprocess.Popen
        Started by ``spawn``, so that its group is its own.
    timeout_s : float
        How long it may take to end by itself.

    Returns
    -------
    bool
        Whether it ended by itself in time.
    """
    is_clean = process.poll() is not None
    if not is_clean:
        process.terminate()
        try:
            process.wait(max(timeout_s, 0.0))
            is_clean = True
        except subprocess.TimeoutExpired:
            log.warning("process %d did not stop within %.1f s and is killed", process.pid, timeout_s)
    kill_process(process)
    return is_clean


def kill_process(process: subprocess.Popen[bytes]) -> None:
    """End a child of ``spawn`` and what is left of its group at once."""
    kill_group(process.pid)
    try:
        process.wait(KILL_WAIT_S)
    except subprocess.TimeoutExpired:
        # It has been killed, whenever the kernel gets round to it; the others that are to stop must not wait for that.
        log.warning("process %d is still there %.1f s after it was killed", process.pid, KILL_WAIT_S)


def started_s(pid: int) -> float | None:
    """Return when a process was started, s since the machine was; None when it does not run any more.

    Tells a process from a later one with its number. Not the time of day: that would move with every correction of
    the machine's clock. See proc_pid_stat(5) for the fields.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in parentheses and may hold anything, also spaces.
    fields = text.rpartition(")")[2].split()
    state, ticks = fields[0], int(fields[19])
    return None if state == "Z" else ticks / os.sysconf("SC_CLK_TCK")


def kill_group(group: int) -> None:
    """Send SIGKILL to whatever is left of a process group; nothing left is fine."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # PermissionError: the number was given to somebody else's group after ours was gone.
        return
