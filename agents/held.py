"""Messages whose offsets wait until what was made of them is safe."""

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
