"""What a process of ours keeps of the memory that it has used."""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa

MAX_ARENAS = 2
"""Heaps that malloc spreads threads over; glibc has eight for each core, and each keeps its own freed memory."""

_M_ARENA_MAX = -8
"""Parameter of mallopt(3), from ``malloc.h``."""


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
