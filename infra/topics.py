"""The topics of a stack: made, and made what the settings say."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from infra.broker_files import in_sync
from infra.kafka import MIB, REQUEST_TIMEOUT_S, call, client_config, reason, wait_until_reachable
from infra.settings import Settings
from schemas.errors import BrokerError
from schemas.topics import MAX_MESSAGE_BYTES, PACKETS, TOPICS, Topic

log = logging.getLogger(__name__)

SEGMENT_BYTES = 128 * MIB
"""Messages are deleted by whole segments: a part of what a topic may hold."""

COMPACTED_SEGMENT_BYTES = 32 * MIB
"""What has been replaced stays until its segment is full: whoever starts reads over it."""


def topic_partitions(settings: Settings, topic: Topic) -> int:
    """Return how many partitions a topic has by the settings."""
    return settings.partitions if topic.is_partitioned else 1


def topic_config(settings: Settings, topic: Topic) -> dict[str, str]:
    """Return the broker's configuration of a topic."""
    retention_bytes = -1
    if topic is PACKETS and settings.packets_max_gb:
        retention_bytes = max(round(settings.packets_max_gb * 1e9 / settings.partitions), SEGMENT_BYTES)
    compaction = {"min.cleanable.dirty.ratio": "0.2"} if topic.is_compacted else {}
    return {
        "cleanup.policy": "compact" if topic.is_compacted else "delete",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
        "retention.ms": str(topic.retention_s * 1000 if topic.retention_s >= 0 else -1),
        "retention.bytes": str(retention_bytes),
        "segment.bytes": str(COMPACTED_SEGMENT_BYTES if topic.is_compacted else SEGMENT_BYTES),
        # Retention counts from arrival: a capture of years ago must not be deleted as it comes in.
        "message.timestamp.type": "LogAppendTime",
        # Messages stay as their producer packed them.
        "compression.type": "producer",
        "min.insync.replicas": str(in_sync(settings.kafka_replication)),
        **compaction,
    }


def create_topics(settings: Settings, topics: Sequence[Topic] = TOPICS) -> list[str]:
    """Make the topics what the settings say; a second call changes nothing.

    Partitions are added where there are too few. Too many stay, with a warning: Kafka cannot take partitions
    away, and every capture carries the number it was spread over.

    Returns
    -------
    list of str
        One sentence for each change made.

    Raises
    ------
    BrokerError
        Kafka refuses or cannot be reached.
    """
    wait_until_reachable(settings)
    admin = AdminClient(client_config(settings))
    names = {topic: settings.topic_name(topic) for topic in topics}
    known = _partition_counts(admin)
    missing = [topic for topic, name in names.items() if name not in known]
    changes = _create(admin, settings, missing)
    if missing:
        known = _await_partitions(admin, dict.fromkeys((names[topic] for topic in missing), 1))
    changes += _add_partitions(admin, settings, {topic: known[name] for topic, name in names.items()})
    return changes + _configure(admin, settings, [topic for topic in topics if topic not in missing])


def _partition_counts(admin: AdminClient) -> dict[str, int]:
    """Return how many partitions each topic has."""
    found = call(lambda: admin.list_topics(timeout=REQUEST_TIMEOUT_S)).topics
    return {name: len(topic.partitions) for name, topic in found.items()}


def _await_partitions(admin: AdminClient, wanted: dict[str, int]) -> dict[str, int]:
    """Return the partitions of all topics once those wanted have theirs.

    The controller acknowledges a change when it has decided on it; the broker that is asked hears of it a moment
    later, and under load much later. Until then it would be asked for again, or taken for not there.

    Raises
    ------
    BrokerError
        They are not there after ``REQUEST_TIMEOUT_S``.
    """
    end_s = time.monotonic() + REQUEST_TIMEOUT_S
    while True:
        known = _partition_counts(admin)
        late = [name for name, count in wanted.items() if known.get(name, 0) < count]
        if not late:
            return known
        if time.monotonic() > end_s:
            raise BrokerError(f"Kafka does not show topic {late[0]} as it was made within {REQUEST_TIMEOUT_S:g} s.")
        time.sleep(0.05)


def _create(admin: AdminClient, settings: Settings, topics: Sequence[Topic]) -> list[str]:
    if not topics:
        return []
    wanted = [
        NewTopic(
            settings.topic_name(topic),
            num_partitions=topic_partitions(settings, topic),
            replication_factor=settings.kafka_replication,
            config=topic_config(settings, topic),
        )
        for topic in topics
    ]
    changes = []
    for name, future in call(lambda: admin.create_topics(wanted, request_timeout=REQUEST_TIMEOUT_S)).items():
        # Another process of ours may create the topics at the same time; either way they are there.
        if _result(future, f"create topic {name}", but_for=KafkaError.TOPIC_ALREADY_EXISTS):
            changes.append(f"created topic {name}")
    return changes


def _add_partitions(admin: AdminClient, settings: Settings, counts: dict[Topic, int]) -> list[str]:
    changes = []
    for topic, count in counts.items():
        name, wanted = settings.topic_name(topic), topic_partitions(settings, topic)
        if count > wanted:
            log.warning("topic %s keeps its %d partitions; the settings say %d", name, count, wanted)
        while count < wanted:
            added = call(lambda: admin.create_partitions([NewPartitions(name, wanted)]))  # noqa: B023
            # Another process of ours may have added some at the same time.
            if _result(added[name], f"add partitions to {name}", but_for=KafkaError.INVALID_PARTITIONS):
                changes.append(f"raised topic {name} from {count} to {wanted} partitions")
            count = _await_partitions(admin, {name: count + 1})[name]
    return changes


def _configure(admin: AdminClient, settings: Settings, topics: Sequence[Topic]) -> list[str]:
    resources = [ConfigResource(ResourceType.TOPIC, settings.topic_name(topic)) for topic in topics]
    if not resources:
        return []
    wanted = {settings.topic_name(topic): topic_config(settings, topic) for topic in topics}
    changes = []
    for resource, future in call(lambda: admin.describe_configs(resources)).items():
        current = {entry.name: entry.value for entry in future.result().values()}
        other = {k: v for k, v in wanted[resource.name].items() if current.get(k) != v}
        if other:
            entries = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in other.items()]
            update = ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=entries)
            for done in call(lambda: admin.incremental_alter_configs([update])).values():  # noqa: B023
                _result(done, f"configure topic {resource.name}")
            changes.append(f"set {', '.join(sorted(other))} of topic {resource.name}")
    return changes


def _result(future: Future[Any], deed: str, but_for: int | None = None) -> bool:
    """Return whether a request was carried out, False for the one error that does not matter."""
    try:
        future.result(REQUEST_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() == but_for:
            return False
        raise BrokerError(f"Kafka does not {deed}: {reason(error)}.") from None
    return True
