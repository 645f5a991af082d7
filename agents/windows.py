"""The windows agent: batches of packets to partial windows, one operator per capture and partition."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import Producer

from agents.app import Event, FaustApp, Received, Stream, TopicPartition, add_agent
from agents.held import EndedCaptures, HeldMessages
from infra.kafka import flush, send
from infra.settings import Settings
from schemas.enums import BatchKind
from schemas.errors import WireError
from schemas.topics import PACKETS, WINDOW_PARTIALS
from streams.partials import PartialWindow, partials_to_arrow
from streams.windows import PartitionWindows
from streams.wire import BatchHeader, PartialHeader, decode_packets, encode_table, packets_of

log = logging.getLogger(__name__)


@dataclass
class _OpenCapture:
    """One capture on one partition."""

    operator: PartitionWindows
    next_seq: int = 0
    next_partial: int = 0


class WindowsStage:
    """Keeps the operators of the assigned partitions and sends what they close.

    Parameters
    ----------
    producer : confluent_kafka.Producer
        Where partial windows go.
    """

    def __init__(self, settings: Settings, producer: Producer) -> None:
        self._settings = settings
        self._topic = settings.topic_name(WINDOW_PARTIALS)
        self._producer = producer
        self._open: dict[tuple[int, str], _OpenCapture] = {}
        self._ended = EndedCaptures()

    def take(self, partition: int, header: BatchHeader, body: bytes) -> bool:
        """Process one message; return whether no capture is open on the partition any more."""
        key = (partition, header.capture_id)
        if key in self._ended:
            return self._is_idle(partition)
        capture = self._open.get(key)
        if capture is None:
            operator = PartitionWindows(header.window_ns, header.origin_ns, self._settings.lateness_ns)
            capture = self._open[key] = _OpenCapture(operator)
        if header.seq >= capture.next_seq:
            capture.next_seq = header.seq + 1
            self._feed(partition, capture, header, body)
        if header.kind is BatchKind.END:
            del self._open[key]
            self._ended.add(key)
        return self._is_idle(partition)

    def _is_idle(self, partition: int) -> bool:
        return not any(open_partition == partition for open_partition, _ in self._open)

    def drop(self, partitions: set[int]) -> None:
        """Forget partitions that another worker has now."""
        self._ended.forget(partitions)
        self._open = {key: value for key, value in self._open.items() if key[0] not in partitions}

    def _feed(self, partition: int, capture: _OpenCapture, header: BatchHeader, body: bytes) -> None:
        operator = capture.operator
        closed_before = operator.closed_through
        match header.kind:
            case BatchKind.DATA:
                partials = operator.feed(packets_of(decode_packets(body)), header.clock_ns)
            case BatchKind.PROGRESS:
                partials = operator.advance(header.clock_ns)
            case BatchKind.END:
                partials = operator.flush()
        if partials or operator.closed_through > closed_before or header.kind is BatchKind.END:
            self._send(partition, capture, header, partials)

    def _send(self, partition: int, capture: _OpenCapture, header: BatchHeader, partials: list[PartialWindow]) -> None:
        sent = PartialHeader(
            batch=replace(header, seq=capture.next_partial),
            partition=partition,
            closed_through=capture.operator.closed_through,
            records=capture.operator.records,
        )
        capture.next_partial += 1
        send(
            self._producer,
            self._topic,
            encode_table(partials_to_arrow(partials)),
            key=header.capture_id.encode(),
            headers=sent.to_kafka(),
        )


def add_windows_agent(app: FaustApp, settings: Settings, producer: Producer) -> None:
    """Add the agent from ``packets`` to ``window-partials``."""
    stage = WindowsStage(settings, producer)
    held = HeldMessages()
    topic = settings.topic_name(PACKETS)

    async def windows(stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        async for event in stream.noack().events():
            is_idle = await loop.run_in_executor(None, _take, stage, event)
            if is_idle:
                await loop.run_in_executor(None, flush, producer)
            held.hold(event)
            if is_idle:
                held.release(event.message.partition)

    async def on_revoked(*_sender: Any, revoked: set[TopicPartition] | None = None, **_more: Any) -> None:
        partitions = {tp.partition for tp in revoked or () if tp.topic == topic}
        stage.drop(partitions)
        held.forget(partitions)

    app.on_partitions_revoked.connect(on_revoked, weak=False)
    add_agent(app, settings, PACKETS, windows, "windows")


def _take(stage: WindowsStage, event: Event) -> bool:
    """Process an event; what cannot be understood is logged and passed over."""
    message = Received.of(event)
    try:
        return stage.take(message.partition, BatchHeader.from_kafka(message.headers), message.body)
    except WireError:
        log.exception("skipped packets: %s", message)
        return False
