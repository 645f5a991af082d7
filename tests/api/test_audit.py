from __future__ import annotations

import asyncio
import logging

import pytest

from api.audit import AuditTrail
from api.queries_audit import AuditBehind, AuditFilter, AuditRow, audit
from infra.store import Store
from schemas.audit import AuditEntry, AuditOutcome
from tests.api.stack import folder_of


def entries(store: Store, who: str) -> list[AuditRow]:
    return audit(store, AuditFilter(who=who), AuditBehind(), 100, 0)


def entry(who: str, outcome: AuditOutcome = AuditOutcome.DONE) -> AuditEntry:
    return AuditEntry("block.add", "10.0.0.9", who, outcome, details={"seconds": 600})


def test_a_row_is_in_the_store_when_its_caller_goes_on(store: Store) -> None:
    trail = AuditTrail(store)

    async def act() -> int:
        await asyncio.gather(*(trail.write(entry("trail-1")) for _ in range(5)))
        return len(entries(store, "trail-1"))

    assert asyncio.run(act()) == 5
    trail.close()


def test_refused_calls_are_handed_over_and_written_at_the_end(store: Store) -> None:
    trail = AuditTrail(store)

    async def refuse() -> None:
        for _ in range(50):
            await trail.write(entry("trail-2", AuditOutcome.REFUSED))

    asyncio.run(refuse())
    trail.close()
    assert len(entries(store, "trail-2")) == 50
    trail.close()


def test_what_the_store_does_not_take_is_in_the_log(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    gone = Store.open(f"chdb://{folder_of(store)}")
    gone.close()
    trail = AuditTrail(gone)
    with caplog.at_level(logging.ERROR):
        asyncio.run(trail.write(entry("trail-3")))
    trail.close()
    assert "trail-3" in caplog.text
    assert not entries(store, "trail-3")
