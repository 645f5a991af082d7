"""The block: an address that a firewall was asked to cut off, by whom, why and until when."""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from schemas.columns import Column, arrow_schema


class FirewallKind(StrEnum):
    """What carries blocks out."""

    DRY_RUN = "dry-run"
    """Nothing: blocks are remembered, and expire, but every packet passes."""
    NFTABLES = "nftables"
    """The kernel's packet filter."""


class BlockState(StrEnum):
    """Where a block stands; one that is active ends by itself when its time is over."""

    ACTIVE = "active"
    LIFTED = "lifted"
    """Ended before its time."""
    EXPIRED = "expired"
    """Its time is over, and the audit says so."""
    FAILED = "failed"
    """The firewall refused it."""


def _text(name: str, doc: str, *, is_repeated: bool = True) -> Column:
    return Column(name, pa.string(), "LowCardinality(String)" if is_repeated else "String", "", doc)


BLOCK_COLUMNS: tuple[Column, ...] = (
    _text("block_id", "Name of the block; later ones sort behind earlier ones.", is_repeated=False),
    Column("version", pa.uint64(), "UInt64", "", "When it changed last, ns since the epoch; the highest counts."),
    _text("sensor", "The machine that it was made on."),
    _text("firewall", "What carries it out (enum FirewallKind)."),
    _text("ip", "The address; an IPv4 address that is mapped into IPv6 stands as IPv4.", is_repeated=False),
    _text("state", "enum BlockState; an active one whose time is over has expired."),
    _text("reason", "Why, in the words of who asked for it.", is_repeated=False),
    _text("blocked_by", "Who asked for it: name of a key, policy for an automatic one, or whence it came."),
    Column("is_automatic", pa.bool_(), "Bool", "", "Whether the policy decided it, and no person."),
    _text("evidence", "Path of the API that shows why; empty when a person decided.", is_repeated=False),
    Column("blocked_ns", pa.int64(), "Int64", "", "When it began (wall clock), ns since the epoch."),
    Column("expires_ns", pa.int64(), "Int64", "", "When it ends by itself, ns since the epoch."),
    Column("ended_ns", pa.int64(), "Nullable(Int64)", "", "When it was lifted, expired or failed; null otherwise."),
    _text("ended_by", "Who lifted it, or time-out; empty while nobody did."),
    _text("error", "Why the firewall refused it; empty when it did not.", is_repeated=False),
)
"""Columns of ``blocks``."""

BLOCK_SCHEMA: pa.Schema = arrow_schema(BLOCK_COLUMNS)


class BlockRow(BaseModel):
    """A block as it stands; see ``BLOCK_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    block_id: str
    version: int
    sensor: str
    firewall: FirewallKind
    ip: str
    state: BlockState = BlockState.ACTIVE
    reason: str = ""
    blocked_by: str
    is_automatic: bool = False
    evidence: str = ""
    blocked_ns: int
    expires_ns: int
    ended_ns: int | None = None
    ended_by: str = ""
    error: str = ""
