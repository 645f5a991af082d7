from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer

from infra.broker import Broker, bootstrap_servers
from infra.kafka import client_config, flush, producer, send, wait_until_reachable
from infra.settings import Settings, load_settings
from infra.topics import create_topics
from schemas.errors import BrokerError
from schemas.topics import DAY_S, MAX_MESSAGE_BYTES, Topic

LARGE = Topic("large", True, DAY_S, False, "A topic of these tests.")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = load_settings(state=tmp_path_factory.mktemp("kafka"), kafka="", partitions=3)
    with Broker(settings):
        yield settings


def consume(settings: Settings, topic: str, count: int) -> list[Message]:
    config = {
        "bootstrap.servers": bootstrap_servers(settings),
        "group.id": f"test-{os.urandom(4).hex()}",
        "auto.offset.reset": "earliest",
        "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
    }
    consumer = Consumer(config)
    try:
        consumer.subscribe([topic])
        messages: list[Message] = []
        while len(messages) < count:
            messages += consumer.consume(count - len(messages), timeout=30)
        return messages
    finally:
        consumer.close()


def test_large_messages_arrive_whole_and_in_order(stack: Settings) -> None:
    create_topics(stack, [LARGE])
    name = stack.topic_name(LARGE)
    sent = [os.urandom(2_000_000) for _ in range(5)] + [os.urandom(MAX_MESSAGE_BYTES - 1000)]
    out = producer(stack)
    delivered: list[KafkaError | None] = []
    for number, value in enumerate(sent):
        headers: list[tuple[str, str | bytes | None]] = [("seq", str(number).encode())]
        send(out, name, value, partition=1, headers=headers, on_delivery=lambda e, _: delivered.append(e))
    flush(out)
    assert delivered == [None] * len(sent)
    messages = consume(stack, name, len(sent))
    assert [message.value() for message in messages] == sent
    assert [message.offset() for message in messages] == list(range(len(sent)))
    assert {message.partition() for message in messages} == {1}


def test_a_message_beyond_the_bound_is_refused_at_once(stack: Settings) -> None:
    create_topics(stack, [LARGE])
    with pytest.raises(BrokerError, match="refuses a message"):
        send(producer(stack), stack.topic_name(LARGE), bytes(MAX_MESSAGE_BYTES + 1))


def test_a_full_queue_makes_the_sender_wait_and_loses_nothing(stack: Settings) -> None:
    create_topics(stack, [LARGE])
    out = Producer({**client_config(stack), "queue.buffering.max.messages": 2, "linger.ms": 20})
    delivered: list[KafkaError | None] = []
    for _ in range(50):
        send(out, stack.topic_name(LARGE), b"x", partition=2, on_delivery=lambda e, _: delivered.append(e))
        assert len(out) <= 2
    flush(out)
    assert delivered == [None] * 50


def test_an_absent_kafka_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:9 does not answer"):
        wait_until_reachable(load_settings(state=tmp_path, kafka="127.0.0.1:9"), timeout_s=0.2)
    with pytest.raises(BrokerError, match="No broker runs"):
        wait_until_reachable(load_settings(state=tmp_path, kafka=""), timeout_s=0.2)


def test_waiting_ends_when_the_broker_comes_up(tmp_path: Path) -> None:
    settings = load_settings(state=tmp_path, kafka="")
    broker = Broker(settings)
    starter = threading.Thread(target=broker.start)
    starter.start()
    try:
        assert wait_until_reachable(settings, timeout_s=60)
    finally:
        starter.join()
        broker.stop()
