"""A Faust application of ours, and how it is run."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import faust
from confluent_kafka import Message

from agents.membership import Membership
from agents.transport import App, abandon
from infra.broker import bootstrap_servers
from infra.settings import Settings
from infra.topic_reader import headers_of, octets
from schemas.errors import WireError
from schemas.topics import Topic

FaustApp: TypeAlias = faust.App
Stream: TypeAlias = faust.Stream[bytes]
Event: TypeAlias = faust.EventT[bytes]
TopicPartition: TypeAlias = faust.types.TP

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Received:
    """One message as a stage sees it.

    Parameters
    ----------
    topic : str
        Name on the broker.
    partition, offset : int
        Its position.
    headers : mapping of str to bytes
        Kafka headers.
    body : bytes
        Empty when there is none.
    """

    topic: str
    partition: int
    offset: int
    headers: Mapping[str, bytes]
    body: bytes

    @classmethod
    def of(cls, event: Event) -> Received:
        """Return the message of an event."""
        message = event.message
        headers = {name: value or b"" for name, value in dict(message.headers or {}).items()}
        return cls(message.topic, message.partition, message.offset, headers, message.value or b"")

    @classmethod
    def of_message(cls, message: Message) -> Received:
        """Return a message as confluent-kafka hands it over."""
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if topic is None or partition is None or offset is None:
            raise WireError("a message that does not say where it stood")
        return cls(topic, partition, offset, headers_of(message), octets(message.value()))

    def __str__(self) -> str:
        """Where it stood, for log lines."""
        return f"{self.topic}[{self.partition}] offset {self.offset}"


MAX_WAITING_MESSAGES = 4
"""Messages that Faust may hold for one agent: a batch is up to 27 MB."""

FETCH_BYTES = 8 * 1024 * 1024
"""Bytes of a partition that are fetched at once. A larger message still comes, alone (KIP-74), so this bounds only how
much waits in memory."""

SESSION_TIMEOUT_S = 10
HEARTBEAT_S = 2
REBALANCE_TIMEOUT_S = 30
"""How long a rebalance waits for a member that finishes a message; one that takes longer comes back later."""

REQUEST_TIMEOUT_S = 40
"""How long a broker may take to answer: longer than a rebalance, because that is when a request to join is answered."""

METADATA_AGE_S = 5
"""How old may be what a consumer knows about who leads a partition, s.

aiokafka asks anew when a connection breaks or a fetch is refused, but not when a question for a first offset is
(``Fetcher._update_fetch_positions``): a partition whose leader has moved would stand still for Faust's 5 minutes.
"""

LOOK_S = 0.5
"""Pause between two looks whether an application still runs and has its place in its group, s."""

RESTART_S = 1.0
"""Pause before an application that failed is made again, s."""

STOP_S = 2.0
"""How long an application may take to stop, s; what was not committed is done again after the start."""


def make_app(settings: Settings, name: str) -> FaustApp:
    """Return a Faust application named ``name``; so is its consumer group, behind the prefix."""
    datadir = settings.state / "faust" / name
    datadir.mkdir(parents=True, exist_ok=True)
    return App(
        settings.group_name(name),
        broker=[f"aiokafka://{server}" for server in bootstrap_servers(settings).split(",")],
        # Whoever asks Kafka who has which partitions is told the process, too.
        broker_client_id=client_id(settings, name, os.getpid()),
        datadir=datadir,
        autodiscover=False,
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_BYTES,
        consumer_metadata_max_age_ms=METADATA_AGE_S * 1000,
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=HEARTBEAT_S,
        broker_rebalance_timeout=REBALANCE_TIMEOUT_S,
        broker_request_timeout=REQUEST_TIMEOUT_S,
        broker_commit_interval=0.5,
        broker_max_poll_records=MAX_WAITING_MESSAGES,
        stream_buffer_maxsize=MAX_WAITING_MESSAGES,
        # Messages that await a snapshot stay unacknowledged; a rebalance must not wait for them.
        stream_wait_empty=False,
    )


def client_id(settings: Settings, name: str, pid: int) -> str:
    """Return what an application in a process of this machine calls itself towards Kafka."""
    return f"{settings.group_name(name)}-{pid}@{settings.sensor}"


def add_agent(
    app: FaustApp, settings: Settings, topic: Topic, handle: Callable[[Any], Awaitable[None]], name: str
) -> None:
    """Connect a coroutine over a stream of raw messages to a topic."""
    source = app.topic(settings.topic_name(topic), internal=False, value_type=bytes, key_type=bytes)
    app.agent(source, name=name)(handle)


async def run_app(app: FaustApp, stop: asyncio.Event, settings: Settings) -> None:
    """Run an application until ``stop`` is set or it fails.

    Raises
    ------
    Exception
        What an agent or the consumer failed with.
    BrokerError
        It has lost its place in its consumer group for good.
    """
    running = asyncio.ensure_future(_until_crash(app))
    member = asyncio.ensure_future(_until_lost(Membership(app, settings)))
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({running, member, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiting in (running, member, stopped):
            waiting.cancel()
        await _end(app)
    for ended in (running, member):
        if ended.done() and not ended.cancelled():
            ended.result()
    if app.crash_reason is not None:
        raise app.crash_reason


async def _until_crash(app: FaustApp) -> None:
    await app.start()
    while not app.crashed:
        await asyncio.sleep(LOOK_S)


async def _until_lost(membership: Membership) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        membership.check()


async def _end(app: FaustApp) -> None:
    """Stop an application; what does not stop in time is left, but for its membership.

    A stop that is cancelled goes on with the next part and may take minutes; ``asyncio.wait_for`` waits for that, too.
    """
    stopping = asyncio.ensure_future(app.stop())
    _, left = await asyncio.wait({stopping}, timeout=STOP_S)
    if left:
        log.warning("the agents of %s did not stop within %s s", app.conf.id, STOP_S)
        stopping.cancel()
    elif (error := stopping.exception()) is not None:
        log.warning("the agents of %s did not stop in order: %s", app.conf.id, error)
    abandon(app)


async def _end_tasks() -> None:
    """Cancel what applications that did not stop in time have left in this event loop."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=LOOK_S)


class AppThread:
    """A Faust application in a thread and an event loop of its own; started again when it fails.

    Parameters
    ----------
    make : callable
        Makes the application; called inside the thread, where its event loop runs.
    settings : Settings
        Where its Kafka is.
    """

    def __init__(self, make: Callable[[], FaustApp], settings: Settings) -> None:
        self._make = make
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="agents", daemon=True)

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Tell the application to stop; returns at once."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)

    def stop(self) -> None:
        """Stop the application and wait for the thread."""
        self.ask_to_stop()
        self._thread.join(STOP_S + 0.5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._keep_running())
            self._loop.run_until_complete(_end_tasks())
        finally:
            self._loop.close()

    async def _keep_running(self) -> None:
        while not self._stop.is_set():
            try:
                await run_app(self._make(), self._stop, self._settings)
            except Exception:
                log.exception("the agents ended; started again in %s s", RESTART_S)
                await asyncio.sleep(RESTART_S)
