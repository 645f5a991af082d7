"""Reading numbers from raw bytes, for kernels."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from streams.jit import kernel

A = TypeVar("A", bound=npt.NDArray[np.generic])

Octets: TypeAlias = npt.NDArray[np.uint8]
"""Bytes as kernels take them: one dimension, contiguous, read-only (see ``read_only``)."""


def read_only(data: Octets) -> Octets:
    """Return a view that cannot be written to.

    A read-only array is another type to numba than a writable one. Memory maps are always read-only, so
    everything else is made so too and each kernel is compiled once.
    """
    view = np.ascontiguousarray(data, dtype=np.uint8).view()
    view.flags.writeable = False
    return view


@intrinsic
def _data_of(_context: object, array: types.Array) -> Any:
    """Return the address of an array's first element, which kernels index like the array."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return cgutils.create_struct_proxy(  # type: ignore[no-untyped-call]
            signature.args[0]
        )(context, builder, value=args[0]).data

    return types.CPointer(array.dtype)(array), build  # type: ignore[no-untyped-call]


@kernel
def bare(array: A) -> A:
    """Return an array's elements without the array: what kernels hand to one another in their inner loops.

    An array is passed as seven numbers and its owner counted, atomically, at each call: ten times the cost of
    decoding a packet. What this returns has no length, knows no negative index and does not keep the array
    alive, so it stays inside the kernel that was given the array.
    """
    return _data_of(array)  # type: ignore[call-arg]


@kernel
def be16(data: Octets, at: int) -> int:
    """Return the unsigned 16-bit number in network byte order at an offset."""
    return int(np.int64(data[at]) << 8 | np.int64(data[at + 1]))


@kernel
def be32(data: Octets, at: int) -> int:
    """Return the unsigned 32-bit number in network byte order at an offset."""
    return int(
        np.int64(data[at]) << 24 | np.int64(data[at + 1]) << 16 | np.int64(data[at + 2]) << 8 | np.int64(data[at + 3])
    )


@kernel
def le32(data: Octets, at: int) -> int:
    """Return the unsigned 32-bit number, lowest byte first, at an offset."""
    return int(
        np.int64(data[at]) | np.int64(data[at + 1]) << 8 | np.int64(data[at + 2]) << 16 | np.int64(data[at + 3]) << 24
    )


@kernel
def file32(data: Octets, at: int, is_big_endian: bool) -> int:
    """Return the unsigned 32-bit number at an offset in the byte order of a file."""
    if is_big_endian:
        return be32(data, at)
    return le32(data, at)
