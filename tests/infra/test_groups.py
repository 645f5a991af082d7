from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer

from infra.broker import Broker
from infra.groups import ClusterView, Group, Replicas
from infra.kafka import client_config
from infra.settings import Settings, load_settings
from infra.topics import create_topics
from schemas.errors import BrokerError
from schemas.topics import DAY_S, Topic

TOPIC = Topic("shared", True, DAY_S, False, "A topic of these tests.")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = load_settings(state=tmp_path_factory.mktemp("groups"), kafka="", partitions=3)
    with Broker(settings):
        create_topics(settings, [TOPIC])
        yield settings


def group_now(view: ClusterView, name: str) -> Group:
    """Return a group as soon as there is a coordinator: the first group of a broker waits for one."""
    end_s = time.monotonic() + 60
    while True:
        try:
            return view.group(name)
        except BrokerError:
            assert time.monotonic() < end_s
            time.sleep(0.05)


def test_a_group_is_its_members_with_their_partitions(stack: Settings) -> None:
    view, name = ClusterView(stack), stack.topic_name(TOPIC)
    config = {**client_config(stack), "client.id": "reader-7", "group.id": stack.group_name("readers")}
    consumer = Consumer({**config, "enable.auto.commit": False})
    consumer.subscribe([name])
    wanted = {(name, 0), (name, 1), (name, 2)}
    end_s = time.monotonic() + 60
    while not (group := group_now(view, "readers")).has(wanted):
        assert time.monotonic() < end_s, group
        consumer.poll(0.1)
    consumer.close()
    assert group == Group(True, 1, {"reader-7": wanted})
    assert not group.has({*wanted, (name, 3)})


def test_a_group_of_nobody_has_nothing(stack: Settings) -> None:
    group = group_now(ClusterView(stack), "absent")
    assert group.members == {}
    assert not group.has([(stack.topic_name(TOPIC), 0)])


def test_replicas_say_who_leads_and_who_follows(stack: Settings) -> None:
    found = ClusterView(stack).replicas([TOPIC])
    assert set(found) == {(stack.topic_name(TOPIC), number) for number in range(3)}
    assert set(found.values()) == {Replicas(1, frozenset({1}), frozenset({1}))}
