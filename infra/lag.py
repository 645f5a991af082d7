"""How far consumer groups are behind."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from infra.kafka import REQUEST_TIMEOUT_S, call, client_config
from infra.settings import Settings
from schemas.errors import BrokerError
from schemas.topics import Topic

log = logging.getLogger(__name__)

MAX_BEHIND = 128
"""Messages that the store may be behind a file being read: some 450 MB on the broker's disk."""

LOOK_S = 0.2
"""Pause between two looks at a group that is too far behind, s."""

WATCH_S = 1.0
"""Pause between two looks of a watch, s."""

PATIENCE_S = 10.0
"""Wait after which it is said whom a reader waits for, s."""

COORDINATOR_S = 0.05
"""Pause before a group's coordinator is asked again that does not know yet that it is one, s."""

COORDINATOR_MOVES = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
"""Answers to be asked again: the first group of a broker, or one whose coordinator moves."""


@dataclass(frozen=True)
class KafkaLag:
    """How far a consumer group is behind on one partition.

    Parameters
    ----------
    group, topic : str
        Names on the broker.
    partition : int
        From 0.
    committed : int or None
        Offset of the next message the group will read; None when it has committed nothing.
    end : int
        Offset that the next message produced will have.
    """

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int

    @property
    def messages(self) -> int:
        """Messages not yet read."""
        return self.end - (self.committed or 0)


class GroupOffsets:
    """Asks how far a consumer group is behind, again and again.

    A consumer that never subscribes asks without joining the group, and answers in the caller's thread: the
    administrative client answers from a thread of librdkafka's, which may outlive the interpreter.

    Parameters
    ----------
    settings : Settings
        Which broker, and the topics' prefix.
    group : str
        The group's name on the broker (``Settings.group_name``).
    """

    def __init__(self, settings: Settings, group: str) -> None:
        self._settings = settings
        self._group = group
        self._consumer = Consumer({**client_config(settings), "group.id": group, "enable.auto.commit": False})

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def lag(self, topics: Iterable[Topic]) -> list[KafkaLag]:
        """Return how far the group is behind on each partition of the topics, in order.

        Raises
        ------
        BrokerError
            Kafka cannot be reached, or the group has no coordinator for as long as a request may take.
        """
        known = call(lambda: self._consumer.list_topics(timeout=REQUEST_TIMEOUT_S)).topics
        names = [name for name in map(self._settings.topic_name, topics) if name in known]
        parts = [TopicPartition(name, number) for name in names for number in sorted(known[name].partitions)]
        if not parts:
            return []
        committed = call(lambda: self._committed(parts))
        return [self._row(part.topic, part.partition, part.offset) for part in committed]

    def _committed(self, parts: list[TopicPartition]) -> list[TopicPartition]:
        """Return partitions with what is committed; librdkafka hands on at once what a moving coordinator answers."""
        end_s = time.monotonic() + REQUEST_TIMEOUT_S
        while True:
            try:
                return self._consumer.committed(parts, timeout=max(end_s - time.monotonic(), 0.0))
            except KafkaException as error:
                if error.args[0].code() not in COORDINATOR_MOVES or time.monotonic() > end_s:
                    raise
            time.sleep(COORDINATOR_S)

    def _row(self, topic: str, partition: int, committed: int) -> KafkaLag:
        part = TopicPartition(topic, partition)
        _, end = call(lambda: self._consumer.get_watermark_offsets(part, timeout=REQUEST_TIMEOUT_S))
        return KafkaLag(self._group, topic, partition, committed if committed >= 0 else None, end)


class BackPressure:
    """Holds a fast producer back while a consumer group is far behind.

    Parameters
    ----------
    settings, group
        See ``GroupOffsets``.
    topic : Topic
        What the group reads.
    max_messages : int
        Messages it may be behind.
    """

    def __init__(self, settings: Settings, group: str, topic: Topic, max_messages: int = MAX_BEHIND) -> None:
        self._offsets = GroupOffsets(settings, group)
        self._group = group
        self._topic = topic
        self._max_messages = max_messages
        self._since_look = 0

    def close(self) -> None:
        """Close the connection."""
        self._offsets.close()

    def wait(self, sent: int) -> None:
        """Return once there is room for more.

        Parameters
        ----------
        sent : int
            Messages sent since the last call: the broker is asked only when they could matter.
        """
        self._since_look += sent
        if self._since_look < self._max_messages // 4:
            return
        waited_s = 0.0
        while self._behind() > self._max_messages:
            time.sleep(LOOK_S)
            waited_s += LOOK_S
            if waited_s >= PATIENCE_S:
                log.warning("waiting for %s, which is far behind; is it running?", self._group)
                waited_s = 0.0
        self._since_look = 0

    def _behind(self) -> int:
        try:
            return sum(row.messages for row in self._offsets.lag([self._topic]))
        except BrokerError:
            # A broker that does not answer holds the producer back by itself: its queue is bounded.
            return 0


class LagWatch:
    """Knows how far a consumer group is behind without making anyone wait: looks in a thread of its own.

    Parameters
    ----------
    settings, group
        See ``GroupOffsets``.
    topic : Topic
        What the group reads.

    Attributes
    ----------
    messages : int
        Messages that it was behind at the last look.
    """

    def __init__(self, settings: Settings, group: str, topic: Topic) -> None:
        self.messages = 0
        self._offsets = GroupOffsets(settings, group)
        self._topic = topic
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, name=f"lag of {group}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking and close the connection."""
        self._stopping.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopping.wait(WATCH_S):
            try:
                self.messages = sum(row.messages for row in self._offsets.lag([self._topic]))
            except BrokerError:
                # As for BackPressure: the producer's own queue tells of a broker that is silent.
                continue
        self._offsets.close()


def lag(settings: Settings, group: str, topics: Iterable[Topic]) -> list[KafkaLag]:
    """Return how far a consumer group is behind on each partition of the topics; see ``GroupOffsets``."""
    offsets = GroupOffsets(settings, group)
    try:
        return offsets.lag(topics)
    finally:
        offsets.close()


def has_caught_up(settings: Settings, group: str, topics: Iterable[Topic]) -> bool:
    """Whether a consumer group has committed all there is on the topics; see ``GroupOffsets``."""
    return not any(row.messages for row in lag(settings, group, topics))
