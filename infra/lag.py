"""How far consumer groups are behind."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from infra.kafka import REQUEST_TIMEOUT_S, call, client_config
from infra.settings import Settings
from schemas.topics import Topic

log = logging.getLogger(__name__)

MAX_BEHIND = 128
"""Messages that the store may be behind a file being read: some 450 MB on the broker's disk."""

LOOK_S = 0.2
"""Pause between two looks at a group that is too far behind, s."""

PATIENCE_S = 10.0
"""Wait after which it is said whom a reader waits for, s."""


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


class BackPressure:
    """Holds a fast producer back while a consumer group is far behind.

    Parameters
    ----------
    settings : Settings
        Which broker, and the topics' prefix.
    group : str
        The group's name on the broker.
    topic : Topic
        What the group reads.
    max_messages : int
        Messages it may be behind.
    """

    def __init__(self, settings: Settings, group: str, topic: Topic, max_messages: int = MAX_BEHIND) -> None:
        self._settings = settings
        self._group = group
        self._topic = topic
        self._max_messages = max_messages
        self._admin = AdminClient(client_config(settings))
        self._since_look = 0

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
        return sum(row.messages for row in lag(self._settings, self._group, [self._topic], self._admin))


def lag(settings: Settings, group: str, topics: Iterable[Topic], admin: AdminClient | None = None) -> list[KafkaLag]:
    """Return how far a consumer group is behind on each partition of the topics, in order.

    Parameters
    ----------
    group : str
        Its name on the broker (``Settings.group_name``).
    admin : AdminClient, optional
        A client to ask with; otherwise one is made.

    Raises
    ------
    BrokerError
        Kafka cannot be reached.
    """
    admin = admin or AdminClient(client_config(settings))
    known = call(lambda: admin.list_topics(timeout=REQUEST_TIMEOUT_S)).topics
    names = [name for name in map(settings.topic_name, topics) if name in known]
    parts = [TopicPartition(name, number) for name in names for number in sorted(known[name].partitions)]
    if not parts:
        return []
    request = ConsumerGroupTopicPartitions(group, [TopicPartition(p.topic, p.partition) for p in parts])
    answer = call(lambda: admin.list_consumer_group_offsets([request]))[group].result()
    committed = {(p.topic, p.partition): p.offset for p in answer.topic_partitions or []}
    ends = call(lambda: admin.list_offsets({part: OffsetSpec.latest() for part in parts}))
    rows = []
    for part, future in ends.items():
        offset = committed.get((part.topic, part.partition), -1)
        end = future.result().offset
        rows.append(KafkaLag(group, part.topic, part.partition, offset if offset >= 0 else None, end))
    return rows
