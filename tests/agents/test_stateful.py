from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from itertools import islice
from uuid import uuid4

import pytest

from agents.app import Received
from agents.sender import Sender
from agents.snapshots import Snapshots
from agents.stateful import StatefulPartitions
from infra.kafka import flush, producer, send
from infra.settings import Settings, load_settings
from infra.topic_reader import read_partition
from infra.topics import create_topics
from schemas.errors import WireError
from schemas.topics import DAY_S, Topic


@dataclass
class Summing:
    """A stage that adds numbers up; an empty message is the end of what is open."""

    sums: dict[int, int] = field(default_factory=dict)
    taken: list[int] = field(default_factory=list)

    def take(self, message: Received) -> bool:
        if message.body == b"nonsense":
            raise WireError("no number")
        self.taken.append(message.offset)
        self.sums[message.partition] = self.sums.get(message.partition, 0) + int(message.body or 0)
        return not message.body

    def drop(self, partitions: set[int]) -> None:
        for partition in partitions:
            self.sums.pop(partition, None)

    def snapshot(self, partition: int) -> bytes | None:
        return str(self.sums[partition]).encode()

    def restore(self, partition: int, state: bytes) -> None:
        try:
            self.sums[partition] = int(state)
        except ValueError as error:
            raise WireError("no sum") from error


@dataclass
class Run:
    """A process with a summing stage, and its input."""

    settings: Settings
    topic: Topic
    snapshot_s: float = 300

    def __post_init__(self) -> None:
        self.stage = Summing()
        self.name = self.settings.topic_name(self.topic)
        # What decides when a snapshot is due; the broker is the same.
        paused = load_settings(state=self.settings.state, kafka="", partitions=2, snapshot_s=self.snapshot_s)
        self.snapshots = Snapshots(paused, self.topic.name, Sender(producer(paused)))
        self.partitions = StatefulPartitions(paused, self.name, self.stage, self.snapshots)

    def take(self, first: int, count: int = 1) -> None:
        """Take messages as Kafka delivers them from an offset on."""
        for message in islice(read_partition(self.settings, self.name, 0, first), count):
            while not self.partitions.take(Received.of_message(message)):
                pass


def topic_with(settings: Settings, *bodies: bytes) -> Topic:
    topic = Topic(f"numbers-{uuid4().hex}", True, DAY_S, False, "A topic of these tests.")
    create_topics(settings, [topic])
    out = producer(settings)
    for body in bodies:
        send(out, settings.topic_name(topic), body, partition=0)
    flush(out)
    return topic


def numbers(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(1, count + 1)]


def test_a_restart_goes_on_behind_the_snapshot(broker: Settings) -> None:
    topic = topic_with(broker, *numbers(10))
    first = Run(broker, topic)
    first.take(0, 6)
    first.partitions.save(0)
    first.take(6, 2)
    assert first.partitions.saved(0) == 5
    second = Run(broker, topic)
    second.take(3, 7)  # the commit was older than the snapshot
    assert second.stage.taken == [6, 7, 8, 9]
    assert second.stage.sums[0] == sum(range(1, 11))


def test_what_lies_between_the_snapshot_and_the_commit_is_read(broker: Settings) -> None:
    topic = topic_with(broker, *numbers(10))
    first = Run(broker, topic)
    first.take(0, 3)
    first.partitions.save(0)
    second = Run(broker, topic)
    second.take(8, 2)
    assert second.stage.taken == [3, 4, 5, 6, 7, 8, 9]
    assert second.stage.sums[0] == sum(range(1, 11))


def test_a_worker_that_gets_a_partition_back_takes_over_what_the_other_has_done(broker: Settings) -> None:
    topic = topic_with(broker, *numbers(10))
    first, second = Run(broker, topic), Run(broker, topic)
    first.take(0, 3)
    second.take(0, 7)
    second.partitions.save(0)
    first.take(7, 3)
    assert first.stage.taken == [0, 1, 2, 7, 8, 9]
    assert first.stage.sums[0] == sum(range(1, 11))


def test_a_partition_that_was_given_up_is_loaded_again(broker: Settings) -> None:
    topic = topic_with(broker, *numbers(4))
    run = Run(broker, topic)
    run.take(0, 2)
    run.partitions.save(0)
    run.partitions.drop({0})
    assert run.stage.sums == {}
    run.take(2, 2)
    assert run.stage.sums[0] == 10


def test_the_end_of_what_is_open_is_saved_at_once(broker: Settings) -> None:
    topic = topic_with(broker, b"1", b"2", b"", b"3")
    run = Run(broker, topic)
    run.take(0, 4)
    assert run.partitions.saved(0) == 2


def test_a_snapshot_is_written_when_it_is_due(broker: Settings) -> None:
    topic = topic_with(broker, *numbers(3))
    run = Run(broker, topic, snapshot_s=0.05)
    run.take(0, 1)
    time.sleep(2 * run.snapshot_s)
    run.take(1, 1)
    assert run.partitions.saved(0) == 1


def test_what_cannot_be_understood_is_passed_over(broker: Settings) -> None:
    topic = topic_with(broker, b"1", b"nonsense", b"2")
    run = Run(broker, topic)
    run.take(0, 3)
    assert run.stage.taken == [0, 2]
    assert run.stage.sums[0] == 3


def test_a_state_that_cannot_be_read_makes_the_partition_start_again(
    broker: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    topic = topic_with(broker, *numbers(5))
    first = Run(broker, topic)
    first.take(0, 4)
    first.stage.snapshot = lambda _partition: b"of another version"  # type: ignore[method-assign]
    first.partitions.save(0)
    second = Run(broker, topic)
    with caplog.at_level(logging.ERROR):
        second.take(4, 1)
    assert second.stage.taken == [0, 1, 2, 3, 4]
    assert "computed again from what Kafka still has" in caplog.text


def test_a_snapshot_of_a_topic_that_was_made_anew_is_not_used(broker: Settings) -> None:
    topic = topic_with(broker, *numbers(3))
    first = Run(broker, topic)
    first.take(0, 3)
    first.partitions.save(0)
    shorter = topic_with(broker, b"5", b"6")
    second = Run(broker, shorter)
    second.snapshots._stage = topic.name
    second.take(1, 1)
    assert second.stage.sums[0] == 11
