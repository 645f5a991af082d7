from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import psutil
import pytest

from api.children import run_child
from api.errors import Refusal
from schemas.errors import ChildError, MissingProgramError
from tests.api.askers import children

WITH_CHILD = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1], "part").write_text(str(child.pid))
pathlib.Path(sys.argv[1], "part").rename(pathlib.Path(sys.argv[1], "pid"))
time.sleep(600)
"""


def run(tmp_path: Path, code: str, limit_s: float = 20.0, memory_bytes: int | None = None) -> Path:
    command = [sys.executable, "-c", code, tmp_path]
    return asyncio.run(run_child(command, tmp_path, limit_s, environment={"WORD": "heard"}, memory_bytes=memory_bytes))


def has_ended(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        psutil.wait_procs([process], timeout=10)
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_what_it_wrote_lies_in_a_file_and_complaints_in_another(tmp_path: Path) -> None:
    said = run(tmp_path, "import os, sys; print(os.environ['WORD']); print('careful', file=sys.stderr)")
    assert said.read_text() == "heard\n"


def test_one_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"longer than 5 s") as refused:
        run(tmp_path, WITH_CHILD, 5.0)
    assert refused.value.status == 503
    assert has_ended(int((tmp_path / "pid").read_text()))


def test_one_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match=r"failed \(3\): so there$"):
        run(tmp_path, "import sys; print('so there', file=sys.stderr); raise SystemExit(3)")


def test_one_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingProgramError, match="'no-such-program'"):
        asyncio.run(run_child(["no-such-program"], tmp_path, 1.0))


def test_one_gets_no_more_memory_than_it_may(tmp_path: Path) -> None:
    hungry = "import time; time.sleep(1); bytes(2 * 1024**3)"
    with pytest.raises(ChildError, match="MemoryError"):
        run(tmp_path, hungry, memory_bytes=1024**3)
    run(tmp_path, hungry)


def test_a_cancellation_waits_until_it_is_gone_with_its_children(tmp_path: Path) -> None:
    async def cancelled() -> float:
        running = asyncio.ensure_future(run_child([sys.executable, "-c", WITH_CHILD, tmp_path], tmp_path, 60.0))
        while not (tmp_path / "pid").exists():
            await asyncio.sleep(0.01)
        began_s = time.monotonic()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not children(tmp_path.name)
        return time.monotonic() - began_s

    assert asyncio.run(cancelled()) < 30
    assert has_ended(int((tmp_path / "pid").read_text()))


def test_one_that_is_given_up_at_once_leaves_nothing(tmp_path: Path) -> None:
    async def cancelled() -> None:
        running = asyncio.ensure_future(run_child([sys.executable, "-c", WITH_CHILD, tmp_path], tmp_path, 60.0))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not children(tmp_path.name)

    asyncio.run(cancelled())
