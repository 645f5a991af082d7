from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from agents.app import Event
from agents.held import HeldMessages


@dataclass
class Message:
    partition: int
    value: bytes = b"a large batch"


@dataclass
class Delivered:
    """What a consumer hands over, as far as holding it looks."""

    message: Message
    acked: list[int] = field(default_factory=list)

    def ack(self) -> None:
        self.acked.append(self.message.partition)


def held(*partitions: int) -> tuple[HeldMessages, list[Delivered]]:
    messages = HeldMessages()
    events = [Delivered(Message(partition)) for partition in partitions]
    for event in events:
        messages.hold(cast(Event, cast(Any, event)))
    return messages, events


def test_held_messages_give_their_bodies_back() -> None:
    _, (event,) = held(0)
    assert event.message.value == b""
    assert event.acked == []


def test_releasing_acknowledges_one_partition_once() -> None:
    messages, events = held(0, 1, 0)
    messages.release(0)
    messages.release(0)
    assert [event.acked for event in events] == [[0], [], [0]]


def test_forgotten_messages_are_never_acknowledged() -> None:
    messages, events = held(0, 1)
    messages.forget({0})
    messages.release(0)
    messages.release(1)
    assert [event.acked for event in events] == [[], [1]]
