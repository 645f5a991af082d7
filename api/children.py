"""Children that a request waits for: ended after a time, when whoever asked has gone, and when the service stops."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Request

from api.errors import Refusal
from infra.processes import kill_process, spawn
from schemas.errors import ChildError

T = TypeVar("T")

_GONE = 499
"""For the log alone: whoever asked has gone. nginx's number of it."""

_LOOK_S = 0.02
_LAST_CHARACTERS = 2000


async def while_asked_for(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do what a request asks for, and cancel it when its client has gone.

    Parameters
    ----------
    request : Request
        Whose body nobody reads.
    work : coroutine
        Is over when this returns or raises.

    Raises
    ------
    Refusal
        499 when the client has gone.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        leaving.result()
        raise Refusal(_GONE, "Client Closed Request")
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait((working, leaving))


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def run_child(
    command: Sequence[str | Path],
    folder: Path,
    limit_s: float,
    *,
    environment: Mapping[str, str] | None = None,
    memory_bytes: int | None = None,
) -> Path:
    """Run a program to its end; return the file with what it wrote on standard output.

    However this ends, also by a cancellation, the child and its children are gone then.

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments; no shell sees them.
    folder : Path
        Where its output goes; one for each child.
    limit_s : float
        How long it may take.
    environment : mapping or None
        Variables added to our own.
    memory_bytes : int or None
        Address space it may have.

    Raises
    ------
    MissingProgramError
        There is no such program.
    ChildError
        It failed; the sentence ends with what it wrote last on standard error.
    Refusal
        503 when it took too long.
    """
    output, errors = folder / "output", folder / "errors"
    given_up = threading.Event()

    def start() -> subprocess.Popen[bytes]:
        return spawn(command, output=output, errors=errors, environment=environment)

    ending = asyncio.ensure_future(asyncio.to_thread(_run, start, limit_s, memory_bytes, given_up))
    try:
        status = await asyncio.shield(ending)
    except TimeoutError as error:
        raise Refusal(503, "Service Unavailable", f"This took longer than {limit_s:.0f} s. Try again.") from error
    finally:
        given_up.set()
        await asyncio.wait((ending,))
    if status:
        said = errors.read_text(errors="replace").strip()[-_LAST_CHARACTERS:]
        raise ChildError(f"{Path(command[0]).name} failed ({status}): {said}")
    return output


def _run(
    start: Callable[[], subprocess.Popen[bytes]], limit_s: float, memory_bytes: int | None, given_up: threading.Event
) -> int | None:
    """Start a child, wait for its end and see to it; return its exit status, None when it was given up before.

    Raises
    ------
    TimeoutError
        It took too long.
    """
    if given_up.is_set():
        return None
    process = start()
    end_s = time.monotonic() + limit_s
    try:
        if memory_bytes is not None:
            # A process that has ended already needs no limit.
            with suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        while process.poll() is None and not given_up.wait(_LOOK_S):
            if time.monotonic() > end_s:
                raise TimeoutError
        return process.returncode
    finally:
        kill_process(process)
