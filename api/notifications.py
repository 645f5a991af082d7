"""Notifications: reads the feed as any subscriber does, looks at the models, decides what is told, and sends it.

What was decided is on disk before it is sent, and that it was sent is on disk right after: a message is delivered at
least once, and again only when the process dies in the moment between the two.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel, Field, ValidationError

from api import queries_models
from api.anomaly_answers import AnomalyAnswer
from api.cursor import Cursor, Kind
from api.feed import Feed
from api.notify_models import ModelsState, ModelWatch
from api.notify_policy import Note, Policy, PolicyState
from api.notify_targets import Target, targets_of
from api.subscription import Filter, Message
from api.telemetry import Telemetry
from infra.settings import Settings
from infra.store import Store
from schemas.errors import SpanwatchError

log = logging.getLogger(__name__)

TICK_S = 1.0
"""How often waiting messages and ended incidents are looked at."""

MODELS_S = 15.0
"""How often the models are looked at; drift is computed every 10 s."""

MOST_CHANGES = 50
"""Of roles, looked at each time."""

FIRST_RETRY_S = 5.0
"""Pause after a first failure; each further one doubles it."""

LAST_RETRY_S = 600.0
"""Longest pause between two tries."""

GIVE_UP_S = 86_400.0
"""A message that could not be delivered for a day is given up."""


class Waiting(BaseModel):
    """A message on its way.

    Attributes
    ----------
    to : list of str
        Keys of the services that have not got it yet.
    since_s, next_s : float
        When it was decided, and when it is tried next (wall clock), s since the epoch.
    """

    note: Note
    to: list[str]
    since_s: float
    next_s: float = 0.0
    failures: int = 0


class Saved(BaseModel):
    """Everything that must outlive a restart."""

    cursor: str = ""
    policy: PolicyState = Field(default_factory=PolicyState)
    models: ModelsState = Field(default_factory=ModelsState)
    outbox: list[Waiting] = Field(default_factory=list)


def load_saved(path: Path) -> Saved:
    """Return what was saved; the beginning when nothing was, or when it cannot be read."""
    try:
        return Saved.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Saved()
    except (OSError, ValidationError) as error:
        log.warning("%s cannot be read (%s): notifications begin anew", path.name, type(error).__name__)
        return Saved()


def save(path: Path, saved: Saved) -> None:
    """Write what must outlive a restart, whole or not at all; raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(saved.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


class Notifications(Collector):
    """The task beside the API; ``run`` it until it is cancelled.

    Parameters
    ----------
    feed : Feed
        Where anomalies come from.
    store : Store
        Where models are looked at.
    settings : Settings
        What is told, and where the state lies.
    targets : sequence of Target
        Whom to tell.
    clock : callable
        The time, s since the epoch.
    """

    def __init__(
        self,
        feed: Feed,
        store: Store,
        settings: Settings,
        targets: Sequence[Target],
        clock: Callable[[], float] = time.time,
        *,
        tick_s: float = TICK_S,
        models_s: float = MODELS_S,
    ) -> None:
        self._feed = feed
        self._store = store
        self._tells_models = settings.notify_models
        self._targets = {target.key: target for target in targets}
        self._path = settings.state / "notifications.json"
        self._saved = load_saved(self._path)
        self._policy = Policy(settings, self._saved.policy)
        self._models = ModelWatch(self._saved.models)
        self._writing = asyncio.Lock()
        self._clock = clock
        self._tick_s, self._models_s = tick_s, models_s
        self._outcomes: Counter[str] = Counter()

    async def run(self) -> None:
        """Read, decide and send, until cancelled."""
        if not self._targets:
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            tasks.create_task(self._send())
            if self._tells_models:
                tasks.create_task(self._watch_models())

    async def _read(self) -> None:
        """Follow the feed; begin again behind the last anomaly when it ends."""
        while True:
            try:
                await self._follow()
            except SpanwatchError as error:
                log.warning("notifications wait: %s", error)
            await asyncio.sleep(self._tick_s)

    async def _follow(self) -> None:
        cursor = None
        with suppress(ValueError):
            cursor = Cursor.parse(self._saved.cursor)
        subscription = await self._feed.subscribe(Filter(kinds=frozenset({Kind.ANOMALY})), cursor)
        try:
            async with aclosing(subscription.messages()) as messages:
                async for message in messages:
                    await self._take(message)
        finally:
            subscription.close()

    async def _take(self, message: Message) -> None:
        if message.name == Kind.ANOMALY:
            notes = self._policy.take(AnomalyAnswer.model_validate_json(message.data), self._clock())
            self._enqueue(notes)
        elif message.name == "reset":
            log.warning("notifications begin anew: the store is another one")
        self._saved.cursor = message.id
        await self._save()

    async def _watch_models(self) -> None:
        """Look now and then whether a model drifts, and whether another one judges."""
        while True:
            try:
                changes = await asyncio.to_thread(queries_models.changes, self._store, MOST_CHANGES)
                drift = await asyncio.to_thread(queries_models.drift, self._store)
            except SpanwatchError as error:
                log.warning("models are not looked at: %s", error)
            else:
                before = self._saved.models.model_copy(deep=True)
                notes = self._models.take(changes, drift)
                self._enqueue(self._policy.let_through(notes, "model", self._clock()))
                if self._saved.models != before:
                    await self._save()
            await asyncio.sleep(self._models_s)

    def _enqueue(self, notes: Sequence[Note]) -> None:
        now_s, everybody = self._clock(), list(self._targets)
        self._saved.outbox += [Waiting(note=note, to=everybody, since_s=now_s) for note in notes]

    async def _send(self) -> None:
        while True:
            now_s = self._clock()
            notes = self._policy.tick(now_s)
            self._enqueue(notes)
            if notes:
                await self._save()
            for waiting in [one for one in self._saved.outbox if one.next_s <= now_s]:
                await self._deliver(waiting)
            await asyncio.sleep(self._tick_s)

    async def _deliver(self, waiting: Waiting) -> None:
        """Try to deliver a message to everybody who has not got it yet."""
        # Who is no longer in the settings is told no more.
        waiting.to = [key for key in waiting.to if key in self._targets]
        for target in [self._targets[key] for key in waiting.to]:
            failed = await asyncio.to_thread(target.send, waiting.note)
            self._outcomes["failed" if failed else "sent"] += 1
            if failed:
                log.warning("%s was not notified: %s", target.shown, failed)
            else:
                waiting.to.remove(target.key)
                await self._save()
        now_s = self._clock()
        if waiting.to and now_s - waiting.since_s < GIVE_UP_S:
            waiting.next_s = now_s + min(FIRST_RETRY_S * 2**waiting.failures, LAST_RETRY_S)
            waiting.failures += 1
        else:
            self._saved.outbox.remove(waiting)
            if waiting.to:
                log.error("given up after a day: %s", waiting.note.title)
            else:
                log.info("notified: %s", waiting.note.title)
        await self._save()

    async def _save(self) -> None:
        try:
            async with self._writing:
                # Copied here, in the loop's thread: nothing changes while it is written.
                await asyncio.to_thread(save, self._path, self._saved.model_copy(deep=True))
        except OSError as error:
            log.error("the state of notifications cannot be written: %s", error.strerror)  # noqa: TRY400

    def collect(self) -> Iterator[Metric]:
        """Yield how many messages were sent, failed and were held back."""
        family = CounterMetricFamily("spanwatch_notifications", "Messages to people, by outcome.", labels=["outcome"])
        for outcome in ("sent", "failed"):
            family.add_metric([outcome], self._outcomes[outcome])
        family.add_metric(["held_back"], self._policy.held_back)
        yield family


@asynccontextmanager
async def notifying(feed: Feed, store: Store, settings: Settings, telemetry: Telemetry) -> AsyncIterator[None]:
    """Tell the configured services of anomalies and models as long as the context is open."""
    notifications = Notifications(feed, store, settings, targets_of(settings))
    with telemetry.collecting(notifications):
        task = asyncio.create_task(notifications.run())
        task.add_done_callback(_say_why)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


def _say_why(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("notifications have ended", exc_info=error)
