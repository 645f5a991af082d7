"""Requests that a child process works for, and whoever asked goes away."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.api.stack import Running, until


def children(program: str) -> list[psutil.Process]:
    """Return the children of ours that run a program, or a module of that name."""
    found = []
    for process in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if any(Path(part).name == program for part in process.cmdline()):
                found.append(process)
    return found


@contextmanager
def asking(stack: Running, path: str, program: str) -> Iterator[None]:
    """Ask for a path until a child runs the program, which then does not end by itself; leave without the answer."""
    with socket.create_connection(("127.0.0.1", stack.settings.ports[0])) as asker:
        asker.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        until(lambda: bool(children(program)))
        for process in children(program):
            process.suspend()
        yield
