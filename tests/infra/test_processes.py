from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from infra.processes import spawn, started_s, stop_process
from schemas.errors import MissingProgramError

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
WITH_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); {SLEEP}"


def wait_for_words(path: Path, process: subprocess.Popen[bytes], count: int = 1) -> None:
    """Wait until the child has said ``up`` as often as ``count``."""
    while path.read_text().count("up") < count:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.02)


def started(tmp_path: Path, code: str, count: int = 1) -> subprocess.Popen[bytes]:
    output = tmp_path / "output"
    process = spawn([sys.executable, "-c", code], output=output)
    wait_for_words(output, process, count)
    return process


def test_a_child_has_a_group_of_its_own_its_output_in_a_file_and_our_environment(tmp_path: Path) -> None:
    code = "import os; print(os.getpgrp() == os.getpid(), os.environ['WORD'], 'PATH' in os.environ)"
    output = tmp_path / "output"
    process = spawn([sys.executable, "-c", code], output=output, environment={"WORD": "heard"})
    assert process.wait() == 0
    assert output.read_text() == "True heard True\n"


def test_a_child_that_listens_is_stopped_without_force(tmp_path: Path) -> None:
    process = started(tmp_path, SLEEP)
    assert stop_process(process, 10)
    assert process.returncode == -signal.SIGTERM


def test_a_child_that_does_not_listen_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    process = started(tmp_path, STUBBORN)
    assert not stop_process(process, 0.1)
    assert process.returncode == -signal.SIGKILL


def test_the_children_of_a_child_go_with_it(tmp_path: Path) -> None:
    process = started(tmp_path, WITH_CHILD, count=2)
    [grandchild] = psutil.Process(process.pid).children()
    stop_process(process, 10)
    psutil.wait_procs([grandchild], timeout=10)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_stopping_what_has_ended_is_harmless(tmp_path: Path) -> None:
    process = spawn([sys.executable, "-c", "pass"], output=tmp_path / "output")
    process.wait()
    assert stop_process(process, 0)
    assert process.returncode == 0


def test_children_outlive_the_thread_that_asked_for_them(tmp_path: Path) -> None:
    made: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: made.append(started(tmp_path, SLEEP)))
    thread.start()
    thread.join()
    [process] = made
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    stop_process(process, 10)


def test_children_die_when_their_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from infra.processes import spawn;"
        f"print(spawn([sys.executable, '-c', {STUBBORN!r}]).pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        assert parent.stdout.readline() == b"up\n"
        parent.kill()
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingProgramError, match="'no-such-program'"):
        spawn(["no-such-program"])
    assert os.getpid()


def test_a_process_is_told_from_a_later_one_by_its_start(tmp_path: Path) -> None:
    process = started(tmp_path, SLEEP)
    began_s = started_s(process.pid)
    assert began_s is not None
    assert began_s == started_s(process.pid)
    assert began_s >= (started_s(os.getpid()) or 0.0)
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        continue
    # Nobody has asked for its status yet, but it runs no more.
    assert started_s(process.pid) is None
    process.wait()
    assert started_s(process.pid) is None
