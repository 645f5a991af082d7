"""Agents with state: partitions whose state is kept in snapshots, so that their offsets can move."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from agents.app import Event, FaustApp, Received, Stream, TopicPartition, add_agent
from agents.held import Bodies, HeldMessages, bodies_of
from agents.sender import Sender
from agents.snapshots import Snapshot, Snapshots
from infra.settings import Settings
from infra.topic_reader import bounds, read_partition
from schemas.errors import WireError
from schemas.topics import Topic

log = logging.getLogger(__name__)

COST_SHARE = 0.05
"""Most of an agent's time that snapshots may take: where one takes long, the next comes later."""

STEP_S = 1.0
"""How long missed messages are read before a rebalance may come in between, s."""


class Stage(Protocol):
    """An operator for each capture, and what it sends.

    What it sends depends on the messages of a partition alone, never on the time or on other partitions: a state
    that is restored and fed the same messages sends the same messages under the same numbers.
    """

    def take(self, message: Received) -> bool:
        """Process one message; return whether no capture is open on its partition any more.

        Raises
        ------
        WireError
            When the message cannot be understood; nothing of it has been taken then.
        """

    def drop(self, partitions: set[int]) -> None:
        """Forget partitions that another worker has now."""

    def snapshot(self, partition: int) -> bytes | None:
        """Return everything that is kept of a partition, for ``restore``; None while that is too much."""

    def restore(self, partition: int, state: bytes) -> None:
        """Go on with a partition where the stage that returned ``state`` stopped.

        Raises
        ------
        WireError
            When the bytes are no state that this version can read.
        """


@dataclass
class _Place:
    """Where a partition stands.

    Parameters
    ----------
    position : int
        Offset of the last message that is in the state.
    saved : int
        Offset that the newest snapshot stands for; what is not later may be committed.
    due_s : float
        When the next snapshot is due, by the monotonic clock.
    """

    position: int
    saved: int
    due_s: float


class StatefulPartitions:
    """The partitions of one stage: each brought up to date, fed and snapshot.

    The place of a partition is decided by the offset in its snapshot. The offset that is committed only says what
    Kafka sends next: what it sends again is passed over, what it does not send is read. So snapshot and commit
    need not be atomic, and a snapshot of a worker that has lost the partition costs reading, not rows.

    Parameters
    ----------
    topic : str
        The input, by its name on the broker.
    pause_s : float
        Least time between two snapshots of a partition, s.
    """

    def __init__(self, settings: Settings, topic: str, stage: Stage, snapshots: Snapshots) -> None:
        self._settings = settings
        self._topic = topic
        self._stage = stage
        self._snapshots = snapshots
        self._pause_s = settings.snapshot_s
        self._places: dict[int, _Place] = {}

    def take(self, message: Received) -> bool:
        """Bring the message's partition up to it; return False when more time is needed: call again.

        Raises
        ------
        BrokerError
            Kafka did not take what was sent, or cannot be read.
        """
        partition, offset = message.partition, message.offset
        place = self._places.get(partition)
        if place is None or place.position < offset - 1:
            place = self._open(partition, offset, place)
        if place.position < offset - 1 and not self._catch_up(place, partition, offset):
            return False
        if place.position < offset:
            self._feed(place, message)
        return True

    def saved(self, partition: int) -> int:
        """Return the offset up to which a partition is safe, -1 for nothing."""
        place = self._places.get(partition)
        return -1 if place is None else place.saved

    def save(self, partition: int, *, is_idle: bool = False) -> None:
        """Write a snapshot of a partition that has been opened."""
        place = self._places[partition]
        began_s = time.monotonic()
        state = self._stage.snapshot(partition)
        if state is not None:
            self._snapshots.save(partition, Snapshot(place.position, state), is_only=is_idle)
            place.saved = place.position
            log.debug("snapshot of %s[%d] at offset %d: %d bytes", self._topic, partition, place.saved, len(state))
        now_s = time.monotonic()
        place.due_s = now_s + max(self._pause_s, (now_s - began_s) / COST_SHARE)

    def open(self, partition: int) -> None:
        """Load a partition's state without a message of its own, when it is not there yet."""
        if partition not in self._places:
            self._open(partition, None, None)

    def drop(self, partitions: set[int]) -> None:
        """Forget partitions that another worker has now."""
        self._stage.drop(partitions)
        for partition in partitions:
            self._places.pop(partition, None)

    def _open(self, partition: int, offset: int | None, known: _Place | None) -> _Place:
        """Load the newest snapshot, unless what is in memory is newer; return where the partition stands then."""
        try:
            start = self._load(partition)
            if known is not None and (start is None or start.offset <= known.position):
                return known
            self._stage.drop({partition})
            if start is not None:
                self._stage.restore(partition, start.state)
                log.info("%s[%d] goes on behind offset %d", self._topic, partition, start.offset)
        except WireError as error:
            log.error(  # noqa: TRY400 - the sentence says it all
                "the state of %s[%d] cannot be used: %s. The partition is computed again from what Kafka still has",
                self._topic, partition, error,
            )  # fmt: skip
            if known is not None:
                return known
            self._stage.drop({partition})
            start, offset = None, None
        saved = -1 if start is None else start.offset
        if start is None:
            # Without a snapshot nothing was open when the offset was committed.
            saved = (bounds(self._settings, self._topic, partition)[0] if offset is None else offset) - 1
        place = _Place(saved, saved, time.monotonic() + self._pause_s)
        self._places[partition] = place
        return place

    def _load(self, partition: int) -> Snapshot | None:
        """Return the newest snapshot; raises ``WireError`` when what there is cannot be of this topic."""
        found = self._snapshots.load(partition)
        if found is not None:
            end = bounds(self._settings, self._topic, partition)[1]
            if found.offset >= end:
                raise WireError(f"a snapshot of offset {found.offset}, and the topic ends at {end}: it was made anew")
        return found

    def _catch_up(self, place: _Place, partition: int, before: int) -> bool:
        """Feed what Kafka has between the state and the next message; return whether that is done."""
        end_s = time.monotonic() + STEP_S
        for message in read_partition(self._settings, self._topic, partition, place.position + 1, before):
            self._feed(place, Received.of_message(message))
            if time.monotonic() > end_s:
                return False
        # What Kafka has deleted is gone: the ledger tells of it.
        place.position = before - 1
        return True

    def _feed(self, place: _Place, message: Received) -> None:
        """Have the stage process a message; what cannot be understood is logged and passed over."""
        is_idle = False
        try:
            is_idle = self._stage.take(message)
        except WireError:
            log.exception("skipped %s", message)
        place.position = message.offset
        if is_idle or time.monotonic() >= place.due_s:
            self.save(message.partition, is_idle=is_idle)


