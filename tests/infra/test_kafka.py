from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from infra.broker import Broker, bootstrap_servers
from infra.kafka import client_config, create_topics, flush, producer, send, wait_until_reachable
from infra.settings import Settings, load_settings
from schemas.errors import BrokerError
from schemas.topics import DAY_S, MAX_MESSAGE_BYTES, PACKETS, TOPICS, Topic

LARGE = Topic("large", True, DAY_S, False, "A topic of these tests.")
COUNT = Topic("count", True, DAY_S, False, "A topic of these tests.")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = load_settings(state=tmp_path_factory.mktemp("kafka"), kafka="", partitions=3)
    with Broker(settings):
        yield settings


def with_other(settings: Settings, **overrides: Any) -> Settings:
    base: dict[str, Any] = {"state": settings.state, "kafka": "", "partitions": settings.partitions}
    return load_settings(**{**base, **overrides})


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


def config_of(settings: Settings, topic: Topic) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, settings.topic_name(topic))
    admin = AdminClient(client_config(settings))
    return {name: entry.value for name, entry in admin.describe_configs([resource])[resource].result().items()}


def partitions_of(settings: Settings, topic: Topic) -> int:
    admin = AdminClient(client_config(settings))
    return len(admin.list_topics(timeout=10).topics[settings.topic_name(topic)].partitions)


def test_topics_are_created_once_and_a_second_call_changes_nothing(stack: Settings) -> None:
    changes = create_topics(stack)
    assert sorted(changes) == sorted(f"created topic {stack.topic_name(topic)}" for topic in TOPICS)
    assert create_topics(stack) == []
    for topic in TOPICS:
        assert partitions_of(stack, topic) == (3 if topic.is_partitioned else 1)
        config = config_of(stack, topic)
        assert config["max.message.bytes"] == str(MAX_MESSAGE_BYTES)
        assert config["cleanup.policy"] == ("compact" if topic.is_compacted else "delete")
        assert config["retention.ms"] == str(topic.retention_s * 1000 if topic.retention_s > 0 else -1)
        assert config["message.timestamp.type"] == "LogAppendTime"


def test_partitions_are_added_and_never_taken_away(stack: Settings, caplog: pytest.LogCaptureFixture) -> None:
    create_topics(stack, [COUNT])
    more = with_other(stack, partitions=5)
    assert create_topics(more, [COUNT]) == [f"raised topic {stack.topic_name(COUNT)} from 3 to 5 partitions"]
    assert partitions_of(stack, COUNT) == 5
    assert create_topics(stack, [COUNT]) == []
    assert partitions_of(stack, COUNT) == 5
    assert "keeps its 5 partitions" in caplog.text


def test_a_changed_setting_reaches_an_existing_topic(stack: Settings) -> None:
    create_topics(stack, [PACKETS])
    changed = with_other(stack, packets_max_gb=3)
    assert create_topics(changed, [PACKETS]) == [f"set retention.bytes of topic {stack.topic_name(PACKETS)}"]
    assert config_of(stack, PACKETS)["retention.bytes"] == str(1_000_000_000)
    create_topics(stack, [PACKETS])


def test_more_replicas_than_brokers_are_refused_in_words(stack: Settings) -> None:
    with pytest.raises(BrokerError, match=r"(?i)create topic .*replica"):
        create_topics(with_other(stack, kafka_replication=3, topic_prefix="replicas-"))


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
