"""Blocks that end by themselves: the audit says so once, whoever was there to see it."""

from __future__ import annotations

import json
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from api.defence import Defence
from api.defence_policy import Order
from infra.settings import Settings
from infra.store import Store
from schemas.blocks import BlockState
from tests.api.stack import S, running, settings_in
from tests.infra.namespaces import until

ATTACKER = ip_address("203.0.113.7")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_ns = time.time_ns()

    def __call__(self) -> int:
        return self.now_ns


def ends(store: Store) -> list[dict[str, Any]]:
    return store.query(
        "SELECT at_ns, who, target, outcome, details FROM audit WHERE action = 'block.expire' ORDER BY at_ns"
    )


def test_a_block_whose_time_is_over_is_in_the_audit_once_with_when_what_and_who(
    store: Store, settings: Settings
) -> None:
    clock = Clock()
    defence = Defence(settings, store, clock)
    row, _ = defence.block(Order(ATTACKER, 60.0, "ann", reason="it scans"))
    assert defence.note_ends() == []
    clock.now_ns += 61 * S
    [ended] = defence.note_ends()
    assert (ended.block_id, ended.state, ended.ended_by, ended.ended_ns) == (
        row.block_id, BlockState.EXPIRED, "time-out", row.expires_ns,
    )  # fmt: skip
    assert defence.note_ends() == []
    [entry] = ends(store)
    assert (entry["at_ns"], entry["who"], entry["target"], entry["outcome"]) == (
        row.expires_ns, "time-out", "203.0.113.7", "done",
    )  # fmt: skip
    said = json.loads(entry["details"])
    assert (said["blocked_by"], said["reason"], said["block_id"]) == ("ann", "it scans", row.block_id)


def test_what_ended_while_the_service_was_away_is_noted_at_its_next_start_with_its_own_time(
    store: Store, settings: Settings
) -> None:
    clock = Clock()
    row, _ = Defence(settings, store, clock).block(Order(ATTACKER, 60.0, "ann"))
    Defence(settings, store, clock).block(Order(ip_address("2001:db8::9"), 7200.0, "ann"))
    clock.now_ns += 3600 * S
    later = Defence(settings, store, clock)
    assert [ended.block_id for ended in later.note_ends()] == [row.block_id]
    assert [entry["at_ns"] for entry in ends(store)] == [row.expires_ns]


def test_a_block_that_somebody_lifted_does_not_expire(store: Store, settings: Settings) -> None:
    clock = Clock()
    defence = Defence(settings, store, clock)
    defence.block(Order(ATTACKER, 60.0, "ann"))
    defence.clear("bob")
    clock.now_ns += 61 * S
    assert defence.note_ends() == []
    assert ends(store) == []


def test_the_service_notes_ends_by_itself(store: Store, settings: Settings) -> None:
    with running(settings, store) as stack:
        stack.http.post(f"/active-defense/block/{ATTACKER}", params={"duration": 1})

        def block() -> dict[str, Any]:
            return dict(stack.http.get(f"/active-defense/block/{ATTACKER}").json()["block"])

        # The audit is written first.
        until(lambda: bool(block()["ended_by"]))
        assert (block()["state"], block()["ended_by"], block()["remaining_s"]) == ("expired", "time-out", 0.0)
        assert len(ends(store)) == 1
