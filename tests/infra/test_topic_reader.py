from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from infra.broker import Broker
from infra.kafka import flush, producer, send
from infra.settings import Settings, load_settings
from infra.topic_reader import bounds, headers_of, octets, read_partition
from infra.topics import create_topics
from schemas.errors import BrokerError
from schemas.topics import DAY_S, Topic


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = load_settings(state=tmp_path_factory.mktemp("reader"), kafka="", partitions=1)
    with Broker(settings):
        yield settings


def topic_of(settings: Settings, count: int) -> str:
    topic = Topic(f"read-{uuid4().hex}", True, DAY_S, False, "A topic of these tests.")
    create_topics(settings, [topic])
    out, name = producer(settings), settings.topic_name(topic)
    for number in range(count):
        send(out, name, str(number).encode(), partition=0, headers=[("number", str(number))])
    flush(out)
    return name


def values(settings: Settings, name: str, first: int = 0, before: int | None = None) -> list[int]:
    return [int(octets(message.value())) for message in read_partition(settings, name, 0, first, before)]


def test_a_partition_is_read_from_end_to_end(stack: Settings) -> None:
    name = topic_of(stack, 5)
    assert bounds(stack, name, 0) == (0, 5)
    assert values(stack, name) == [0, 1, 2, 3, 4]
    assert headers_of(next(read_partition(stack, name, 0))) == {"number": b"0"}


def test_a_part_of_a_partition_is_read(stack: Settings) -> None:
    name = topic_of(stack, 5)
    assert values(stack, name, 2, 4) == [2, 3]
    assert values(stack, name, 3, 99) == [3, 4]


@pytest.mark.parametrize(("first", "before"), [(5, None), (9, None), (3, 3), (0, 0)])
def test_where_nothing_is_nothing_is_read(stack: Settings, first: int, before: int | None) -> None:
    assert values(stack, topic_of(stack, 5), first, before) == []


def test_an_empty_partition_is_read_at_once(stack: Settings) -> None:
    assert values(stack, topic_of(stack, 0)) == []


def test_a_partition_that_has_no_leader_yet_is_waited_for(stack: Settings) -> None:
    many = stack.model_copy(update={"partitions": 12})
    for _ in range(5):
        topic = Topic(f"fresh-{uuid4().hex}", True, DAY_S, False, "A topic of these tests.")
        create_topics(many, [topic])
        assert [bounds(many, many.topic_name(topic), part) for part in (11, 5, 0)] == [(0, 0)] * 3


def test_a_topic_that_is_not_there_is_an_error_in_words(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.topic_reader.REQUEST_TIMEOUT_S", 1.0)
    with pytest.raises(BrokerError, match=r"Kafka does not say what it has of nowhere: "):
        bounds(stack, "nowhere", 0)
