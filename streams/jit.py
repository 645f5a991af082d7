"""The one way a numba kernel is compiled here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def _source_hash() -> str:
    """Return a hash of every module beside this one."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.blake2b(b"\0".join(source.read_bytes() for source in sources), digest_size=8).hexdigest()


def _cache_folder() -> Path:
    """Return where machine code is kept, a folder for each state of the sources.

    numba's own cache looks at the file of a kernel only, and would go on using code into which an older
    version of a kernel from another file was compiled.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    base = Path(chosen) if chosen else Path(__file__).parent / "__pycache__"
    return base / f"kernels-{_source_hash()}"


vars(numba.config)["CACHE_DIR"] = str(_cache_folder())


def kernel(function: F) -> F:
    """Compile a function with numba, without the GIL, and keep the machine code on disk.

    Without the GIL an agent's heartbeat and the API stay alive while a batch is computed.
    """
    return cast(F, numba.njit(cache=True, nogil=True)(function))
