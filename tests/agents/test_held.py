from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from agents.app import Event
from agents.held import MAX_ENDED, EndedCaptures, HeldMessages


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


def test_captures_that_ended_are_remembered_per_partition() -> None:
    ended = EndedCaptures()
    ended.add((0, "a"))
    ended.add((1, "a"))
    ended.forget({1})
    assert (0, "a") in ended
    assert (1, "a") not in ended
    assert (0, "b") not in ended


def test_only_the_newest_ends_are_remembered() -> None:
    ended = EndedCaptures()
    for number in range(MAX_ENDED + 1):
        ended.add((0, str(number)))
    assert (0, "0") not in ended
    assert (0, str(MAX_ENDED)) in ended
