"""Kafka as its clients see it: how it is reached, and the producer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import (
    KafkaError,
    KafkaException,
    Message,
    Producer,
)
from confluent_kafka.admin import AdminClient

from infra.broker import bootstrap_servers
from infra.settings import Settings
from schemas.errors import BrokerError
from schemas.topics import MAX_MESSAGE_BYTES

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 30.0
"""How long one administrative request may take."""

MIB = 1024 * 1024

QUEUE_KIB = 64 * 1024
"""What a producer holds at most: some 30 batches of packets, enough to keep the broker busy."""

DELIVERY_TIMEOUT_MS = 120_000
"""How long a message is tried: longer than a broker needs to be started again."""

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


def reason(error: KafkaException) -> str:
    """Return what librdkafka says of an error, without a full stop."""
    return str(error.args[0].str()).rstrip(".")
