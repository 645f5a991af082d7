"""Ends captures whose process is gone: a capture runs only as long as it says so.

For whatever nobody else ends: a file's capture that was killed, a machine that is gone, a port that is not captured
from again. A port that is, is dealt with at once by ``streams.unfinished``.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from agents.app import FaustApp
from agents.sender import Sender
from infra.kafka import client_config, producer
from infra.settings import Settings
from infra.store import Store
from infra.topic_reader import octets
from infra.topics import topic_partitions
from schemas.captures import CaptureEvent, CaptureRow
from schemas.enums import BatchKind, CaptureState
from schemas.errors import BrokerError, SpanwatchError
from schemas.topics import CAPTURES, PACKETS
from streams.wire import LAST_SEQ, UNKNOWN_NS, BatchHeader

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""Pause between two looks, s."""

ASK_S = 1.0
"""How long the broker may take to answer before it counts as away, s."""

_RUNNING = "SELECT * EXCEPT (is_stored) FROM captures_now WHERE state = 'running'"


class Leases:
    """The captures that run, and when each was last heard of.

    A capture that a worker reads on request is left alone: after a kill it is read again, under the same numbers,
    and an end would make every stage pass over what comes then. While the broker is away nobody can be heard, so no
    lease runs out then.

    Parameters
    ----------
    timeout_s : float
        Silence after which a capture has ended, s.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._running: dict[str, tuple[CaptureRow, float]] = {}

    def hear(self, capture: CaptureRow, now_s: float) -> None:
        """Take in where a capture says it stands."""
        if capture.state is CaptureState.RUNNING and not capture.is_requested:
            self._running[capture.capture_id] = capture, now_s
        else:
            self._running.pop(capture.capture_id, None)

    def extend(self, now_s: float) -> None:
        """Begin every lease anew."""
        self._running = {name: (capture, now_s) for name, (capture, _) in self._running.items()}

    def expired(self, now_s: float) -> list[CaptureRow]:
        """Return the captures that have been silent for too long."""
        return [capture for capture, heard_s in self._running.values() if now_s - heard_s > self._timeout_s]

    def forget(self, capture_id: str) -> None:
        """Stop waiting for a capture."""
        self._running.pop(capture_id, None)


class Reaper:
    """Listens to all captures and ends those that have gone silent.

    It reads the topic outside any group, from its end: each process with storage agents hears every capture, and
    is not behind when the store is. As long as it cannot be sure to have heard everything, every lease begins anew.
    Two of them may end the same capture; the second end is passed over.

    Parameters
    ----------
    store : Store
        Knows the captures that ran before this process was started.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._leases = Leases(settings.capture_timeout_s)
        self._consumer: Consumer | None = None
        self._asker: Consumer | None = None
        self._next: dict[int, int] = {}
        """By partition, the offset of the next message to hear."""

    def look(self) -> None:
        """Hear what has been said since the last look, and end who has been silent."""
        now_s = time.monotonic()
        try:
            if self._consumer is None or self._asker is None:
                # What the topic ends with is asked over a connection of its own: on the listener's the answer would
                # come behind that of a fetch, which the broker holds back for half a second, for each partition.
                self._asker = Consumer(self._client())
                self._consumer = self._listen(now_s)
            is_heard = self._hear(self._consumer, self._asker)
        except (KafkaException, SpanwatchError) as error:
            log.debug("captures cannot be heard: %s", error)
            self.close()
            is_heard = False
        if not is_heard:
            self._leases.extend(time.monotonic())
        for capture in self._leases.expired(time.monotonic()):
            self._end(capture)

    def close(self) -> None:
        """Stop listening."""
        for client in (self._consumer, self._asker):
            if client is not None:
                client.close()
        self._consumer = self._asker = None

    def _client(self) -> dict[str, Any]:
        return {
            **client_config(self._settings),
            "group.id": f"{self._settings.group_name('reaper')}-{os.getpid()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }

    def _listen(self, now_s: float) -> Consumer:
        """Return a consumer at the end of the topic; from now on the running captures are awaited."""
        topic = self._settings.topic_name(CAPTURES)
        consumer = Consumer(self._client())
        known = consumer.list_topics(topic, timeout=ASK_S).topics[topic].partitions
        if len(known) < topic_partitions(self._settings, CAPTURES):
            raise BrokerError(f"Kafka does not know all partitions of {topic} yet.")
        for number in known:
            _, self._next[number] = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=ASK_S)
        consumer.assign([TopicPartition(topic, number, offset) for number, offset in self._next.items()])
        for row in self._store.query(_RUNNING):
            self._leases.hear(CaptureRow.model_validate(row), now_s)
        return consumer

    def _hear(self, consumer: Consumer, asker: Consumer) -> bool:
        """Take in what has been said; return whether that is everything that had been said when this was called."""
        topic = self._settings.topic_name(CAPTURES)
        ends = {
            number: asker.get_watermark_offsets(TopicPartition(topic, number), timeout=ASK_S)[1]
            for number in self._next
        }
        end_s = time.monotonic() + LOOK_S
        while any(self._next[number] < end for number, end in ends.items()):
            if time.monotonic() > end_s:
                return False
            for message in consumer.consume(1000, timeout=0.1):
                if message.error() is not None:
                    return False
                self._take(message)
        return True

    def _take(self, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        if partition is not None and offset is not None:
            self._next[partition] = offset + 1
        try:
            told = CaptureEvent.model_validate_json(octets(message.value()))
        except ValueError:
            return  # The storage agent logs it.
        self._leases.hear(told.capture, time.monotonic())

    def _end(self, capture: CaptureRow) -> None:
        """Send a capture's end to every partition, and that it failed."""
        log.warning("capture %s of %s has been silent for too long and is ended", capture.capture_id, capture.name)
        sender = Sender(producer(self._settings))
        end = self._end_of(capture)
        key = capture.capture_id.encode()
        try:
            for partition in range(capture.partitions):
                topic = self._settings.topic_name(PACKETS)
                sender.send(topic, b"", key=key, headers=end.to_kafka(), partition=partition)
            told = CaptureEvent(capture=self._failed(capture)).model_dump_json().encode()
            sender.send(self._settings.topic_name(CAPTURES), told, key=key, headers=[])
            sender.flush()
        except BrokerError as error:
            log.warning("capture %s cannot be ended yet: %s", capture.capture_id, error)
        else:
            self._leases.forget(capture.capture_id)

    def _end_of(self, capture: CaptureRow) -> BatchHeader:
        """Return the header of an end that comes behind everything of a capture."""
        return BatchHeader(
            capture_id=capture.capture_id,
            sensor=capture.sensor,
            kind=BatchKind.END,
            seq=LAST_SEQ,
            partitions=capture.partitions,
            window_ns=capture.window_ns,
            origin_ns=UNKNOWN_NS,
            clock_ns=capture.last_ts_ns or 0,
            is_live=capture.source == "live",
            interface=capture.name if capture.source == "live" else "",
        )

    def _failed(self, capture: CaptureRow) -> CaptureRow:
        silence_s = self._settings.capture_timeout_s
        changes: dict[str, Any] = {
            # Whatever its process should still say of it, it has ended.
            "version": LAST_SEQ,
            "state": CaptureState.FAILED,
            "ended_ns": time.time_ns(),
            "error": f"Its process has not reported for {silence_s:g} s: it was killed, or its machine is gone.",
        }
        return capture.model_copy(update=changes)


def add_reaper(app: FaustApp, settings: Settings, store: Store) -> None:
    """Have captures that have gone silent ended as long as the application runs."""
    reaper = Reaper(settings, store)

    async def look() -> None:
        await app.loop.run_in_executor(None, reaper.look)

    async def close(*_told: Any, **_more: Any) -> None:
        reaper.close()

    app.timer(LOOK_S)(look)
    app.on_before_shutdown.connect(close, weak=False)
