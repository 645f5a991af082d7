from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from infra.supervisor import Process, Supervisor
from schemas.errors import BrokerError, MissingProgramError

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


class Recorder:
    """A service without a process: it runs until it is told to end or to fail."""

    def __init__(self, name: str, log: list[str], failing_starts: int = 0) -> None:
        self.name = name
        self._log = log
        self._left = failing_starts
        self._ended = threading.Event()
        self.restarted = threading.Event()
        self._starts = 0

    def start(self) -> None:
        self._starts += 1
        if self._starts > 1 and self._left:
            self._left -= 1
            raise BrokerError("not yet")
        self._log.append(f"start {self.name}")
        self._ended.clear()
        if self._starts > 1:
            self.restarted.set()

    def wait(self) -> int:
        self._ended.wait()
        return 3

    def fail(self) -> None:
        self._ended.set()

    def stop(self, timeout_s: float) -> None:
        assert timeout_s > 0
        self._log.append(f"stop {self.name}")
        self._ended.set()


def test_services_stop_in_the_reverse_of_their_order() -> None:
    log: list[str] = []
    with Supervisor() as supervisor:
        for name in ("broker", "worker", "api"):
            supervisor.start(Recorder(name, log))
        assert log == ["start broker", "start worker", "start api"]
    assert log[3:] == ["stop api", "stop worker", "stop broker"]


def test_a_service_that_fails_is_started_again_even_when_that_fails_at_first() -> None:
    log: list[str] = []
    service = Recorder("worker", log, failing_starts=1)
    with Supervisor() as supervisor:
        supervisor.start(service)
        service.fail()
        assert service.restarted.wait(30)
        assert supervisor.restarts == {"worker": 2}
    assert log == ["start worker", "start worker", "stop worker"]


def test_a_killed_process_is_started_again() -> None:
    process = Process("sleeper", SLEEP)
    with Supervisor() as supervisor:
        supervisor.start(process)
        first = process.pid
        assert first
        os.kill(first, signal.SIGKILL)
        while process.pid in (first, None):
            time.sleep(0.02)
        assert supervisor.restarts == {"sleeper": 1}
    assert process.pid is None


def test_a_stubborn_process_does_not_hold_up_the_end(tmp_path: Path) -> None:
    output = tmp_path / "output"
    process = Process("stubborn", STUBBORN, output=output)
    with Supervisor() as supervisor:
        supervisor.start(process)
        while output.read_text() != "up\n":
            time.sleep(0.02)
        supervisor.stop(deadline_s=0.3)
    assert process.pid is None
    assert process.wait() == -signal.SIGKILL


def test_a_first_start_that_fails_is_said_at_once() -> None:
    with Supervisor() as supervisor, pytest.raises(MissingProgramError, match="no-such-program"):
        supervisor.start(Process("absent", ["no-such-program"]))
