"""The merge agent: partial windows of all partitions to the windows of a capture."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from confluent_kafka import Producer
from pydantic import TypeAdapter

from agents.app import FaustApp, Received
from agents.in_order import InOrder, Piece
from agents.sender import Sender
from agents.stage import CaptureStage
from agents.stateful import add_stateful_agent
from infra.settings import Settings
from schemas.captures import LedgerRow
from schemas.enums import BatchKind, Hop
from schemas.topics import WINDOW_PARTIALS, WINDOWS
from streams.merge import WindowMerger
from streams.partials import PARTIAL_SCHEMA, PartialWindow, partials_from_arrow
from streams.window_rows import window_rows
from streams.wire import UNKNOWN_NS, BatchHeader, PartialHeader, decode_table, encode_table

log = logging.getLogger(__name__)

LEDGER_ROWS = TypeAdapter(list[LedgerRow])
"""Body of the message that ends a capture's windows."""

KEPT_LIVE_WINDOWS = 6
"""Newest windows of a live capture that a late packet may still correct: a port's packets come in order but for
the skew of its rings, and every window kept is a part of every snapshot."""

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Partial windows of files up to which they are put into snapshots.

A file's packets may come in any order, so all its windows are kept until its end, and a snapshot would be as large as
they are. Past this size the next one waits for the end of the file: until then a restart merges again what Kafka has.
"""

MESSAGE_WINDOWS = 32
"""Windows in one message at most: with all their evidence they stay below what a topic takes."""


@dataclass
class _OpenCapture:
    """One capture whose windows are being merged."""

    merger: WindowMerger
    batch: BatchHeader
    """Header of its first message that knows where window 0 begins."""
    next_seq: list[int]
    pieces: InOrder
    ended: dict[int, int] = field(default_factory=dict)
    """Packets counted by each partition that has ended."""
    next_message: int = 0
    file_bytes: int = 0
    """Size of the partial windows taken so far; stays 0 for a live capture."""


def _new(batch: BatchHeader) -> _OpenCapture:
    merger = WindowMerger(batch.partitions, keep_windows=KEPT_LIVE_WINDOWS if batch.is_live else None)
    return _OpenCapture(merger, batch, [0] * batch.partitions, InOrder(batch.partitions))


class MergeStage(CaptureStage[_OpenCapture]):
    """Keeps the mergers of the assigned partitions and sends the windows they emit."""

    KIND = "merge stage 1"

    def __init__(self, settings: Settings, sender: Sender) -> None:
        super().__init__(settings, WINDOWS, sender)

    def take(self, message: Received) -> bool:
        """Process one message; see ``Stage``."""
        header = PartialHeader.from_kafka(message.headers)
        batch = header.batch
        capture = self._captures.get(message.partition, batch.capture_id, lambda: _new(batch))
        if capture is not None:
            if capture.batch.origin_ns == UNKNOWN_NS:
                capture.batch = batch
            if batch.seq >= capture.next_seq[header.partition]:
                capture.next_seq[header.partition] = batch.seq + 1
                self._feed(capture, header, message.body)
            if len(capture.ended) == batch.partitions:
                self._end(capture)
                self._captures.end(message.partition, batch.capture_id)
        return self._captures.is_idle(message.partition)

    def snapshot(self, partition: int) -> bytes | None:
        """Return everything that is kept of a partition, None while a file's windows are too large; see ``Stage``."""
        file_bytes = sum(capture.file_bytes for capture in self._captures.open_on(partition).values())
        return None if file_bytes > MAX_FILE_BYTES else super().snapshot(partition)

    def _dump(self, capture: _OpenCapture) -> tuple[dict[str, Any], list[bytes]]:
        pieces, bodies = capture.pieces.dump()
        facts = {
            "batch": asdict(capture.batch),
            "next_seq": capture.next_seq,
            "ended": sorted(capture.ended.items()),
            "next_message": capture.next_message,
            "file_bytes": capture.file_bytes,
            "pieces": pieces,
        }
        return facts, [capture.merger.snapshot(), *bodies]

    def _load(self, facts: dict[str, Any], blobs: list[bytes]) -> _OpenCapture:
        return _OpenCapture(
            WindowMerger.restore(blobs[0]),
            BatchHeader.from_facts(facts["batch"]),
            facts["next_seq"],
            InOrder.load(facts["pieces"], blobs[1:]),
            dict(facts["ended"]),
            facts["next_message"],
            facts["file_bytes"],
        )

    def _feed(self, capture: _OpenCapture, header: PartialHeader, body: bytes) -> None:
        is_end = header.batch.kind is BatchKind.END
        capture.file_bytes += 0 if header.batch.is_live else len(body)
        partials = decode_table(body, PARTIAL_SCHEMA)
        if is_end:
            capture.ended[header.partition] = header.records
        for piece in capture.pieces.put(header.partition, header.closed_through, partials, is_end=is_end):
            self._merge(capture, piece)

    def _merge(self, capture: _OpenCapture, piece: Piece) -> None:
        partials = partials_from_arrow(piece.partials)
        self._send(capture, capture.merger.feed(piece.partition, piece.closed_through, partials))

    def _send(self, capture: _OpenCapture, windows: list[PartialWindow]) -> None:
        batch = capture.batch
        for start in range(0, len(windows), MESSAGE_WINDOWS):
            some = windows[start : start + MESSAGE_WINDOWS]
            rows = window_rows(batch.capture_id, batch.window_ns, batch.origin_ns, some)
            self._produce(capture, BatchKind.DATA, encode_table(rows))
            first, last = some[0].window_id, some[-1].window_id
            packets = sum(window.records for window in some)
            log.info("Capture %s: windows %d to %d closed, %d packets", batch.capture_id, first, last, packets)

    def _end(self, capture: _OpenCapture) -> None:
        batch = capture.batch
        self._send(capture, capture.merger.finish())
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
        if too_late := capture.merger.too_late:
            reason = ledger[-1].model_copy(update={"reason": "too_late", "packets_in": too_late, "packets_out": 0})
            ledger.append(reason)
        self._produce(capture, BatchKind.END, LEDGER_ROWS.dump_json(ledger))

    def _produce(self, capture: _OpenCapture, kind: BatchKind, body: bytes) -> None:
        header = replace(capture.batch, kind=kind, seq=capture.next_message)
        capture.next_message += 1
        # All captures of a port meet the same baselines, in order: they share a partition.
        self._sender.send(self._topic, body, key=header.source.encode(), headers=header.to_kafka())


def add_merge_agent(app: FaustApp, settings: Settings, producer: Producer) -> None:
    """Add the agent from ``window-partials`` to ``windows``."""
    sender = Sender(producer)
    add_stateful_agent(app, settings, WINDOW_PARTIALS, MergeStage(settings, sender), sender)
