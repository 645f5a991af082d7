"""The one way a numba kernel is compiled here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile a function with numba, without the GIL, and keep the machine code on disk.

    Without the GIL an agent's heartbeat and the API stay alive while a batch is computed.
    """
    return cast(F, numba.njit(cache=True, nogil=True)(function))
