"""Kafka as its clients see it: topics and the producer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import (
    KafkaError,
    KafkaException,
    Message,
    Producer,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from infra.broker import bootstrap_servers
from infra.settings import Settings
from schemas.errors import BrokerError
from schemas.topics import MAX_MESSAGE_BYTES, PACKETS, TOPICS, Topic

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 30.0
"""How long one administrative request may take."""

MIB = 1024 * 1024

QUEUE_KIB = 64 * 1024
"""What a producer holds at most: some 30 batches of packets, enough to keep the broker busy."""

DELIVERY_TIMEOUT_MS = 120_000
"""How long a message is tried: longer than a broker needs to be started again."""

SEGMENT_BYTES = 128 * MIB
"""Messages are deleted by whole segments: a part of what a topic may hold."""

COMPACTED_SEGMENT_BYTES = 32 * MIB
"""What has been replaced stays until its segment is full: whoever starts reads over it."""

T = TypeVar("T")


def client_config(settings: Settings) -> dict[str, Any]:
    """Return what every confluent-kafka client of ours is made with; raises ``BrokerError`` without a broker.

    A broker that is being started again is tried often: 20 ms to 1 s apart instead of up to 10 s.
    """
    return {
        "bootstrap.servers": bootstrap_servers(settings),
        "client.id": f"spanwatch@{settings.sensor}",
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 1000,
        # What goes wrong comes back from the call; librdkafka's own lines tell each refused connection. A
        # logger of Python's would be called from librdkafka's thread, also while a short-lived client goes.
        "log_level": 2,
    }


def wait_until_reachable(settings: Settings, timeout_s: float = 30.0) -> str:
    """Wait until Kafka answers a metadata request, and return the cluster's id.

    Raises
    ------
    BrokerError
        It does not within ``timeout_s`` seconds.
    """
    end_s = time.monotonic() + timeout_s
    client: AdminClient | None = None
    while True:
        left_s = end_s - time.monotonic()
        try:
            client = client or AdminClient(client_config(settings))
            return str(client.list_topics(timeout=max(min(left_s, 1.0), 0.01)).cluster_id)
        except KafkaException as error:
            if left_s <= 0:
                raise BrokerError(f"Kafka at {bootstrap_servers(settings)} does not answer: {reason(error)}.") from None
        except BrokerError:
            if left_s <= 0:
                raise
            time.sleep(0.05)


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
    existing = call(lambda: admin.list_topics(timeout=REQUEST_TIMEOUT_S)).topics
    missing = [topic for topic in topics if settings.topic_name(topic) not in existing]
    present = [topic for topic in topics if topic not in missing]
    changes = _create(admin, settings, missing)
    counts = {topic: len(existing[settings.topic_name(topic)].partitions) for topic in present}
    return changes + _add_partitions(admin, settings, counts) + _configure(admin, settings, present)


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
        if count < wanted:
            added = call(lambda: admin.create_partitions([NewPartitions(name, wanted)]))  # noqa: B023
            _result(added[name], f"add partitions to {name}")
            changes.append(f"raised topic {name} from {count} to {wanted} partitions")
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


def producer(settings: Settings) -> Producer:
    """Return a producer that delivers each message once, in order per partition.

    Idempotent, so that a retry is not a second message. Tuned for messages of some 2 MB that are compressed
    already: nothing is waited for to fill a request, and the queue is bounded by bytes. ``send`` waits while
    the queue is full.
    """
    return Producer(
        {
            **client_config(settings),
            # Errors alone: its warnings are about what it tries again by itself.
            "log_level": 3,
            "logger": logging.getLogger("kafka"),
            "enable.idempotence": True,
            "compression.type": "none",
            "linger.ms": 2,
            "batch.size": 4 * MIB,
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "queue.buffering.max.kbytes": QUEUE_KIB,
            "queue.buffering.max.messages": 100_000,
            "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
            "retry.backoff.ms": 50,
        }
    )


def send(
    out: Producer,
    topic: str,
    value: bytes | None,
    *,
    key: bytes | None = None,
    partition: int = -1,
    headers: list[tuple[str, str | bytes | None]] | None = None,
    on_delivery: Callable[[KafkaError | None, Message], None] | None = None,
) -> None:
    """Hand a message to a producer, waiting while its queue is full: back-pressure on who calls.

    Parameters
    ----------
    partition : int
        -1 takes the one of the key's hash.
    on_delivery : callable, optional
        Called with the error, or None, and the message, from inside this function or ``flush``.

    Raises
    ------
    BrokerError
        The message is too large, or the queue stayed full for as long as a message may be tried.
    """
    end_s = time.monotonic() + DELIVERY_TIMEOUT_MS / 1000
    while True:
        try:
            out.produce(topic, value, key, partition, on_delivery=on_delivery, headers=headers or [])
        except BufferError:
            if time.monotonic() > end_s:
                raise BrokerError("Kafka takes no more messages: its queue has been full too long.") from None
            out.poll(0.1)
        except KafkaException as error:
            raise BrokerError(f"Kafka refuses a message on {topic}: {reason(error)}.") from None
        else:
            out.poll(0)
            return


def flush(out: Producer, timeout_s: float = DELIVERY_TIMEOUT_MS / 1000) -> None:
    """Wait until every message is acknowledged or has failed; raises ``BrokerError`` when some are left."""
    if left := out.flush(timeout_s):
        raise BrokerError(f"Kafka has not acknowledged {left} messages within {timeout_s:g} s.")


def call(request: Callable[[], T]) -> T:
    """Return what a client's call returns, its error turned into a ``BrokerError``."""
    try:
        return request()
    except KafkaException as error:
        raise BrokerError(f"Kafka cannot be asked: {reason(error)}.") from None


def _result(future: Future[Any], deed: str, but_for: int | None = None) -> bool:
    """Return whether a request was carried out, False for the one error that does not matter."""
    try:
        future.result(REQUEST_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() == but_for:
            return False
        raise BrokerError(f"Kafka does not {deed}: {reason(error)}.") from None
    return True


def reason(error: KafkaException) -> str:
    """Return what librdkafka says of an error, without a full stop."""
    return str(error.args[0].str()).rstrip(".")
