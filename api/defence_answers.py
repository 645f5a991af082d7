"""Answers of active defence: blocks, and who would be cut off."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.answers import example
from api.defence import Standing
from api.errors import ErrorAnswer, iso_of
from api.filters import NS_PER_S
from api.queries_defence import Peer, Totals
from schemas.blocks import BlockRow, BlockState, FirewallKind
from schemas.protocols import protocol_name

_BLOCK: JsonDict = {
    "block_id": "18a1f0c2b3d4e5f60a1b",
    "ip": "203.0.113.7",
    "firewall": "nftables",
    "is_dry_run": False,
    "state": "active",
    "reason": "PortScan: 134 flows within 60 s, confidence 0.97 or more",
    "blocked_by": "policy",
    "is_automatic": True,
    "evidence": "/api/flows/?capture=01kb2m9t8x7qd4&source_ip=203.0.113.7",
    "blocked_at": "2026-01-09T17:41:06.493726",
    "expires_at": "2026-01-09T17:51:06.493726",
    "remaining_s": 417.25,
    "is_in_force": True,
    "packets_dropped": 1290,
    "bytes_dropped": 77400,
    "ended_at": None,
    "ended_by": "",
    "error": "",
}

_DONE: JsonDict = {"status": "success", "message": "IP blocked successfully"}

_TRAFFIC: JsonDict = {
    "flows": 31,
    "conversations": 30,
    "packets": 1840,
    "bytes": 912_000,
    "open_flows": 2,
    "first_seen": "2026-01-09T09:12:33.101112",
    "last_seen": "2026-01-09T17:41:06.493726",
}


class RefusedAnswer(ErrorAnswer):
    """Why nothing was done."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "status": "error",
                "message": "Cannot block localhost",
                "error": "Bad Request",
                "detail": "Cannot block localhost",
                "timestamp": "2026-01-09T17:44:30.123456",
            }
        }
    )

    status: Literal["error"] = "error"


class BlockAnswer(BaseModel):
    """A block."""

    model_config = example(_BLOCK)

    block_id: str
    ip: str
    firewall: FirewallKind = Field(description="What carries it out.")
    is_dry_run: bool = Field(description="Whether every packet passes all the same.")
    state: Literal["active", "expired", "lifted", "failed"] = Field(
        description="`expired` when its time is over, `lifted` when somebody ended it before, `failed` when the "
        "firewall refused it."
    )
    reason: str
    blocked_by: str = Field(description="Name of a key, an address, or `policy`.")
    is_automatic: bool = Field(description="Whether the policy decided it, and no person.")
    evidence: str = Field(description="Where the API shows why; empty when a person decided.")
    blocked_at: str = Field(description="UTC.")
    expires_at: str = Field(description="UTC.")
    remaining_s: float = Field(description="Until it ends by itself; 0 when it has ended.")
    is_in_force: bool = Field(description="Whether the firewall has it at this moment.")
    packets_dropped: int | None = Field(description="By the firewall; null where nothing is dropped.")
    bytes_dropped: int | None
    ended_at: str | None = Field(description="When it was lifted, expired or was refused, UTC; null otherwise.")
    ended_by: str
    error: str = Field(description="Why the firewall refused it.")

    @classmethod
    def of(cls, row: BlockRow, now_ns: int, standing: Standing | None = None) -> Self:
        """Return the answer of a block, and of the firewall where it has it."""
        held = standing.held if standing else None
        is_standing = row.state is BlockState.ACTIVE and row.expires_ns > now_ns
        return cls(
            **row.model_dump(include={"block_id", "ip", "firewall", "reason", "blocked_by", "is_automatic"}),
            **row.model_dump(include={"evidence", "ended_by", "error"}),
            is_dry_run=row.firewall is FirewallKind.DRY_RUN,
            state="expired" if row.state is BlockState.ACTIVE and not is_standing else row.state.value,
            blocked_at=iso_ns(row.blocked_ns),
            expires_at=iso_ns(row.expires_ns),
            remaining_s=max(0.0, (row.expires_ns - now_ns) / NS_PER_S) if is_standing else 0.0,
            is_in_force=held is not None,
            packets_dropped=held.packets if held else None,
            bytes_dropped=held.bytes if held else None,
            ended_at=None if row.ended_ns is None else iso_ns(row.ended_ns),
        )


