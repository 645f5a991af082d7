"""Captures on partitions: messages whose offsets wait, and captures that are over."""

from __future__ import annotations

from collections import defaultdict

from agents.app import Event


class HeldMessages:
    """Unacknowledged messages by partition.

    A stateful agent's open windows need all input since their capture began, so the partition's
    offset may move only when no capture is open on it: after a kill the same input comes again,
    gives the same output, and the outputs' keys make it the same rows.
    """

    def __init__(self) -> None:
        self._messages: defaultdict[int, list[Event]] = defaultdict(list)

    def hold(self, event: Event) -> None:
        """Keep an event unacknowledged, without its body."""
        message = event.message
        message.value = event.value = b""
        self._messages[message.partition].append(event)

    def release(self, partition: int) -> None:
        """Acknowledge everything that is held of a partition."""
        for event in self._messages.pop(partition, []):
            event.ack()

    def forget(self, partitions: set[int]) -> None:
        """Drop partitions that another worker has now."""
        for partition in partitions:
            self._messages.pop(partition, None)


MAX_ENDED = 1000
"""Captures remembered after their end."""


class EndedCaptures:
    """Captures that have ended on a partition, the newest ``MAX_ENDED`` of them.

    A request that two workers read after a rebalance is sent twice; the slower one's tail comes after the
    end and must not open the capture again.
    """

    def __init__(self) -> None:
        self._keys: dict[tuple[int, str], None] = {}

    def __contains__(self, key: tuple[int, str]) -> bool:
        """Whether a capture has ended on a partition."""
        return key in self._keys

    def add(self, key: tuple[int, str]) -> None:
        """Remember the end of a capture on a partition."""
        self._keys[key] = None
        if len(self._keys) > MAX_ENDED:
            del self._keys[next(iter(self._keys))]

    def forget(self, partitions: set[int]) -> None:
        """Drop partitions that another worker has now."""
        self._keys = {key: None for key in self._keys if key[0] not in partitions}
