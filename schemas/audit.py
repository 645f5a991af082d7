"""The audit: who had what done, as it stands in the store."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

from schemas.columns import Column, arrow_schema


class AuditOutcome(StrEnum):
    """How something that acts ended."""

    DONE = "done"
    """It was done, or there was nothing to do."""
    REFUSED = "refused"
    """It was not begun: no key, too many requests, or a request that makes no sense."""
    FAILED = "failed"
    """It was begun and failed."""


AUDIT_COLUMNS: tuple[Column, ...] = (
    Column("at_ns", pa.int64(), "Int64", "", "When it was answered, ns since the epoch."),
    Column("entry_id", pa.string(), "String", "", "Name of the row: 16 hexadecimal digits, at random."),
    Column("who", pa.string(), "LowCardinality(String)", "", "Name of the key, or the address of a caller without one; what of our own acted by itself."),
    Column("key_id", pa.string(), "LowCardinality(String)", "", "Id of the key; empty without one."),
    Column("address", pa.string(), "String", "", "Address of the client; empty for what acted by itself."),
    Column("action", pa.string(), "LowCardinality(String)", "", "What was done, as in capture.start."),
    Column("target", pa.string(), "String", "", "What it was done to: an interface, a file, an address, a model; else the path."),
    Column("outcome", pa.string(), "LowCardinality(String)", "", "done, refused or failed (enum AuditOutcome)."),
    Column("status", pa.uint16(), "UInt16", "", "HTTP status; 0 for what acted by itself."),
    Column("details", pa.string(), "String", "", "Whatever else is worth keeping, a JSON object."),
)  # fmt: skip
"""Columns of ``audit``."""

AUDIT_SCHEMA: pa.Schema = arrow_schema(AUDIT_COLUMNS)


@dataclass(frozen=True)
class AuditEntry:
    """One row of the audit; see ``AUDIT_COLUMNS``."""

    action: str
    target: str
    who: str
    outcome: AuditOutcome = AuditOutcome.DONE
    key_id: str = ""
    address: str = ""
    status: int = 0
    details: Mapping[str, object] = field(default_factory=dict)
    at_ns: int = field(default_factory=time.time_ns)
    entry_id: str = field(default_factory=lambda: secrets.token_hex(8))
