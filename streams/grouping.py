"""Grouping and ranking many rows without sorting them all."""

from __future__ import annotations

import secrets

import numpy as np

from streams.arrays import Bools, Int64s, Integers, UInt64s
from streams.jit import kernel
from streams.split import mix

_SEED = np.uint64(secrets.randbits(64))
"""Where keys stand in a hash table differs from process to process, so that nobody can choose ones that collide. No
result depends on it."""


def group(high: UInt64s, low: UInt64s) -> tuple[Int64s, Int64s]:
    """Give each distinct key among rows a number, in order of their first row.

    Parameters
    ----------
    high, low : ndarray of uint64, shape (n_rows,)
        Halves of each row's key.

    Returns
    -------
    numbers : ndarray of int64, shape (n_rows,)
        Number of each row's key, from 0.
    firsts : ndarray of int64, shape (n_groups,)
        First row of each key.
    """
    numbers = np.empty(len(high), np.int64)
    firsts = np.empty(len(high), np.int64)
    if not len(high):
        return numbers, firsts
    table = np.zeros(2 << (len(high) - 1).bit_length(), np.int64)
    n_groups = _number(high, low, _SEED, table, numbers, firsts)
    return numbers, firsts[:n_groups]


@kernel
def _number(high: UInt64s, low: UInt64s, seed: np.uint64, table: Int64s, numbers: Int64s, firsts: Int64s) -> int:
    """Fill ``numbers`` and ``firsts``; ``table`` is zeros, a power of two and at least twice as long."""
    mask = np.uint64(len(table) - 1)
    n_groups = 0
    for row in range(len(high)):
        place = mix(mix(high[row] ^ seed) + low[row]) & mask
        while table[place] != 0:
            first = firsts[table[place] - 1]
            if high[first] == high[row] and low[first] == low[row]:
                break
            place = (place + np.uint64(1)) & mask
        if table[place] == 0:
            firsts[n_groups] = row
            n_groups += 1
            table[place] = n_groups
        numbers[row] = table[place] - 1
    return n_groups


def sums_of(numbers: Int64s, values: Int64s | Bools, count: int) -> Int64s:
    """Return the sum of the values of each group; exact below 2^53."""
    return np.bincount(numbers, weights=values, minlength=count).astype(np.int64)


def lowest(count: int, *keys: Integers) -> Int64s:
    """Return the rows that come first in order of the keys, the first key counting most, in that order.

    Parameters
    ----------
    count : int
        Rows at most.
    *keys : ndarray of integers, shape (n_rows,)
        Rows that are equal in all of them come in any order.
    """
    chosen = np.arange(len(keys[0]))
    certain: list[Int64s] = []
    wanted = count
    for key in keys:
        if len(chosen) <= max(wanted, 1) or wanted <= 0:
            break
        values = key[chosen]
        limit = np.partition(values, wanted - 1)[wanted - 1]
        below = chosen[values < limit]
        certain.append(below)
        wanted -= len(below)
        chosen = chosen[values == limit]
    found = np.concatenate([*certain, chosen[: max(wanted, 0)]])
    order = np.lexsort([key[found] for key in reversed(keys)])
    return found[order]
