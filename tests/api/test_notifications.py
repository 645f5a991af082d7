from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from api.feed import Feed
from api.notifications import FIRST_RETRY_S, GIVE_UP_S, Notifications, load_saved
from api.notify_targets import targets_of
from infra.settings import Settings
from infra.store import Store
from schemas.enums import ModelRole
from schemas.models import DRIFT_SCHEMA, RoleAction, RoleChange
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.receivers import MailServer, Webhook, serving
from tests.api.stack import running, settings_in, until


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    server = Webhook()
    with serving(server):
        yield server


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


def tell(
    store: Store, settings: Settings, clock: Clock, *steps: Callable[[], None], until_told: Callable[[], bool]
) -> Notifications:
    """Run notifications while some steps are taken, until what is expected has been told."""

    async def run() -> Notifications:
        feed = Feed(store, heartbeat_s=0.2, poll_s=0.01)
        targets = targets_of(settings)
        notifications = Notifications(feed, store, settings, targets, clock, tick_s=0.01, models_s=0.2)
        task = asyncio.create_task(notifications.run())
        while not feed.is_polling:
            await asyncio.sleep(0.01)
        for step in steps:
            await asyncio.to_thread(step)
        await asyncio.to_thread(until, until_told)
        task.cancel()
        await asyncio.wait({task})
        return notifications

    return asyncio.run(run())


def outcomes(notifications: Notifications) -> dict[str, float]:
    [family] = notifications.collect()
    return {sample.labels["outcome"]: sample.value for sample in family.samples}


def insert_drift(store: Store, number: int) -> None:
    """Say that the mean confidence of a model has changed, the n-th time."""
    values = {
        "model": "aaaaaaaaaaaa",
        "signal": "confidence",
        "version": number,
        "windows": 100,
        "verdicts": 5_000,
        "mean": 0.6,
        "before": 0.9,
        "changes": number,
        "changed_ns": 1_700_000_000_000_000_000 + number,
        "changed_capture": "c",
    }
    store.insert("model_drift", pa.Table.from_pylist([values], schema=DRIFT_SCHEMA), f"drift:{number}")


def switch(store: Store, number: int, fingerprint: str, previous: str) -> None:
    """Make a model the champion, the n-th time."""
    change = RoleChange(
        role=ModelRole.CHAMPION,
        changed_ns=number,
        fingerprint=fingerprint,
        previous=previous,
        changed_by="alice",
        action=RoleAction.PROMOTE,
        reason="it agrees",
    )
    store.insert("model_roles", change.stored(), f"role:{number}")


def insert(store: Store, incident: int, count: int = 1, **changed: Any) -> None:
    values = {"incident_id": f"{incident:016x}", "incident_count": count, "anomaly_id": f"{incident:08x}{count:08x}"}
    insert_anomalies(store, anomaly_values("c", count, **{**values, "message": f"Scan {incident}", **changed}))


def test_an_incident_is_posted_once_and_not_again_after_a_restart(
    store: Store, tmp_path: Path, webhook: Webhook
) -> None:
    settings, clock = settings_in(tmp_path, notify_urls=webhook.url), Clock()

    def found(incident: int, count: int) -> Callable[[], None]:
        return lambda: insert(store, incident, count)

    def posted(count: int) -> Callable[[], bool]:
        # Also noted: between the two a stop would have it posted once more.
        return lambda: len(webhook.posted) == count and not load_saved(tmp_path / "state" / "notifications.json").outbox

    tell(store, settings, clock, found(1, 1), found(1, 2), found(2, 1), until_told=posted(2))
    assert webhook.titles == ["[high] port scan"] * 2
    assert [body["message"].splitlines()[0] for body in webhook.posted] == ["Scan 1", "Scan 2"]
    assert webhook.posted[0]["type"] == "failure"

    insert(store, 3)  # while nobody looked
    insert(store, 1, 3)
    tell(store, settings, clock, found(2, 10), until_told=posted(4))
    assert [body["message"].splitlines()[0] for body in webhook.posted[2:]] == ["Scan 3", "Scan 2"]
    assert webhook.titles[3] == "[high] port scan goes on: 10 anomalies"

    clock.now_s += 3600
    tell(store, settings, clock, until_told=posted(7))
    assert sorted(webhook.titles[4:]) == [
        "[ended] port scan: 1 anomaly",
        "[ended] port scan: 10 anomalies",
        "[ended] port scan: 3 anomalies",
    ]


def test_what_fails_is_tried_again_later_and_later(store: Store, tmp_path: Path, webhook: Webhook) -> None:
    settings, clock = settings_in(tmp_path, notify_urls=webhook.url), Clock()
    webhook.statuses = [500, 503]

    state = tmp_path / "state" / "notifications.json"

    def later(failures: int, seconds: float) -> Callable[[], None]:
        def step() -> None:
            until(lambda: [waiting.failures for waiting in load_saved(state).outbox] == [failures])
            clock.now_s += seconds

        return step

    told = tell(
        store,
        settings,
        clock,
        lambda: insert(store, 1),
        later(1, FIRST_RETRY_S),
        later(2, 2 * FIRST_RETRY_S),
        until_told=lambda: bool(webhook.posted) and not load_saved(state).outbox,
    )
    assert outcomes(told) == {"sent": 1, "failed": 2, "held_back": 0}


