"""Messages whose offsets wait until what was made of them is safe."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from weakref import WeakKeyDictionary

from agents.app import Event, FaustApp


class Bodies:
    """Lets a message's body go once every agent that reads its topic has taken it: agents share their messages."""

    def __init__(self) -> None:
        self._readers: Counter[str] = Counter()
        self._taken: WeakKeyDictionary[object, int] = WeakKeyDictionary()

    def add_reader(self, topic: str) -> None:
        """Count one more agent that reads a topic."""
        self._readers[topic] += 1

    def take(self, event: Event) -> None:
        """Say that an agent has no more need of a body."""
        message = event.message
        taken = self._taken.get(message, 0) + 1
        self._taken[message] = taken
        if taken >= self._readers[message.topic]:
            message.value = event.value = b""


_BODIES: WeakKeyDictionary[FaustApp, Bodies] = WeakKeyDictionary()


def bodies_of(app: FaustApp) -> Bodies:
    """Return what the agents of an application share."""
    return _BODIES.setdefault(app, Bodies())


class HeldMessages:
    """Unacknowledged messages by partition, in order.

    A stateful agent's message may be acknowledged once a snapshot stands for it: until then it may be needed again.

    Parameters
    ----------
    bodies : Bodies
        Told of every message that is held: its body is of no more use here.
    """

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._messages: defaultdict[int, deque[Event]] = defaultdict(deque)

    def hold(self, event: Event) -> None:
        """Keep an event unacknowledged, without its body."""
        self._bodies.take(event)
        self._messages[event.message.partition].append(event)

    def release(self, partition: int, through: int) -> None:
        """Acknowledge what is held of a partition, up to an offset."""
        held = self._messages[partition]
        while held and held[0].message.offset <= through:
            held.popleft().ack()

    def forget(self, partitions: set[int]) -> None:
        """Drop partitions that another worker has now."""
        for partition in partitions:
            self._messages.pop(partition, None)
