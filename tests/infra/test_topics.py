from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from infra.broker import Broker
from infra.kafka import client_config
from infra.settings import Settings, load_settings
from infra.topics import create_topics
from schemas.errors import BrokerError
from schemas.topics import DAY_S, MAX_MESSAGE_BYTES, PACKETS, TOPICS, Topic

COUNT = Topic("count", True, DAY_S, False, "A topic of these tests.")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = load_settings(state=tmp_path_factory.mktemp("kafka"), kafka="", partitions=3)
    with Broker(settings):
        yield settings


def with_other(settings: Settings, **overrides: Any) -> Settings:
    base: dict[str, Any] = {"state": settings.state, "kafka": "", "partitions": settings.partitions}
    return load_settings(**{**base, **overrides})


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


def test_what_was_made_shows_when_the_call_returns(stack: Settings) -> None:
    for number in range(10):
        one = with_other(stack, topic_prefix=f"shows{number}-")
        create_topics(one, [COUNT])
        assert partitions_of(one, COUNT) == 3
        create_topics(with_other(one, topic_prefix=one.topic_prefix, partitions=4), [COUNT])
        assert partitions_of(one, COUNT) == 4


def test_topics_that_several_processes_make_at_once_have_all_their_partitions(stack: Settings) -> None:
    many = [with_other(stack, topic_prefix="race-", partitions=count) for count in (2, 6, 4)]
    makers = [threading.Thread(target=create_topics, args=(one, [COUNT])) for one in many]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert partitions_of(many[1], COUNT) == 6


def test_a_changed_setting_reaches_an_existing_topic(stack: Settings) -> None:
    create_topics(stack, [PACKETS])
    changed = with_other(stack, packets_max_gb=3)
    assert create_topics(changed, [PACKETS]) == [f"set retention.bytes of topic {stack.topic_name(PACKETS)}"]
    assert config_of(stack, PACKETS)["retention.bytes"] == str(1_000_000_000)
    create_topics(stack, [PACKETS])


def test_more_replicas_than_brokers_are_refused_in_words(stack: Settings) -> None:
    with pytest.raises(BrokerError, match=r"(?i)create topic .*replica"):
        create_topics(with_other(stack, kafka_replication=3, topic_prefix="replicas-"))
