"""Writing the audit: the one way into its table."""

from __future__ import annotations

import json

import pyarrow as pa

from infra.store import Store
from schemas.audit import AUDIT_SCHEMA, AuditEntry

MAX_TEXT = 1024
"""Longest text of a row, characters; a path of a request may be as long as its sender likes."""

MAX_DETAILS = 16_384
"""Longest JSON of a row's details, characters; longer ones are left out, and the row says so."""


def write_audit(store: Store, *entries: AuditEntry) -> None:
    """Write rows of the audit.

    Parameters
    ----------
    store : Store
        Where.
    *entries : AuditEntry
        What happened; texts longer than ``MAX_TEXT`` are cut. The same entries written again are there once.

    Raises
    ------
    StoreError
        The store refuses or does not answer; nothing was written.
    """
    if not entries:
        return
    rows = [_row(entry) for entry in entries]
    store.insert("audit", pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA), f"audit:{rows[0]['entry_id']}")


def _row(entry: AuditEntry) -> dict[str, object]:
    texts = {name: getattr(entry, name)[:MAX_TEXT] for name in ("who", "key_id", "address", "action", "target")}
    details = json.dumps(dict(entry.details), default=str)
    if len(details) > MAX_DETAILS:
        details = json.dumps({"left_out_characters": len(details)})
    return {
        **texts,
        "at_ns": entry.at_ns,
        "entry_id": entry.entry_id,
        "outcome": entry.outcome.value,
        "status": entry.status,
        "details": details,
    }
