"""Answers about the audit."""

from __future__ import annotations

import json
from typing import Any, Self

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.answers import example
from api.filters import NS_PER_S
from api.queries_audit import AuditRow
from schemas.audit import AuditOutcome

_ENTRY: JsonDict = {
    "entry_id": "5d41402abc4b2a76",
    "at": 1234567890.5,
    "who": "night shift",
    "key_id": "1f3a9c2e07",
    "address": "10.0.0.17",
    "action": "capture.start",
    "target": "eth0",
    "outcome": "done",
    "status": 200,
    "details": {"filter": "not port 22"},
}


class AuditEntryAnswer(BaseModel):
    """One thing that was done, or refused."""

    model_config = example(_ENTRY)

    entry_id: str
    at: float = Field(description="When it was answered, seconds since the epoch.")
    who: str = Field(description="Name of the key, or the caller's address; what of the service acted by itself.")
    key_id: str = Field(description="Id of the key; empty without one.")
    address: str = Field(description="Address of the client; empty for what acted by itself.")
    action: str
    target: str = Field(description="What it was done to.")
    outcome: AuditOutcome
    status: int = Field(description="HTTP status; 0 for what acted by itself.")
    details: dict[str, Any]

    @classmethod
    def of(cls, row: AuditRow) -> Self:
        """Return the answer for a row."""
        same = row.model_dump(exclude={"at_ns", "details"})
        return cls(at=row.at_ns / NS_PER_S, details=json.loads(row.details), **same)


class AuditAnswer(BaseModel):
    """A page of the audit, newest first."""

    model_config = example({"count": 1, "total": 1, "offset": 0, "limit": 50, "next_cursor": None, "entries": [_ENTRY]})

    count: int
    total: int
    offset: int
    limit: int
    next_cursor: str | None = Field(description="Send it as `cursor` for the page behind this one; null on the last.")
    entries: list[AuditEntryAnswer]
