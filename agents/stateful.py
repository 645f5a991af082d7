"""Agents with state: what is open on each partition, and when its offset may move."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from confluent_kafka import Producer

from agents.app import Event, FaustApp, Received, Stream, TopicPartition, add_agent
from agents.held import HeldMessages
from infra.kafka import flush
from infra.settings import Settings
from schemas.errors import WireError
from schemas.topics import Topic

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_ENDED = 1000
"""Captures remembered after their end."""


class OpenCaptures(Generic[T]):
    """What a stage keeps of each capture on each partition, until the capture ends there.

    A request that two workers read after a rebalance is sent twice; the slower one's tail comes after the
    end and must not open the capture again, so the newest ``MAX_ENDED`` ends are remembered.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[int, str], T] = {}
        self._ended: dict[tuple[int, str], None] = {}

    def get(self, partition: int, capture_id: str, make: Callable[[], T]) -> T | None:
        """Return what is kept of a capture, made when it is new, or None when it has ended."""
        key = (partition, capture_id)
        if key in self._ended:
            return None
        if key not in self._open:
            self._open[key] = make()
        return self._open[key]

    def end(self, partition: int, capture_id: str) -> None:
        """Forget what is kept of a capture, and remember that it has ended."""
        key = (partition, capture_id)
        self._open.pop(key, None)
        self._ended[key] = None
        if len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]

    def is_idle(self, partition: int) -> bool:
        """Whether no capture is open on a partition."""
        return all(open_partition != partition for open_partition, _ in self._open)

    def drop(self, partitions: set[int]) -> None:
        """Forget partitions that another worker has now."""
        self._open = {key: kept for key, kept in self._open.items() if key[0] not in partitions}
        self._ended = {key: None for key in self._ended if key[0] not in partitions}


class Stage(Protocol):
    """An operator for each capture, and what it sends."""

    def take(self, message: Received) -> bool:
        """Process one message; return whether no capture is open on its partition any more."""

    def drop(self, partitions: set[int]) -> None:
        """Forget partitions that another worker has now."""


def add_stateful_agent(app: FaustApp, settings: Settings, topic: Topic, stage: Stage, producer: Producer) -> None:
    """Connect a stage to its topic; a partition's offset moves when nothing is open on it.

    Parameters
    ----------
    producer : confluent_kafka.Producer
        What the stage sends with; it is flushed before the offset moves.
    """
    held = HeldMessages()
    name = settings.topic_name(topic)

    async def agent(stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        async for event in stream.noack().events():
            is_idle = await loop.run_in_executor(None, _take, stage, event)
            if is_idle:
                await loop.run_in_executor(None, flush, producer)
            held.hold(event)
            if is_idle:
                held.release(event.message.partition)

    async def on_revoked(*_sender: Any, revoked: set[TopicPartition] | None = None, **_more: Any) -> None:
        partitions = {tp.partition for tp in revoked or () if tp.topic == name}
        stage.drop(partitions)
        held.forget(partitions)

    app.on_partitions_revoked.connect(on_revoked, weak=False)
    add_agent(app, settings, topic, agent, topic.name)


def _take(stage: Stage, event: Event) -> bool:
    """Process an event; what cannot be understood is logged and passed over."""
    message = Received.of(event)
    try:
        return stage.take(message)
    except WireError:
        log.exception("skipped %s", message)
        return False
