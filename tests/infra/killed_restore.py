"""A restore that is killed as one folder takes the place of another: ``killed_restore.py STATE ARCHIVE POINT``.

Points: ``exchange``, right before the two are exchanged; ``exchanged``, right after; ``between``, where the kernel
cannot exchange folders: the one is away and the other not yet there.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
from pathlib import Path

from infra.backup_restore import restore
from infra.settings import load_settings
from infra.store import Store

_SYSTEM_CALLS = {"x86_64": 316, "aarch64": 276}
"""Number of renameat2(2)."""

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ALLOW, _INVALID = 0x7FFF0000, 0x00050016
_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06


def cannot_exchange() -> None:
    """Have the kernel refuse this thread renameat2(2), as it does for file systems that cannot exchange."""
    number = _SYSTEM_CALLS[platform.machine()]
    steps = [(_LOAD, 0, 0, 0), (_EQUALS, 0, 1, number), (_RETURN, 0, 0, _INVALID), (_RETURN, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program):
        raise OSError(ctypes.get_errno(), "no filter of system calls")


def kill_at(point: str) -> None:
    """Have this process killed when it comes to a point."""
    renames_left = {"exchange": 0, "exchanged": 1, "between": 2}[point]
    is_near = False

    def look(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal is_near, renames_left
        if event == "ctypes.dlsym" and arguments[1] == "renameat2":
            is_near = True
            if point == "between":
                # Not earlier: the store's own engine exchanges, too.
                cannot_exchange()
        if is_near:
            renames_left -= event == "os.rename"
            if renames_left == 0:
                is_near = False
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


if __name__ == "__main__":
    state, archive, point = sys.argv[1:]
    settings = load_settings(state=Path(state), kafka="")
    kill_at(point)
    restore(Path(archive), settings, lambda known: Store.open(known.clickhouse), may_replace=True)
