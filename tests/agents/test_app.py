from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import aiokafka
import pytest
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from aiokafka.errors import KafkaError

import agents.membership
from agents.app import AppThread, FaustApp, Received, Stream, add_agent, make_app
from infra.groups import ClusterView, Group
from infra.kafka import flush, producer, send
from infra.settings import Settings
from infra.topics import create_topics, topic_partitions
from schemas.errors import BrokerError
from schemas.topics import WINDOWS

AGAIN_S = 60.0
"""How long an application may take to have its partitions again, on a busy machine."""


@pytest.fixture(scope="module")
def topics(broker: Settings) -> Settings:
    """Settings with topics of their own: what is sent here is no message of ours."""
    settings = broker.model_copy(update={"topic_prefix": "applications-"})
    create_topics(settings)
    return settings


class Applications:
    """Applications that read a topic, one after the other: each is made when the one before has failed."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.made: list[FaustApp] = []
        self.heard: list[bytes] = []
        self.failure: Exception | None = None
        self._settings = settings
        self._name = name
        self._view = ClusterView(settings)
        self._topic = settings.topic_name(WINDOWS)

    def make(self) -> FaustApp:
        app = make_app(self._settings, self._name)

        async def hear(stream: Stream) -> None:
            async for event in stream.events():
                failure, self.failure = self.failure, None
                if failure is not None:
                    raise failure
                self.heard.append(Received.of(event).body)

        add_agent(app, self._settings, WINDOWS, hear, "hear")
        self.made.append(app)
        return app

    def group(self) -> Group | None:
        try:
            return self._view.group(self._name)
        except BrokerError:
            return None

    def has_all(self) -> bool:
        """Whether the only member of the group has all partitions, and reads what is sent to each."""
        group = self.group()
        wanted = {(self._topic, number) for number in range(topic_partitions(self._settings, WINDOWS))}
        return group is not None and len(group.members) == 1 and group.has(wanted) and self._is_heard()

    def _is_heard(self) -> bool:
        sink, word = producer(self._settings), str(time.monotonic_ns()).encode()
        count = topic_partitions(self._settings, WINDOWS)
        for number in range(count):
            send(sink, self._topic, word, partition=number)
        flush(sink)
        end_s = time.monotonic() + 2.0
        while self.heard.count(word) < count and time.monotonic() < end_s:
            time.sleep(0.05)
        return self.heard.count(word) >= count

    def crash(self) -> None:
        """Have the newest application crash, as an agent's error does."""
        app = self.made[-1]
        asyncio.run_coroutine_threadsafe(app.crash(BrokerError("what the test wants")), app.loop)

    def rejoin(self) -> None:
        """Have the newest application join its group again, as it does when another member comes or goes."""
        thread: Any = self.made[-1].consumer._thread  # type: ignore[attr-defined]
        thread.thread_loop.call_soon_threadsafe(thread._consumer._coordinator.request_rejoin)


@contextmanager
def running(settings: Settings, name: str) -> Iterator[Applications]:
    """Yield applications of which the first has all partitions."""
    applications = Applications(settings, name)
    thread = AppThread(applications.make, settings)
    thread.start()
    try:
        until(applications.has_all)
        yield applications
    finally:
        thread.stop()


def until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + AGAIN_S
    while not is_so():
        assert time.monotonic() < end_s, "in vain"
        time.sleep(0.1)


def once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, instead: Callable[..., Any]) -> None:
    """Replace a method of the Kafka client for its next call."""
    original = getattr(owner, name)

    async def call(self: Any, *arguments: Any) -> Any:
        monkeypatch.setattr(owner, name, original)
        return await instead(self, *arguments)

    monkeypatch.setattr(owner, name, call)


async def refuse(*_: Any) -> NoReturn:
    # By then no fetch is under way any more that the error could reach.
    await asyncio.sleep(1.0)
    raise KafkaError("UnknownError()")


async def hang(*_: Any) -> None:
    await asyncio.Event().wait()


def test_a_join_that_kafka_refuses_does_not_leave_an_application_outside_its_group(
    topics: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(topics, "refused") as applications:
        once(monkeypatch, CoordinatorGroupRebalance, "perform_group_join", refuse)
        applications.rejoin()
        until(lambda: len(applications.made) == 2)
        until(applications.has_all)


def test_a_coordination_that_ends_does_not_leave_an_application_outside_its_group(
    topics: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def end(*_: Any) -> NoReturn:
        await asyncio.sleep(1.0)
        raise AssertionError("an assignment that cannot be")

    with running(topics, "ended") as applications:
        once(monkeypatch, GroupCoordinator, "_on_join_complete", end)
        applications.rejoin()
        until(lambda: len(applications.made) == 2)
        until(applications.has_all)


def test_a_join_that_nobody_answers_is_given_up(topics: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(topics, "unanswered") as applications:
        monkeypatch.setattr(agents.membership, "STUCK_S", 3.0)
        once(monkeypatch, CoordinatorGroupRebalance, "perform_group_join", hang)
        applications.rejoin()
        until(lambda: len(applications.made) == 2)
        monkeypatch.setattr(agents.membership, "STUCK_S", AGAIN_S)
        until(applications.has_all)


def test_an_agent_that_has_lost_kafka_ends_its_application_which_hears_the_message_again(topics: Settings) -> None:
    with running(topics, "lost") as applications:
        applications.failure = BrokerError("Kafka did not take a message: what the test wants")
        sink = producer(topics)
        send(sink, topics.topic_name(WINDOWS), b"again", partition=0)
        flush(sink)
        until(lambda: len(applications.made) == 2)
        until(lambda: b"again" in applications.heard)


def test_an_application_that_does_not_stop_leaves_no_member_behind(
    topics: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(topics, "unstoppable") as applications:
        once(monkeypatch, aiokafka.AIOKafkaConsumer, "stop", hang)
        applications.crash()
        until(lambda: len(applications.made) == 2)
        until(applications.has_all)
