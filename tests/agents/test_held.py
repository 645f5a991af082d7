from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from agents.app import Event
from agents.held import Bodies, HeldMessages


@dataclass(eq=False)
class Message:
    partition: int
    offset: int = 0
    topic: str = "topic"
    value: bytes = b"a large batch"


@dataclass
class Delivered:
    """What a consumer hands over, as far as holding it looks."""

    message: Message
    acked: list[int] = field(default_factory=list)

    def ack(self) -> None:
        self.acked.append(self.message.partition)


def held(*partitions: int) -> tuple[HeldMessages, list[Delivered]]:
    bodies = Bodies()
    bodies.add_reader("topic")
    messages = HeldMessages(bodies)
    events = [Delivered(Message(partition, offset)) for offset, partition in enumerate(partitions)]
    for event in events:
        messages.hold(cast(Event, cast(Any, event)))
    return messages, events


def test_held_messages_give_their_bodies_back() -> None:
    _, (event,) = held(0)
    assert event.message.value == b""
    assert event.acked == []


def test_a_body_stays_until_every_agent_of_the_topic_has_taken_it() -> None:
    bodies = Bodies()
    for _ in range(2):
        bodies.add_reader("topic")
    event = Delivered(Message(0))
    for left in (b"a large batch", b""):
        HeldMessages(bodies).hold(cast(Event, cast(Any, event)))
        assert event.message.value == left


def test_releasing_acknowledges_one_partition_once() -> None:
    messages, events = held(0, 1, 0)
    messages.release(0, through=2)
    messages.release(0, through=2)
    assert [event.acked for event in events] == [[0], [], [0]]


def test_messages_behind_the_offset_stay_held() -> None:
    messages, events = held(0, 0, 0)
    messages.release(0, through=1)
    assert [event.acked for event in events] == [[0], [0], []]
    messages.release(0, through=2)
    assert [event.acked for event in events] == [[0], [0], [0]]


def test_forgotten_messages_are_never_acknowledged() -> None:
    messages, events = held(0, 1)
    messages.forget({0})
    messages.release(0, through=9)
    messages.release(1, through=9)
    assert [event.acked for event in events] == [[], [1]]
