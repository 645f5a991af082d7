"""The live capture: a child process that is started, watched and stopped on request, one at a time.

While a capture runs on this machine, a note beside its recorded packets says so, with the process it runs in
(``running.json`` in its folder under ``captures``). The note is what is believed: it outlives a restart of the API,
and it is also there for a capture that somebody started at a terminal or with ``spanwatch up --interface``.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from api import queries
from api.capture_notes import Asked, notes_in, read_asked, write_asked
from api.capture_plan import CapturePlan
from api.compute import new_capture_id
from api.errors import failure
from api.rows import CaptureNow
from infra.processes import kill_group, spawn, started_s, stop_process
from infra.settings import Settings, environment_of
from infra.store import Store
from schemas.captures import CaptureRow
from schemas.enums import CaptureState

log = logging.getLogger(__name__)

START_S = 60.0
"""How long a capture may take until its first row is in the store: the first one of a version compiles code."""

STOP_S = 10.0
"""How long a capture may take to end after it was asked to: what it has read is sent to its end."""

STORED_S = 15.0
"""How long a stop waits for the capture's last windows to be in the store."""

CLOSE_S = 2.0
"""The same when the whole service stops."""

_LOOK_S = 0.05

NOT_RUNNING = "No capture currently running"
"""The documented sentence."""


@dataclass(frozen=True)
class LiveCapture:
    """A capture that runs, or has just been stopped.

    Parameters
    ----------
    row : CaptureRow
        Where it stands, as far as it has said.
    pid : int
        Its process.
    output_file : str or None
        As named in the request that started it; None when somebody else did.
    planned_s : float or None
        When it ends by itself, seconds after its start.
    """

    row: CaptureRow
    pid: int
    output_file: str | None
    planned_s: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds from its start to its end, or to now."""
        return max(0.0, ((self.row.ended_ns or time.time_ns()) - self.row.started_ns) / 1e9)


class LiveCaptures:
    """The live captures of this machine; every call may block, and any thread may make it.

    Parameters
    ----------
    settings : Settings
        Of the stack.
    store : Store
        Where captures report themselves.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._said_file = settings.logs_folder / "live_capture.out"

    def running(self) -> LiveCapture | None:
        """Return the capture that runs, however it was started, or None."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        notes = [note for note in notes_in(self._settings) if started_s(note.pid) == note.started_s]
        if not notes:
            return None
        note = max(notes, key=lambda one: one.capture.started_ns)
        asked = read_asked(self._settings)
        is_ours = asked is not None and asked.capture_id == note.capture.capture_id
        return LiveCapture(
            row=note.capture,
            pid=note.pid,
            output_file=asked.output_file if asked and is_ours else None,
            planned_s=asked.duration_s if asked and is_ours else None,
        )

    def start(self, plan: CapturePlan) -> LiveCapture:
        """Start a capture; return when it reports itself.

        Raises
        ------
        Refusal
            400 in the child's own words when it cannot capture, 409 when a capture runs, 503 when it says nothing.
        """
        if not self._lock.acquire(blocking=False):
            raise failure(409, "A capture is being started or stopped. Wait for that answer.")
        try:
            now = self.running()
            if now is not None:
                raise failure(409, f"A capture of {now.row.name} is running already. Stop it first.")
            return self._start(plan)
        finally:
            self._lock.release()

    def _start(self, plan: CapturePlan) -> LiveCapture:
        capture_id = new_capture_id()
        self._said_file.parent.mkdir(parents=True, exist_ok=True)
        self._said_file.write_bytes(b"")
        child = spawn(
            plan.command(capture_id),
            output=self._said_file,
            environment=environment_of(self._settings),
            # Not SIGKILL: it is to send its end when this process is gone.
            death_signal=signal.SIGTERM,
        )
        row = self._await_row(capture_id, child)
        if row is None:
            stop_process(child, CLOSE_S)
            raise failure(503, f"The capture has not reported itself within {START_S:g} s. Try again.")
        self._child = child
        asked = Asked(capture_id=capture_id, output_file=plan.output_name, duration_s=plan.duration_s)
        write_asked(self._settings, asked)
        log.info("capture %s of %s started, process %d", capture_id, plan.interface, child.pid)
        return LiveCapture(row, child.pid, plan.output_name, plan.duration_s)

    def _await_row(self, capture_id: str, child: subprocess.Popen[bytes]) -> CaptureNow | None:
        """Return the capture's first row; None when it says nothing; raises ``Refusal`` when it cannot capture."""
        end_s = time.monotonic() + START_S
        while time.monotonic() < end_s:
            status = child.poll()
            row = queries.capture(self._store, capture_id)
            if row is not None and row.state is not CaptureState.FAILED:
                return row
            if status is not None and status != 0:
                raise failure(400, self._said() or "The capture ended at once. The log says why.")
            time.sleep(_LOOK_S)
        return None

    def stop(self) -> LiveCapture:
        """Stop the capture that runs; return when its process is gone and its end is in the store.

        Raises
        ------
        Refusal
            400 when none runs, 409 when it belongs to the service, or one is being started.
        """
        if not self._lock.acquire(blocking=False):
            raise failure(409, "A capture is being started or stopped. Wait for that answer.")
        try:
            now = self.running()
            if now is None:
                raise failure(400, NOT_RUNNING)
            self._end(now)
            return self._ended(now)
        finally:
            self._lock.release()

    def _end(self, now: LiveCapture) -> None:
        if self._child is not None and self._child.pid == now.pid:
            stop_process(self._child, STOP_S)
            self._child = None
            return
        process = psutil.Process(now.pid)
        if process.ppid() == os.getpid():
            sentence = f"The capture of {now.row.name} runs as long as the service does, which would start it again."
            raise failure(409, f"{sentence} Stop the service.")
        stop_other(process)

    def _ended(self, now: LiveCapture) -> LiveCapture:
        """Return a capture whose process is gone, with what the store says of its end."""
        row: CaptureNow | None = None

        def is_over() -> bool:
            nonlocal row
            row = queries.capture(self._store, now.row.capture_id)
            return row is not None and (row.is_stored or row.state is CaptureState.FAILED)

        _until(is_over, STORED_S)
        ended = row if row is not None and row.ended_ns else now.row.model_copy(update={"ended_ns": time.time_ns()})
        log.info("capture %s of %s stopped", now.row.capture_id, now.row.name)
        return LiveCapture(ended, now.pid, now.output_file, now.planned_s)

    def close(self) -> None:
        """Stop the capture that was started here, as the service stops."""
        with self._lock:
            if self._child is not None:
                stop_process(self._child, CLOSE_S)
                self._child = None

    def _said(self) -> str:
        """Return the last line that the child printed, as a sentence."""
        lines = [line.strip() for line in self._said_file.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].removeprefix("Error: ") if lines else ""


def stop_other(process: psutil.Process) -> None:
    """Stop a capture that this process did not start, with its group where it leads one."""
    is_leader = _leads_a_group(process.pid)
    try:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_S)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired:
        log.warning("process %d did not stop within %.1f s and is killed", process.pid, STOP_S)
        process.kill()
    if is_leader:
        kill_group(process.pid)


def _leads_a_group(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def _until(is_so: Callable[[], bool], timeout_s: float) -> bool:
    end_s = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > end_s:
            return False
        time.sleep(_LOOK_S)
    return True