class StatefulAgent:
    """Connects a stage's partitions to Faust: one message at a time, offsets released by snapshots."""

    def __init__(self, topic: str, partitions: StatefulPartitions, bodies: Bodies) -> None:
        self._topic = topic
        self._partitions = partitions
        self._held = HeldMessages(bodies)
        self._assigned: set[int] | None = None
        self._lock = asyncio.Lock()

    async def run(self, stream: Stream) -> None:
        """Process a stream until it ends."""
        async for event in stream.noack().events():
            message = Received.of(event)
            while not await self._process(event, message):
                pass

    async def call(self, work: Callable[[], None]) -> None:
        """Do something with the partitions between two messages."""
        async with self._lock:
            await asyncio.get_running_loop().run_in_executor(None, work)

    async def _process(self, event: Event, message: Received) -> bool:
        """Process an event, or a part of what lies before it; return whether it is done."""
        async with self._lock:
            partition = message.partition
            if self._assigned is not None and partition not in self._assigned:
                return True
            loop = asyncio.get_running_loop()
            if not await loop.run_in_executor(None, self._partitions.take, message):
                return False
            self._held.hold(event)
            self._held.release(partition, self._partitions.saved(partition))
            return True

    async def on_revoked(self, *told: Any, **_more: Any) -> None:
        """Forget the messages of partitions that go: whoever has them next gets them again."""
        async with self._lock:
            self._held.forget(self._own(told))

    async def on_assigned(self, *told: Any, **_more: Any) -> None:
        """Forget the state of partitions that did not come back."""
        async with self._lock:
            before, self._assigned = self._assigned or set(), self._own(told)
            self._partitions.drop(before - self._assigned)

    def _own(self, told: tuple[FaustApp, set[TopicPartition]]) -> set[int]:
        """Return our partitions among those that Faust's signal is about."""
        _, partitions = told
        return {tp.partition for tp in partitions if tp.topic == self._topic}


def add_stateful_agent(
    app: FaustApp, settings: Settings, topic: Topic, stage: Stage, sender: Sender
) -> tuple[StatefulAgent, StatefulPartitions]:
    """Connect a stage to its topic; return what a second agent needs to work with the same state.

    Several stages may read one topic: each has its own snapshots, under the name of its class, and a message's offset
    moves when all of them have let it go.

    Parameters
    ----------
    sender : Sender
        What the stage sends with: it is flushed before a snapshot is written.
    """
    name, stage_name = settings.topic_name(topic), type(stage).__name__
    partitions = StatefulPartitions(settings, name, stage, Snapshots(settings, stage_name, sender))
    bodies = bodies_of(app)
    bodies.add_reader(name)
    agent = StatefulAgent(name, partitions, bodies)
    app.on_partitions_revoked.connect(agent.on_revoked, weak=False)
    app.on_partitions_assigned.connect(agent.on_assigned, weak=False)
    add_agent(app, settings, topic, agent.run, f"{topic.name}-{stage_name}")
    return agent, partitions
