"""Memory for columns that live as long as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_ALIGNMENT_BYTES = 64
"""As Arrow recommends for its buffers."""


def room(size: int) -> npt.NDArray[np.uint8]:
    """Return so many bytes, with whatever lay in memory.

    They come from Arrow's pool, which keeps what batches give back. From the operating system they would be
    new, and a page fault per 4 KiB costs more than decoding the packets that fill them.
    """
    return np.frombuffer(pa.allocate_buffer(size), np.uint8)


def empty_columns(
    layout: Sequence[tuple[np.dtype[np.generic], tuple[int, ...]]], rows: int
) -> list[npt.NDArray[np.generic]]:
    """Return columns in one piece of memory, with whatever lay there.

    Parameters
    ----------
    layout : sequence of (dtype, shape)
        Type of each column, and the shape of one row of it.
    rows : int
        Rows of each column.
    """
    sizes = [rows * dtype.itemsize * int(np.prod(shape, dtype=np.int64)) for dtype, shape in layout]
    padded = [-(-size // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES for size in sizes]
    memory = room(sum(padded))
    ends = np.cumsum(padded).tolist()
    return [
        memory[end - pad : end - pad + size].view(dtype).reshape((rows, *shape))
        for (dtype, shape), size, pad, end in zip(layout, sizes, padded, ends, strict=True)
    ]
