"""``/active-defense``: addresses are blocked, let go, listed, and looked at before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from api import queries_defence as queries
from api.access import Called, Noted, Scope, needs
from api.defence import TooManyBlocksError
from api.defence_answers import (
    BlockAnswer,
    BlockedAnswer,
    BlocksAnswer,
    OneBlockAnswer,
    PeerAnswer,
    PreviewAnswer,
    RefusedAnswer,
    UnblockedAnswer,
    iso_ns,
    traffic_of,
)
from api.defence_policy import Order
from api.errors import DEFENCE_PREFIX, Refusal, documented
from api.filters import NS_PER_S
from api.parameters import Capture, Limit, Offset
from api.policy_answers import PolicyAnswer
from api.services import Services, Shared
from infra.firewall import Address
from infra.firewall_guard import parse_address
from schemas.blocks import FirewallKind
from schemas.errors import AddressRefusedError, FirewallError, MissingProgramError

router = APIRouter(prefix=DEFENCE_PREFIX, tags=["active defence"])

MAX_PEERS = 50
"""Hosts that a preview names."""

Ip = Annotated[str, Path(max_length=64, description="IPv4 or IPv6 address.", examples=["203.0.113.7"])]
Duration = Annotated[
    float | None,
    Query(ge=1, allow_inf_nan=False, description="Seconds; `defence_block_s` when absent.", examples=[600]),
]
Reason = Annotated[str, Query(max_length=500, description="Why, for whoever reads the list and the audit.")]
State = Annotated[Literal["active", "all"], Query(description="`all` lists those that have ended as well.")]
Hours = Annotated[float, Query(gt=0, le=720, description="How far to look back from now.")]


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what cannot be done into the documented answer."""
    try:
        yield
    except AddressRefusedError as error:
        raise Refusal(400, "Bad Request", str(error)) from error
    except TooManyBlocksError as error:
        raise Refusal(409, "Conflict", str(error)) from error
    except (FirewallError, MissingProgramError) as error:
        raise Refusal(503, "Service Unavailable", str(error)) from error


@router.get("/block", response_model=BlocksAnswer, responses=documented(400), summary="Blocks")
def read_blocks(
    services: Shared,
    state: Annotated[
        Literal["active", "all"], Query(description="`all` lists those that have ended as well.")
    ] = "active",
    limit: Limit = 100,
    offset: Offset = 0,
) -> BlocksAnswer:
    """List the blocks in force, or all there ever were, newest first."""
    defence, sensor, now_ns = services.defence, services.settings.sensor, time.time_ns()
    standing = {one.row.block_id: one for one in defence.standing()}
    if state == "all":
        rows = queries.blocks(services.store, sensor, limit, offset)
        total = queries.block_count(services.store, sensor)
    else:
        rows = [one.row for one in standing.values()][offset : offset + limit]
        total = len(standing)
    return BlocksAnswer(
        firewall=defence.kind,
        is_dry_run=defence.kind is FirewallKind.DRY_RUN,
        total=total,
        blocks=[BlockAnswer.of(row, now_ns, standing.get(row.block_id)) for row in rows],
    )


@router.delete(
    "/block",
    response_model=UnblockedAnswer,
    responses=documented(400, 503, model=RefusedAnswer),
    summary="Lift all blocks",
)
@needs(Scope.BLOCK)
def clear_blocks(services: Shared, note: Noted, caller: Called) -> UnblockedAnswer:
    """Let everybody go, and take everything of spanwatch's out of the firewall."""
    note.action, note.target = "block.clear", services.defence.kind.value
    with _refusing():
        ended = services.defence.clear(caller.who)
    note.details = {"addresses": [row.ip for row in ended]}
    message = "1 block lifted" if len(ended) == 1 else f"{len(ended)} blocks lifted"
    now_ns = time.time_ns()
    return UnblockedAnswer(
        message=message, was_blocked=bool(ended), blocks=[BlockAnswer.of(row, now_ns) for row in ended]
    )


@router.get(
    "/block/{ip}",
    response_model=OneBlockAnswer,
    responses=documented(400, 404, model=RefusedAnswer),
    summary="Block of an address",
)
def read_block(services: Shared, ip: Ip) -> OneBlockAnswer:
    """Say how an address's newest block stands."""
    with _refusing():
        address = parse_address(ip)
    standing = next((one for one in services.defence.standing() if one.row.ip == str(address)), None)
    row = standing.row if standing else queries.newest_block(services.store, services.settings.sensor, str(address))
    if row is None:
        raise Refusal(404, "Not Found", "This address was never blocked.")
    return OneBlockAnswer(block=BlockAnswer.of(row, time.time_ns(), standing))


