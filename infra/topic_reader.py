"""A part of a partition of a topic, read outside any consumer group."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from infra.kafka import REQUEST_TIMEOUT_S, client_config, reason
from infra.settings import Settings
from schemas.errors import BrokerError
from schemas.topics import MAX_MESSAGE_BYTES

_WITHOUT_A_LEADER = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
"""What a broker answers about a topic that was made a moment ago, or while it starts. librdkafka's ``retriable`` does
not say so: it is set by transactions only."""


def headers_of(message: Message) -> dict[str, bytes]:
    """Return a message's headers; text in UTF-8."""
    told: Any = message.headers() or ()
    return {name: octets(value) for name, value in dict(told).items()}


def octets(value: str | bytes | None) -> bytes:
    """Return what a client hands over as a value or a header: nothing is empty."""
    return value.encode() if isinstance(value, str) else value or b""


def bounds(settings: Settings, topic: str, partition: int) -> tuple[int, int]:
    """Return the offset of the oldest message that a partition still has, and the one the next message will get.

    Parameters
    ----------
    topic : str
        Name on the broker.

    Raises
    ------
    BrokerError
        Kafka cannot be reached.
    """
    with _consumer(settings) as consumer:
        return _watermarks(consumer, TopicPartition(topic, partition))


def read_partition(
    settings: Settings, topic: str, partition: int, first: int = 0, before: int | None = None
) -> Iterator[Message]:
    """Yield the messages of a partition that Kafka still has, in order; end where the partition ended at the start.

    Parameters
    ----------
    topic : str
        Name on the broker.
    first : int
        Offset to begin with; later where Kafka has deleted it.
    before : int, optional
        Offset to end before; without one, the partition's end.

    Raises
    ------
    BrokerError
        Kafka cannot be reached.
    """
    with _consumer(settings) as consumer:
        low, high = _watermarks(consumer, TopicPartition(topic, partition))
        end = high if before is None else min(before, high)
        if max(first, low) >= end:
            return
        consumer.assign([TopicPartition(topic, partition, max(first, low))])
        while (message := _next(consumer, topic)) is not None:
            offset = message.offset()
            if offset is None or offset >= end:
                return
            yield message
            if offset + 1 >= end:
                return


def _watermarks(consumer: Consumer, part: TopicPartition) -> tuple[int, int]:
    """Return the offset of the oldest message, and the next one's; a partition without a leader is waited for."""
    end_s = time.monotonic() + REQUEST_TIMEOUT_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(part, timeout=REQUEST_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() not in _WITHOUT_A_LEADER or time.monotonic() > end_s:
                raise BrokerError(f"Kafka does not say what it has of {part.topic}: {reason(error)}.") from None
            time.sleep(0.05)
        else:
            return int(low), int(high)


def _next(consumer: Consumer, topic: str) -> Message | None:
    """Return the next message, None at the end of the partition."""
    message = consumer.poll(REQUEST_TIMEOUT_S)
    if message is None:
        raise BrokerError(f"Kafka has sent nothing of {topic} for {REQUEST_TIMEOUT_S:g} s.")
    error = message.error()
    if error is None:
        return message
    # Compaction may have removed the last offsets: then the end is where Kafka says it is.
    if error.code() == KafkaError._PARTITION_EOF:
        return None
    raise BrokerError(f"Kafka does not send {topic}: {reason(KafkaException(error))}.")


@contextmanager
def _consumer(settings: Settings) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            **client_config(settings),
            # A consumer must name a group; one that assigns itself its partitions never joins it.
            "group.id": f"{settings.group_name('reader')}-{os.getpid()}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
            "fetch.wait.max.ms": 20,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()
