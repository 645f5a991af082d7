"""What a capture does when the stages behind it cannot follow: a file waits, a port samples whole flows."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Protocol

from infra.kafka import QUEUE_KIB
from infra.lag import BackPressure, LagWatch
from infra.settings import Settings
from schemas.topics import PACKETS, STORAGE_GROUP
from streams.frames import FrameSource
from streams.sampling import FlowSampling

log = logging.getLogger(__name__)

MAX_LAG_S = 30.0
"""How old the oldest packets may be that the store has not got yet. A file that is read meanwhile puts some
seconds of work before a port's packets; more than that, and the store does not follow. Kafka keeps the packets on
its disk meanwhile."""

MAX_QUEUE = 0.5
"""Share of the producer's queue that may be waiting for Kafka: beyond the whole of it, sending waits."""

MAX_FILL = 0.5
"""Share of the kernel's ring that may be full: beyond the whole of it, frames are lost."""


class Overload(Protocol):
    """How a capture gets along with stages that are slower than it."""

    sampling: FlowSampling

    def sent(self, n_bytes: int) -> None:
        """Note that a message goes into the producer's queue."""

    def delivered(self, n_bytes: int) -> None:
        """Note that a message has left the queue."""

    def after(self, messages: int) -> None:
        """Do what is to be done after a chunk of so many messages."""

    def close(self) -> None:
        """Close the connections."""


class HoldBack:
    """What a file does: it waits until the store has come closer (``BackPressure``)."""

    def __init__(self, settings: Settings) -> None:
        self.sampling = FlowSampling()
        self._pressure = BackPressure(settings, settings.group_name(STORAGE_GROUP), PACKETS)

    def sent(self, n_bytes: int) -> None:
        """Do nothing: the queue makes its producer wait."""

    def delivered(self, n_bytes: int) -> None:
        """Do nothing."""

    def after(self, messages: int) -> None:
        """Wait while the store is far behind."""
        self._pressure.wait(messages)

    def close(self) -> None:
        """Close the connection."""
        self._pressure.close()


class Sample:
    """What a port does: it never waits, and leaves out flows.

    Parameters
    ----------
    settings : Settings
        Which broker.
    source : FrameSource
        The port, for how full its ring is.
    """

    def __init__(self, settings: Settings, source: FrameSource) -> None:
        self.sampling = FlowSampling()
        self._source = source
        self._watch = LagWatch(settings, settings.group_name(STORAGE_GROUP), PACKETS)
        self._sent = SentTimes()
        self._queued_bytes = 0

    def sent(self, n_bytes: int) -> None:
        """Note that a message goes into the producer's queue."""
        self._queued_bytes += n_bytes

    def delivered(self, n_bytes: int) -> None:
        """Note that a message has left the queue."""
        self._queued_bytes -= n_bytes

    def after(self, messages: int) -> None:
        """Look at the pressure and choose the share of flows to keep."""
        now_s = time.monotonic()
        self._sent.add(messages, now_s)
        before = self.sampling.rate
        pressure = self.pressure(now_s)
        rate = self.sampling.look(pressure, now_s)
        if rate != before:
            log.warning("keeping %g of the flows (%g before): pressure %.2f", rate, before, pressure)

    def pressure(self, now_s: float) -> float:
        """Return how near the stages behind are to their bounds: 1 is at one."""
        lag_s = self._sent.age_s(self._watch.messages, now_s)
        queued = self._queued_bytes / (QUEUE_KIB * 1024)
        return max(lag_s / MAX_LAG_S, queued / MAX_QUEUE, self._source.fill / MAX_FILL)

    def close(self) -> None:
        """Close the connection."""
        self._watch.close()


class SentTimes:
    """When the last messages were sent: tells from a number of messages how long ago the oldest of them was."""

    def __init__(self) -> None:
        self._times: deque[tuple[float, int]] = deque(maxlen=4096)

    def add(self, messages: int, now_s: float) -> None:
        """Note messages sent now."""
        self._times.append((now_s, messages))

    def age_s(self, behind: int, now_s: float) -> float:
        """Return how long ago the ``behind``-th last message was sent, s; 0 for none.

        Messages of other captures count like our own, so more may be behind than were sent here: the answer is
        then the age of our first one.
        """
        age_s = 0.0
        for sent_s, messages in reversed(self._times):
            if behind <= 0:
                break
            age_s = now_s - sent_s
            behind -= messages
        return age_s