@router.post(
    "/block/{ip}",
    response_model=BlockedAnswer,
    responses=documented(400, 409, 503, model=RefusedAnswer),
    summary="Block an address",
)
@needs(Scope.BLOCK)
def block(
    services: Shared, note: Noted, caller: Called, ip: Ip, duration: Duration = None, reason: Reason = ""
) -> BlockedAnswer:
    """Cut an address off for a time.

    This machine's own addresses, its gateways, the stack's servers and the allow-listed networks are refused. An
    address that is blocked already stays so for longer, never shorter. With the default firewall, `dry-run`, nothing
    is cut off.
    """
    settings, defence = services.settings, services.defence
    seconds = duration or min(settings.defence_block_s, settings.defence_longest_s)
    note.action, note.target = "block.add", ip
    note.details = {"seconds": seconds, "reason": reason, "firewall": defence.kind.value}
    with _refusing():
        address = parse_address(ip)
        note.target = str(address)
        defence.guard.check(address, caller.address)
        if seconds > settings.defence_longest_s:
            raise Refusal(400, "Bad Request", f"A block may last {settings.defence_longest_s:g} s at most.")
        row, is_new = defence.block(Order(address, seconds, caller.who, reason))
    standing = next((one for one in defence.standing() if one.row.block_id == row.block_id), None)
    answer = BlockAnswer.of(row, time.time_ns(), standing)
    return BlockedAnswer(message="IP blocked successfully", is_new=is_new, block=answer)


@router.post("/block/{ip}/{prefix}", include_in_schema=False)
@needs(Scope.BLOCK)
def block_network(ip: str, prefix: str) -> None:
    """Refuse a network in plain words."""
    with _refusing():
        parse_address(f"{ip}/{prefix}")


@router.delete(
    "/block/{ip}",
    response_model=UnblockedAnswer,
    responses=documented(400, 503, model=RefusedAnswer),
    summary="Let an address go",
)
@needs(Scope.BLOCK)
def unblock(services: Shared, note: Noted, caller: Called, ip: Ip) -> UnblockedAnswer:
    """End an address's block before its time; when it is not blocked, there is nothing to do."""
    note.action, note.target = "block.remove", ip
    with _refusing():
        address = parse_address(ip)
        note.target = str(address)
        ended = services.defence.unblock(address, caller.who)
    now_ns = time.time_ns()
    message = "IP unblocked successfully" if ended else "IP was not blocked"
    return UnblockedAnswer(
        message=message, was_blocked=bool(ended), blocks=[BlockAnswer.of(row, now_ns) for row in ended]
    )


@router.get(
    "/preview/{ip}",
    response_model=PreviewAnswer,
    responses=documented(400, model=RefusedAnswer),
    summary="Who would be cut off",
)
def preview(services: Shared, ip: Ip, caller: Called, hours: Hours = 24, capture: Capture = None) -> PreviewAnswer:
    """Say with whom an address had to do, in the last hours or in a whole capture, and whether it may be blocked."""
    with _refusing():
        address = parse_address(ip)
    from_ns = 0 if capture else time.time_ns() - round(hours * 3600 * NS_PER_S)
    looked = queries.Looked(str(address), from_ns, capture or "")
    total = queries.totals(services.store, looked)
    defence = services.defence
    return PreviewAnswer.model_validate(
        {
            "ip": str(address),
            "from": iso_ns(from_ns),
            "refusal": _refused(services, address, caller.address),
            "is_blocked": any(one.row.ip == str(address) for one in defence.standing()),
            "firewall": defence.kind,
            "is_dry_run": defence.kind is FirewallKind.DRY_RUN,
            "hosts": total.hosts,
            "total": traffic_of(total),
            "peers": [PeerAnswer.of(peer) for peer in queries.peers(services.store, looked, MAX_PEERS)],
        }
    )


@router.get("/policy", response_model=PolicyAnswer, summary="Policy")
def read_policy(services: Shared) -> PolicyAnswer:
    """Say whether addresses are blocked by themselves, and by which rules."""
    return PolicyAnswer.of(services.settings)


def _refused(services: Services, address: Address, asked_from: str) -> str:
    try:
        services.defence.guard.check(address, asked_from)
    except AddressRefusedError as error:
        return str(error)
    return ""
