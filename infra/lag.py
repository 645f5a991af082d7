"""How far consumer groups are behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from infra.kafka import REQUEST_TIMEOUT_S, call, client_config
from infra.settings import Settings
from schemas.topics import Topic


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


def lag(settings: Settings, group: str, topics: Iterable[Topic]) -> list[KafkaLag]:
    """Return how far a consumer group is behind on each partition of the topics, in order.

    Parameters
    ----------
    group : str
        Its name on the broker (``Settings.group_name``).

    Raises
    ------
    BrokerError
        Kafka cannot be reached.
    """
    admin = AdminClient(client_config(settings))
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
