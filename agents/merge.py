"""The merge agent: partial windows of all partitions to the windows of a capture."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import Any

from confluent_kafka import Producer
from pydantic import TypeAdapter

from agents.app import Event, FaustApp, Received, Stream, TopicPartition, add_agent
from agents.held import EndedCaptures, HeldMessages
from infra.kafka import flush, send
from infra.settings import Settings
from schemas.captures import LedgerRow
from schemas.enums import BatchKind, Hop
from schemas.errors import WireError
from schemas.topics import WINDOW_PARTIALS, WINDOWS
from streams.merge import WindowMerger
from streams.partials import PARTIAL_SCHEMA, PartialWindow, partials_from_arrow
from streams.window_rows import window_rows
from streams.wire import BatchHeader, PartialHeader, decode_table, encode_table

log = logging.getLogger(__name__)

LEDGER_ROWS = TypeAdapter(list[LedgerRow])
"""Body of the message that ends a capture's windows."""


@dataclass
class _OpenCapture:
    """One capture whose windows are being merged."""

    merger: WindowMerger
    next_seq: list[int]
    ended: dict[int, int] = field(default_factory=dict)
    """Packets counted by each partition that has ended."""
    next_message: int = 0


class MergeStage:
    """Keeps the mergers of the assigned partitions and sends the windows they emit."""

    def __init__(self, settings: Settings, producer: Producer) -> None:
        self._topic = settings.topic_name(WINDOWS)
        self._producer = producer
        self._open: dict[tuple[int, str], _OpenCapture] = {}
        self._ended = EndedCaptures()

    def take(self, topic_partition: int, header: PartialHeader, body: bytes) -> bool:
        """Process one message; return whether no capture is open on the topic's partition any more."""
        batch = header.batch
        key = (topic_partition, batch.capture_id)
        if key in self._ended:
            return self._is_idle(topic_partition)
        capture = self._open.get(key)
        if capture is None:
            capture = self._open[key] = _OpenCapture(WindowMerger(batch.partitions), [0] * batch.partitions)
        if batch.seq >= capture.next_seq[header.partition]:
            capture.next_seq[header.partition] = batch.seq + 1
            partials = partials_from_arrow(decode_table(body, PARTIAL_SCHEMA))
            self._send(capture, batch, capture.merger.feed(header.partition, header.closed_through, partials))
            if batch.kind is BatchKind.END:
                capture.ended[header.partition] = header.records
        if len(capture.ended) == batch.partitions:
            self._end(capture, batch)
            del self._open[key]
            self._ended.add(key)
        return self._is_idle(topic_partition)

    def _is_idle(self, topic_partition: int) -> bool:
        return not any(open_partition == topic_partition for open_partition, _ in self._open)

    def drop(self, partitions: set[int]) -> None:
        """Forget partitions that another worker has now."""
        self._ended.forget(partitions)
        self._open = {key: value for key, value in self._open.items() if key[0] not in partitions}

    def _send(self, capture: _OpenCapture, batch: BatchHeader, windows: list[PartialWindow]) -> None:
        if windows:
            rows = window_rows(batch.capture_id, batch.window_ns, batch.origin_ns, windows)
            self._produce(capture, batch, BatchKind.DATA, encode_table(rows))

    def _end(self, capture: _OpenCapture, batch: BatchHeader) -> None:
        self._send(capture, batch, capture.merger.finish())
        counted = sum(capture.ended.values())
        ledger = [
            LedgerRow(
                capture_id=batch.capture_id,
                hop=Hop.WINDOWS,
                partition=partition,
                packets_in=records,
                packets_out=records,
                version=records + 1,
            )
            for partition, records in sorted(capture.ended.items())
        ]
        ledger.append(
            LedgerRow(
                capture_id=batch.capture_id,
                hop=Hop.MERGE,
                packets_in=counted,
                packets_out=capture.merger.records,
                version=capture.merger.records + 1,
            )
        )
        self._produce(capture, batch, BatchKind.END, LEDGER_ROWS.dump_json(ledger))

    def _produce(self, capture: _OpenCapture, batch: BatchHeader, kind: BatchKind, body: bytes) -> None:
        header = replace(batch, kind=kind, seq=capture.next_message)
        capture.next_message += 1
        send(self._producer, self._topic, body, key=batch.capture_id.encode(), headers=header.to_kafka())


def add_merge_agent(app: FaustApp, settings: Settings, producer: Producer) -> None:
    """Add the agent from ``window-partials`` to ``windows``."""
    stage = MergeStage(settings, producer)
    held = HeldMessages()
    topic = settings.topic_name(WINDOW_PARTIALS)

    async def merge(stream: Stream) -> None:
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
    add_agent(app, settings, WINDOW_PARTIALS, merge, "merge")


def _take(stage: MergeStage, event: Event) -> bool:
    """Process an event; what cannot be understood is logged and passed over."""
    message = Received.of(event)
    try:
        return stage.take(message.partition, PartialHeader.from_kafka(message.headers), message.body)
    except WireError:
        log.exception("skipped partial windows: %s", message)
        return False
