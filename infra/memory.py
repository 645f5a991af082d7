"""What a process of ours keeps of the memory that it has used."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import ClassVar

import pyarrow as pa

MAX_ARENAS = 2
"""Heaps that malloc spreads threads over; glibc has eight for each core, and each keeps its own freed memory."""

FREE_BYTES = 128 * 1024 * 1024
"""Freed memory that malloc may keep for what comes next, bytes."""

_M_ARENA_MAX = -8
"""Parameter of mallopt(3), from ``malloc.h``."""


class _Usage(ctypes.Structure):
    """What mallinfo2(3) tells."""

    _fields_: ClassVar = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def bound_allocators() -> bool:
    """Let freed memory be used again by every thread; call before threads are started.

    Batches are allocated in one thread and freed in another. With a heap for each thread, and another allocator
    below Arrow, a process holds the largest batch several times over, and more the longer it runs.

    Returns
    -------
    bool
        Whether malloc took it; other C libraries than glibc have no such parameter.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, MAX_ARENAS))
    except AttributeError:
        return False


def freeze_start() -> None:
    """Keep what the start has made out of later garbage collections; call when the process is ready for its work.

    Some hundred thousand objects of modules live as long as the process. Each full collection looks at all of them
    again while every thread waits (``gc.freeze`` in Python's library reference).
    """
    gc.collect()
    gc.freeze()


def return_memory(kept_bytes: int = FREE_BYTES) -> int:
    """Give the system back what malloc keeps of freed memory, when that is much.

    A large capture leaves some 600 MB behind, in pieces between what is still in use, that malloc never returns by
    itself (malloc_trim(3)). What comes next has to be given it anew, which costs more than it saves while there is
    work.

    Parameters
    ----------
    kept_bytes : int
        As much may stay.

    Returns
    -------
    int
        Bytes that were free, of which most have been returned; 0 when there was less than ``kept_bytes``, or malloc
        is another than glibc's.
    """
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None)
    try:
        usage, trim = libc.mallinfo2, libc.malloc_trim
    except AttributeError:
        return 0
    usage.restype = _Usage
    free_bytes = int(usage().fordblks)
    if free_bytes <= kept_bytes:
        return 0
    trim(ctypes.c_size_t(0))
    return free_bytes
