"""Names for the numpy array types that columns have, and growing an array of which the front is in use."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Bools: TypeAlias = NDArray[np.bool_]
Integers: TypeAlias = NDArray[np.integer[Any]]
Int32s: TypeAlias = NDArray[np.int32]
Int64s: TypeAlias = NDArray[np.int64]
UInt8s: TypeAlias = NDArray[np.uint8]
UInt16s: TypeAlias = NDArray[np.uint16]
UInt32s: TypeAlias = NDArray[np.uint32]
UInt64s: TypeAlias = NDArray[np.uint64]

Item = TypeVar("Item", bound=np.generic)


def enlarged(array: NDArray[Item], used: int, length: int) -> NDArray[Item]:
    """Return a longer copy of an array, zeroed behind what is in use.

    What is not in use is not touched: the system gives memory to zeros only when they are written to.

    Parameters
    ----------
    array : numpy.ndarray
        Shape (n, …).
    used : int
        Rows in use, from the first on; all when there are not so many.
    length : int
        Rows of the copy, no fewer than ``n``.
    """
    used = min(used, len(array))
    copy = np.zeros((length, *array.shape[1:]), array.dtype)
    copy[:used] = array[:used]
    return copy