class BlockedAnswer(BaseModel):
    """An address is blocked."""

    model_config = example({**_DONE, "is_new": True, "block": _BLOCK})

    status: Literal["success"] = "success"
    message: str
    is_new: bool = Field(description="False when it was blocked already; it then stays so for longer, never shorter.")
    block: BlockAnswer


class UnblockedAnswer(BaseModel):
    """An address is not blocked any more."""

    model_config = example({**_DONE, "message": "IP unblocked successfully", "was_blocked": True, "blocks": [_BLOCK]})

    status: Literal["success"] = "success"
    message: str
    was_blocked: bool
    blocks: list[BlockAnswer] = Field(description="Those that were ended.")


class BlocksAnswer(BaseModel):
    """A page of blocks, newest first."""

    model_config = example(
        {"status": "success", "firewall": "nftables", "is_dry_run": False, "total": 1, "blocks": [_BLOCK]}
    )

    status: Literal["success"] = "success"
    firewall: FirewallKind = Field(description="What carries new blocks out.")
    is_dry_run: bool = Field(description="Whether new blocks cut nothing off.")
    total: int
    blocks: list[BlockAnswer]


class OneBlockAnswer(BaseModel):
    """An address's newest block."""

    model_config = example({"status": "success", "block": _BLOCK})

    status: Literal["success"] = "success"
    block: BlockAnswer


class TrafficAnswer(BaseModel):
    """What an address had to do with others."""

    model_config = example(_TRAFFIC)

    flows: int
    conversations: int = Field(description="Pairs of endpoints (addresses, ports, protocol).")
    packets: int
    bytes: int
    open_flows: int = Field(description="Flows that had not ended when they were recorded last.")
    first_seen: str | None = Field(description="UTC.")
    last_seen: str | None = Field(description="UTC.")


class PeerAnswer(TrafficAnswer):
    """A host at the other end."""

    model_config = example({"ip": "192.168.1.10", "services": ["tcp/443"], **_TRAFFIC})

    ip: str
    services: list[str] = Field(description="Protocol and port that flows were begun to, the most used first.")

    @classmethod
    def of(cls, peer: Peer) -> Self:
        """Return the answer of a row."""
        services = [f"{protocol_name(protocol)}/{port}" for protocol, port in peer.services]
        return cls.model_validate({"ip": peer.ip, "services": services, **_counts(peer)})


class PreviewAnswer(BaseModel):
    """Who would be cut off by a block."""

    model_config = example(
        {
            "status": "success",
            "ip": "203.0.113.7",
            "from": "2026-01-08T17:41:06.493726",
            "refusal": "",
            "is_blocked": False,
            "firewall": "nftables",
            "is_dry_run": False,
            "hosts": 1,
            "total": _TRAFFIC,
            "peers": [{"ip": "192.168.1.10", "services": ["tcp/443"], **_TRAFFIC}],
        }
    )

    status: Literal["success"] = "success"
    ip: str
    from_: str = Field(alias="from", description="Flows that ended before are left out, UTC.")
    refusal: str = Field(description="Why a block would be refused; empty when it would not.")
    is_blocked: bool
    firewall: FirewallKind
    is_dry_run: bool = Field(description="Whether a block would cut nothing off.")
    hosts: int = Field(description="Hosts that it had to do with.")
    total: TrafficAnswer
    peers: list[PeerAnswer] = Field(description="The hosts with most bytes.")


def traffic_of(row: Totals) -> TrafficAnswer:
    """Return the answer of an address's totals."""
    return TrafficAnswer.model_validate(_counts(row))


def _counts(row: Totals | Peer) -> dict[str, object]:
    names = ("flows", "conversations", "packets", "bytes", "open_flows")
    seen = {"first_seen": row.first_ns, "last_seen": row.last_ns}
    times = {name: iso_ns(at_ns) if row.flows else None for name, at_ns in seen.items()}
    return {**{name: getattr(row, name) for name in names}, **times}


def iso_ns(at_ns: int) -> str:
    """Return a moment, ns since the epoch, in the documented form."""
    return iso_of(datetime.fromtimestamp(at_ns / NS_PER_S, UTC))