def test_a_message_that_waits_outlives_a_restart_and_is_given_up_after_a_day(
    store: Store, tmp_path: Path, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    clock, state = Clock(), tmp_path / "state" / "notifications.json"
    nobody = "json://127.0.0.1:9/T0PSECRETPATH"
    both = settings_in(tmp_path, notify_urls=f"{webhook.url}, {nobody}")

    def has_failed() -> bool:
        return [len(w.to) for w in load_saved(state).outbox if w.failures] == [1]

    tell(store, both, clock, lambda: insert(store, 1), until_told=has_failed)
    assert len(webhook.posted) == 1
    assert "T0PSECRETPATH" not in state.read_text()
    assert "hunter2secret" not in state.read_text()
    assert state.stat().st_mode & 0o777 == 0o600
    clock.now_s += GIVE_UP_S
    with caplog.at_level(logging.ERROR, logger="api.notifications"):
        tell(store, both, clock, until_told=lambda: len(load_saved(state).outbox) <= 1 and "given up" in caplog.text)
    assert [body["message"].splitlines()[0] for body in webhook.posted if "ended" not in body["title"]] == ["Scan 1"]


def test_nothing_secret_is_logged(
    store: Store, tmp_path: Path, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.statuses = [500]
    settings = settings_in(tmp_path, notify_urls=f"{webhook.url} nonsense://T0PSECRETPATH")
    with caplog.at_level(logging.DEBUG, logger="api"):
        tell(store, settings, Clock(), lambda: insert(store, 1), until_told=lambda: "was not notified" in caplog.text)
    assert "number 2: A notification URL is not one that apprise understands" in caplog.text
    assert "JSON at 127.0.0.1 was not notified" in caplog.text
    assert "hunter2secret" not in caplog.text
    assert "T0PSECRETPATH" not in caplog.text
    assert "hunter2secret" not in repr(settings)


def test_drift_and_a_switch_of_the_champion_are_told_once(store: Store, tmp_path: Path, webhook: Webhook) -> None:
    settings, clock = settings_in(tmp_path, notify_urls=webhook.url), Clock()
    state = tmp_path / "state" / "notifications.json"
    insert_drift(store, 1)
    switch(store, 1, "aaaaaaaaaaaa", "")

    def has_begun() -> None:
        until(lambda: load_saved(state).models.has_begun)

    def told(count: int) -> Callable[[], bool]:
        return lambda: len(webhook.posted) == count and not load_saved(state).outbox

    new_drift, new_champion = partial(insert_drift, store, 2), partial(switch, store, 2, "bbbbbbbbbbbb", "aaaaaaaaaaaa")
    tell(store, settings, clock, has_begun, new_drift, new_champion, until_told=told(2))
    assert sorted(webhook.titles) == ["[model] bbbbbbbbbbbb judges from now on", "[model] drift"]
    drift = next(body for body in webhook.posted if "drift" in body["title"])
    assert drift["type"] == "warning"
    assert "confidence, how sure it is, has changed from 0.900 to 0.600 on average" in drift["message"]

    insert_drift(store, 3)  # while nobody looked
    tell(store, settings, clock, until_told=told(3))
    assert webhook.titles[2] == "[model] drift"


def test_who_does_not_want_to_hear_of_models_does_not(store: Store, tmp_path: Path, webhook: Webhook) -> None:
    settings, state = settings_in(tmp_path, notify_urls=webhook.url), tmp_path / "state" / "notifications.json"
    tell(store, settings, Clock(), until_told=lambda: load_saved(state).models.has_begun)
    insert_drift(store, 1)
    silent = settings_in(tmp_path, notify_urls=webhook.url, notify_models=False)
    tell(store, silent, Clock(), lambda: insert(store, 1), until_told=lambda: bool(webhook.posted))
    assert webhook.titles == ["[high] port scan"]


def test_mail_arrives_at_a_mail_server(store: Store, tmp_path: Path) -> None:
    server = MailServer()
    with serving(server):
        settings = settings_in(tmp_path, notify_urls=server.url)
        tell(store, settings, Clock(), lambda: insert(store, 1), until_told=lambda: bool(server.mails))
    assert "Subject: [high] port scan" in server.mails[0]
    assert "To: people@example.org" in server.mails[0]


def test_the_service_tells_while_it_runs(store: Store, tmp_path: Path, webhook: Webhook) -> None:
    with running(settings_in(tmp_path, notify_urls=webhook.url), store) as stack:
        until(lambda: 'subscribers{state="live"} 1.0' in stack.http.get("/metrics").text)
        insert(store, 1)
        until(lambda: bool(webhook.posted))
        until(lambda: 'spanwatch_notifications_total{outcome="sent"} 1.0' in stack.http.get("/metrics").text)


def test_a_state_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "notifications.json"
    path.write_text('{"cursor": 7')
    assert load_saved(path).cursor == ""
