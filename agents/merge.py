"""The merge agent: partial windows of all partitions to the windows of a capture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from confluent_kafka import Producer
from pydantic import TypeAdapter

from agents.app import FaustApp, Received
from agents.stateful import OpenCaptures, add_stateful_agent
from infra.kafka import send
from infra.settings import Settings
from schemas.captures import LedgerRow
from schemas.enums import BatchKind, Hop
from schemas.topics import WINDOW_PARTIALS, WINDOWS
from streams.merge import WindowMerger
from streams.partials import PARTIAL_SCHEMA, PartialWindow, partials_from_arrow
from streams.window_rows import window_rows
from streams.wire import BatchHeader, PartialHeader, decode_table, encode_table

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


def _new(batch: BatchHeader) -> _OpenCapture:
    return _OpenCapture(WindowMerger(batch.partitions), [0] * batch.partitions)


class MergeStage:
    """Keeps the mergers of the assigned partitions and sends the windows they emit."""

    def __init__(self, settings: Settings, producer: Producer) -> None:
        self._topic = settings.topic_name(WINDOWS)
        self._producer = producer
        self._captures: OpenCaptures[_OpenCapture] = OpenCaptures()

    def take(self, message: Received) -> bool:
        """Process one message; return whether no capture is open on its partition any more.

        Raises
        ------
        WireError
            When the message cannot be understood.
        """
        header = PartialHeader.from_kafka(message.headers)
        batch = header.batch
        capture = self._captures.get(message.partition, batch.capture_id, lambda: _new(batch))
        if capture is not None:
            if batch.seq >= capture.next_seq[header.partition]:
                capture.next_seq[header.partition] = batch.seq + 1
                self._feed(capture, header, message.body)
            if len(capture.ended) == batch.partitions:
                self._end(capture, batch)
                self._captures.end(message.partition, batch.capture_id)
        return self._captures.is_idle(message.partition)

    def drop(self, partitions: set[int]) -> None:
        """Forget partitions that another worker has now."""
        self._captures.drop(partitions)

    def _feed(self, capture: _OpenCapture, header: PartialHeader, body: bytes) -> None:
        partials = partials_from_arrow(decode_table(body, PARTIAL_SCHEMA))
        windows = capture.merger.feed(header.partition, header.closed_through, partials)
        self._send(capture, header.batch, windows)
        if header.batch.kind is BatchKind.END:
            capture.ended[header.partition] = header.records

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
    add_stateful_agent(app, settings, WINDOW_PARTIALS, MergeStage(settings, producer), producer)
