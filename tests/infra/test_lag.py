from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from infra import lag as lags
from infra.broker import Broker
from infra.kafka import client_config, flush, producer, send
from infra.lag import BackPressure, GroupOffsets, KafkaLag, LagWatch, has_caught_up, lag
from infra.settings import Settings, load_settings
from infra.topics import create_topics
from schemas.topics import DAY_S, Topic

GROUP_TOPIC = "__consumer_offsets"
"""Where Kafka keeps what groups have committed."""

TOPIC = Topic("lagging", True, DAY_S, False, "A topic of these tests.")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = load_settings(state=tmp_path_factory.mktemp("lag"), kafka="", partitions=2)
    with Broker(settings):
        create_topics(settings, [TOPIC])
        yield settings


def test_lag_is_what_was_produced_less_what_was_committed(stack: Settings) -> None:
    name, group = stack.topic_name(TOPIC), stack.group_name("reader")
    out = producer(stack)
    for partition, count in ((0, 5), (1, 2)):
        for _ in range(count):
            send(out, name, b"x", partition=partition)
    flush(out)
    assert [row.messages for row in lag(stack, group, [TOPIC])] == [5, 2]

    consumer = Consumer({**client_config(stack), "group.id": group})
    consumer.commit(offsets=[TopicPartition(name, 0, 3)], asynchronous=False)
    consumer.close()
    assert lag(stack, group, [TOPIC]) == [
        KafkaLag(group, name, 0, committed=3, end=5),
        KafkaLag(group, name, 1, committed=None, end=2),
    ]


def test_a_group_has_caught_up_when_it_has_committed_the_end_of_every_partition(stack: Settings) -> None:
    topic = Topic("caught-up", True, DAY_S, False, "A topic of this test.")
    create_topics(stack, [topic])
    name, group = stack.topic_name(topic), stack.group_name("quick")
    assert has_caught_up(stack, group, [topic])
    out = producer(stack)
    for partition in (0, 1):
        send(out, name, b"x", partition=partition)
    flush(out)
    consumer = Consumer({**client_config(stack), "group.id": group})
    for partition in (0, 1):
        assert not has_caught_up(stack, group, [topic])
        consumer.commit(offsets=[TopicPartition(name, partition, 1)], asynchronous=False)
    consumer.close()
    assert has_caught_up(stack, group, [topic])


def test_a_topic_that_does_not_exist_has_no_lag(stack: Settings) -> None:
    assert lag(stack, "reader", [Topic("absent", True, DAY_S, False, "Not there.")]) == []


def test_a_group_whose_coordinator_is_set_up_anew_is_asked_again(stack: Settings) -> None:
    offsets, admin = GroupOffsets(stack, stack.group_name("moved")), AdminClient(client_config(stack))
    offsets.lag([TOPIC])
    admin.delete_topics([GROUP_TOPIC])[GROUP_TOPIC].result()
    end_s = time.monotonic() + 2
    while time.monotonic() < end_s:
        assert {row.committed for row in offsets.lag([TOPIC])} == {None}
    offsets.close()


def test_a_reader_waits_until_the_group_has_caught_up(stack: Settings) -> None:
    topic = Topic("pressure", False, DAY_S, False, "A topic of this test.")
    create_topics(stack, [topic])
    name, group = stack.topic_name(topic), stack.group_name("slow")
    out = producer(stack)
    for _ in range(20):
        send(out, name, b"x", partition=0)
    flush(out)
    assert [row.messages for row in lag(stack, group, [topic])] == [20]
    pressure = BackPressure(stack, group, topic, max_messages=8)
    pressure.wait(1)  # too few to matter: the broker is not even asked

    waiting = threading.Thread(target=pressure.wait, args=(20,))
    waiting.start()
    waiting.join(1.0)
    assert waiting.is_alive()
    consumer = Consumer({**client_config(stack), "group.id": group})
    consumer.commit(offsets=[TopicPartition(name, 0, 12)], asynchronous=False)
    waiting.join(10.0)
    assert not waiting.is_alive()
    consumer.close()
    pressure.close()


def test_a_watch_knows_the_lag_without_being_asked(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lags, "WATCH_S", 0.05)
    topic = Topic("watched", False, DAY_S, False, "A topic of this test.")
    create_topics(stack, [topic])
    out = producer(stack)
    watch = LagWatch(stack, stack.group_name("watched"), topic)
    try:
        assert watch.messages == 0
        for _ in range(3):
            send(out, stack.topic_name(topic), b"x", partition=0)
        flush(out)
        end_s = time.monotonic() + 30
        while watch.messages != 3 and time.monotonic() < end_s:
            time.sleep(0.05)
        assert watch.messages == 3
    finally:
        watch.close()
