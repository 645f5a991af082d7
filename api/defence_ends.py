"""The ends of blocks whose time is over: a firewall ends them by itself, and the audit says when and why."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from api import queries_defence as queries
from infra.audit import write_audit
from infra.store import Store
from schemas.audit import AuditEntry
from schemas.blocks import BlockRow, BlockState

TIME_OUT = "time-out"
"""What ended it: nobody did, its time was over."""

_NEVER_NS = 2**63 - 1


class Ends:
    """Which blocks of a machine have ended since it was asked last; to ask costs nothing while none is due.

    Parameters
    ----------
    store : Store
    sensor : str
        The machine.
    """

    def __init__(self, store: Store, sensor: str) -> None:
        self._store = store
        self._sensor = sensor
        self._next_ns = 0

    def expect(self, row: BlockRow) -> None:
        """Take note of when a new block ends."""
        self._next_ns = min(self._next_ns, row.expires_ns)

    def note(self, now_ns: int, save: Callable[[BlockRow], None]) -> list[BlockRow]:
        """Write each block that has ended into the audit, once, and save it as expired; return these.

        Raises
        ------
        StoreError
            The store does not answer; the next call continues.
        """
        if now_ns < self._next_ns:
            return []
        ended = [_expired(row, now_ns) for row in queries.ended_blocks(self._store, self._sensor, now_ns)]
        for row in ended:
            write_audit(self._store, end_entry(row))  # first: after a crash it is written again, and is there once
            save(row)
        standing = queries.standing_blocks(self._store, self._sensor)
        self._next_ns = min((row.expires_ns for row in standing), default=_NEVER_NS)
        return ended


def _expired(row: BlockRow, now_ns: int) -> BlockRow:
    changes = {"state": BlockState.EXPIRED, "ended_ns": row.expires_ns, "ended_by": TIME_OUT}
    return row.model_copy(update={**changes, "version": max(now_ns, row.version + 1)})


def end_entry(row: BlockRow) -> AuditEntry:
    """Return the row of the audit: when it ended, what ended it, and who had asked for it; for a block always the same.

    Parameters
    ----------
    row : BlockRow
        A block whose time is over.
    """
    return AuditEntry(
        action="block.expire",
        target=row.ip,
        who=TIME_OUT,
        at_ns=row.expires_ns,
        entry_id=blake2b(row.block_id.encode(), digest_size=8).hexdigest(),
        details={
            "block_id": row.block_id,
            "firewall": row.firewall.value,
            "blocked_by": row.blocked_by,
            "blocked_ns": row.blocked_ns,
            "reason": row.reason,
            "is_automatic": row.is_automatic,
        },
    )
