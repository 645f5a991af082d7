"""Tables that merge: rows with equal keys become one, whatever the order of merging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streams.arrays import Int64s, Integers, UInt64s


@dataclass(frozen=True)
class GroupTable:
    """Sums and flags by key; merging is associative, commutative and exact.

    Parameters
    ----------
    keys : ndarray of uint64, shape (n_rows, n_keys)
        What a row is about.
    sums : ndarray of int64, shape (n_rows, n_sums)
        Added where keys are equal.
    flags : ndarray of uint64, shape (n_rows,)
        Bits, united where keys are equal.
    """

    keys: UInt64s
    sums: Int64s
    flags: UInt64s

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.keys)

    @classmethod
    def of(cls, keys: Sequence[Integers], sums: Sequence[Int64s] = (), flags: Integers | None = None) -> GroupTable:
        """Return the table of these columns, each of shape ``(n_rows,)``; keys may repeat."""
        n_rows = len(keys[0])
        return cls(
            keys=np.stack([key.astype(np.uint64, copy=False) for key in keys], axis=1),
            sums=np.stack(sums, axis=1).astype(np.int64) if sums else np.zeros((n_rows, 0), np.int64),
            flags=np.zeros(n_rows, np.uint64) if flags is None else flags.astype(np.uint64),
        )

    @classmethod
    def empty(cls, n_keys: int, n_sums: int) -> GroupTable:
        """Return a table without rows."""
        return cls(np.zeros((0, n_keys), np.uint64), np.zeros((0, n_sums), np.int64), np.zeros(0, np.uint64))


def merge_tables(tables: Sequence[GroupTable]) -> GroupTable:
    """Return one table in which every key stands once, in ascending order of keys."""
    keys = np.concatenate([table.keys for table in tables])
    if not len(keys):
        return tables[0]
    order = np.lexsort(keys.T[::-1]) if keys.shape[1] > 1 else np.argsort(keys[:, 0], kind="stable")
    keys = keys[order]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    starts = np.flatnonzero(is_first)
    sums = np.concatenate([table.sums for table in tables])[order]
    flags = np.concatenate([table.flags for table in tables])[order]
    return GroupTable(
        keys=keys[starts],
        sums=np.add.reduceat(sums, starts, axis=0),
        flags=np.bitwise_or.reduceat(flags, starts),
    )
