"""From a capture file to messages on the ``packets`` topic."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from confluent_kafka import KafkaError, Message, Producer

from infra.kafka import flush, send
from infra.lag import BackPressure
from infra.settings import Settings
from schemas.captures import CaptureEvent, CaptureRow, LedgerRow
from schemas.enums import BatchKind, CaptureState, DecodeStatus, Hop
from schemas.errors import BrokerError, SpanwatchError
from schemas.packets import MAX_BATCH_PACKETS
from schemas.topics import CAPTURES, PACKETS, STORAGE_GROUP
from streams.decode import decode
from streams.files import CaptureFile
from streams.packets import NO_TIME_NS, Packets
from streams.split import split
from streams.wire import BatchHeader, encode_packets

CHUNK_PACKETS = 131_072
"""Frames read at a time for each partition: one insert costs ClickHouse as much as 20,000 rows do."""

FLUSH_NS = 250_000_000
"""A paced capture sends what it has at the latest after so much time."""

REPORT_S = 0.5
"""How often a running capture reports its progress, s."""


@dataclass(frozen=True)
class Chunk:
    """One step of a capture: a message for every partition.

    Parameters
    ----------
    header : BatchHeader
        Of a ``data`` message of the chunk; a partition without packets gets a ``progress``.
    batches : list of RecordBatch or None
        Packets by partition.
    packets : Packets
        All packets of the chunk, in the order of the capture.
    """

    header: BatchHeader
    batches: list[pa.RecordBatch | None]
    packets: Packets


@dataclass(frozen=True)
class CapturePlan:
    """What to capture and how to name it.

    Parameters
    ----------
    capture_id, name, fingerprint, sensor : str
        See ``CAPTURE_COLUMNS``.
    window_ns : int
        Window size, ns.
    partitions : int
        Partitions of the ``packets`` topic.
    speed : float
        0 reads as fast as possible, N at N times the original speed.
    """

    capture_id: str
    name: str
    fingerprint: str
    sensor: str
    window_ns: int
    partitions: int
    speed: float = 0.0


def chunks(file: CaptureFile, plan: CapturePlan) -> Iterator[Chunk]:
    """Cut a capture into chunks; the same regular file and plan give the same chunks."""
    origin_ns = newest_ns = None
    seq = 0
    for run in _runs(file, min(CHUNK_PACKETS * plan.partitions, MAX_BATCH_PACKETS)):
        if origin_ns is None or newest_ns is None:
            origin_ns = newest_ns = int(run.packets.ts_ns[0])
        for rows in _flushes(run.packets, plan.speed):
            part = _rows_of(run.packets, rows)
            newest_ns = part.newest_ns(newest_ns)
            header = BatchHeader(
                capture_id=plan.capture_id,
                sensor=plan.sensor,
                kind=BatchKind.DATA,
                seq=seq,
                partitions=plan.partitions,
                window_ns=plan.window_ns,
                origin_ns=origin_ns,
                clock_ns=newest_ns,
                first_frame=int(part.frame[0]),
                last_frame=int(part.frame[-1]),
                first_offset=run.first_offset,
                last_offset=run.last_offset,
            )
            yield Chunk(header, split(part, plan.partitions), part)
            seq += 1


class _Run(NamedTuple):
    """Decoded packets that follow one another in a capture, and the part of the file they are from."""

    packets: Packets
    first_offset: int
    last_offset: int


def _runs(file: CaptureFile, max_frames: int) -> Iterator[_Run]:
    """Decode a capture and put neighbouring blocks together, up to ``max_frames`` packets.

    A block of a file ends with the reader's buffer, so its frames may be few where they are long. A pipe's
    blocks are handed on as they come: what it has not sent yet is not waited for.
    """
    waiting: list[_Run] = []
    n_waiting, newest_ns = 0, NO_TIME_NS
    for block in file.blocks(max_frames):
        if n_waiting + len(block) > max_frames:
            yield _joined(waiting)
            waiting, n_waiting = [], 0
        packets = decode(block, newest_ns)
        newest_ns = packets.newest_ns(newest_ns)
        waiting.append(_Run(packets, block.first_offset, block.last_offset))
        n_waiting += len(block)
        if not file.file_bytes:
            yield _joined(waiting)
            waiting, n_waiting = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(runs: list[_Run]) -> _Run:
    if len(runs) == 1:
        return runs[0]
    columns: list[Any] = [np.concatenate(parts) for parts in zip(*(run.packets for run in runs), strict=True)]
    return _Run(Packets(*columns), runs[0].first_offset, runs[-1].last_offset)


def _rows_of(packets: Packets, rows: slice) -> Packets:
    columns: list[Any] = [column[rows] for column in packets]
    return Packets(*columns)


def _flushes(packets: Packets, speed: float) -> list[slice]:
    """Return the runs of packets to send together: all of them, or one run per flush interval."""
    if speed <= 0:
        return [slice(0, len(packets.ts_ns))]
    interval = (packets.ts_ns + packets.lag_ns) // int(FLUSH_NS * speed)
    cuts = [0, *(np.flatnonzero(np.diff(interval)) + 1).tolist(), len(packets.ts_ns)]
    return [slice(first, last) for first, last in pairwise(cuts)]


class CaptureRun:
    """Sends one capture to Kafka and keeps its ledger.

    Parameters
    ----------
    file : CaptureFile
        The opened capture.
    plan : CapturePlan
        What to call it and how fast to go.
    settings : Settings
        Which broker, and the topics' prefix.
    producer : confluent_kafka.Producer
        An idempotent producer with a bounded queue.
    """

    def __init__(self, file: CaptureFile, plan: CapturePlan, settings: Settings, producer: Producer) -> None:
        self._file = file
        self._plan = plan
        self._producer = producer
        self._packets_topic = settings.topic_name(PACKETS)
        self._captures_topic = settings.topic_name(CAPTURES)
        self._pressure = BackPressure(settings, settings.group_name(STORAGE_GROUP), PACKETS)
        self._statuses = np.zeros(len(DecodeStatus), np.int64)
        self._acknowledged = 0
        self._failure: str | None = None
        self._seq = 0
        self.row = CaptureRow(
            capture_id=plan.capture_id,
            version=0,
            state=CaptureState.RUNNING,
            source="pcap",
            name=plan.name,
            fingerprint=plan.fingerprint,
            sensor=plan.sensor,
            window_ns=plan.window_ns,
            partitions=plan.partitions,
            started_ns=time.time_ns(),
            file_bytes=file.file_bytes,
        )
        """Where the capture stands."""

    def steps(self) -> Generator[CaptureRow]:
        """Send the capture chunk by chunk; yield where it stands after each.

        Closing the generator early ends the capture as failed: what was sent is kept.

        Raises
        ------
        CaptureError
            When the file breaks off in a way that is no mere truncation.
        BrokerError
            When Kafka does not take the messages.
        """
        self._report()
        reported_s = time.monotonic()
        last: BatchHeader | None = None
        error = "interrupted"
        try:
            for chunk in chunks(self._file, self._plan):
                self._pace(chunk.header)
                self._send_chunk(chunk)
                last = chunk.header
                if time.monotonic() - reported_s > REPORT_S:
                    self._report()
                    reported_s = time.monotonic()
                yield self.row
                self._pressure.wait(len(chunk.batches))
            error = ""
        except SpanwatchError as failure:
            error = str(failure)
            raise
        finally:
            self._finish(last, error)
        yield self.row

    def _pace(self, header: BatchHeader) -> None:
        """Wait until it is the chunk's time, if the capture is replayed at a speed."""
        if self._plan.speed > 0:
            due_s = (header.clock_ns - header.origin_ns) / 1e9 / self._plan.speed
            elapsed_s = (time.time_ns() - self.row.started_ns) / 1e9
            time.sleep(max(0.0, due_s - elapsed_s))

    def _send_chunk(self, chunk: Chunk) -> None:
        for partition, batch in enumerate(chunk.batches):
            if batch is None:
                self._send(partition, replace(chunk.header, kind=BatchKind.PROGRESS), b"", 0)
            else:
                self._send(partition, chunk.header, encode_packets(batch), batch.num_rows)
        packets = chunk.packets
        self._statuses += np.bincount(packets.decode_status, minlength=len(DecodeStatus))
        self._seq = chunk.header.seq + 1
        first_ns = int(packets.ts_ns.min())
        known_first_ns = self.row.first_ts_ns
        self.row = self.row.model_copy(
            update={
                "version": self._seq,
                "packets": self.row.packets + len(packets.ts_ns),
                "bytes": self.row.bytes + int(packets.length_bytes.sum(dtype=np.int64)),
                "first_ts_ns": first_ns if known_first_ns is None else min(first_ns, known_first_ns),
                "last_ts_ns": chunk.header.clock_ns,
            }
        )

    def _send(self, partition: int, header: BatchHeader, body: bytes, n_packets: int) -> None:
        self._raise_failure()
        send(
            self._producer,
            self._packets_topic,
            body,
            key=header.capture_id.encode(),
            partition=partition,
            headers=header.to_kafka(),
            on_delivery=partial(self._delivered, n_packets),
        )

    def _delivered(self, n_packets: int, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self._acknowledged += n_packets
        else:
            self._failure = str(error)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise BrokerError(f"Kafka did not take a batch of packets: {self._failure}")

    def _finish(self, last: BatchHeader | None, error: str) -> None:
        """Send the end to every partition, wait for Kafka, and report the final state."""
        end = last or BatchHeader(
            capture_id=self._plan.capture_id,
            sensor=self._plan.sensor,
            kind=BatchKind.END,
            seq=0,
            partitions=self._plan.partitions,
            window_ns=self._plan.window_ns,
            origin_ns=0,
            clock_ns=0,
        )
        for partition in range(self._plan.partitions):
            self._send(partition, replace(end, kind=BatchKind.END, seq=self._seq), b"", 0)
        flush(self._producer)
        self._pressure.close()
        self._raise_failure()
        self.row = self.row.model_copy(
            update={
                "version": self._seq + 1,
                "state": CaptureState.FAILED if error else CaptureState.COMPLETE,
                "ended_ns": time.time_ns(),
                "is_truncated": self._file.is_truncated,
                "error": error,
            }
        )
        self._report()

    def _report(self) -> None:
        """Send where the capture stands, with the ledger once it is over."""
        ledger = [] if self.row.state is CaptureState.RUNNING else self._ledger()
        _tell(CaptureEvent(capture=self.row, ledger=ledger), self._producer, self._captures_topic)
        if ledger:
            flush(self._producer)

    def _ledger(self) -> list[LedgerRow]:
        read, decoded = self.row.packets, int(self._statuses.sum())
        row = partial(LedgerRow, capture_id=self.row.capture_id, version=self.row.version)
        reasons = [
            row(
                hop=Hop.DECODE,
                reason=status.name.lower(),
                packets_in=int(self._statuses[status]),
                packets_out=int(self._statuses[status]),
            )
            for status in DecodeStatus
            if status is not DecodeStatus.OK and self._statuses[status]
        ]
        return [
            row(hop=Hop.READ, packets_in=read, packets_out=read),
            row(hop=Hop.DECODE, packets_in=read, packets_out=decoded),
            *reasons,
            row(hop=Hop.PRODUCE, packets_in=decoded, packets_out=self._acknowledged),
        ]


def refusal(plan: CapturePlan, error: str, producer: Producer, captures_topic: str) -> CaptureRow:
    """Report a capture that could not even be opened; return its row."""
    now_ns = time.time_ns()
    row = CaptureRow(
        capture_id=plan.capture_id,
        state=CaptureState.FAILED,
        source="pcap",
        name=plan.name,
        fingerprint=plan.fingerprint,
        sensor=plan.sensor,
        window_ns=plan.window_ns,
        partitions=plan.partitions,
        started_ns=now_ns,
        ended_ns=now_ns,
        error=error,
    )
    _tell(CaptureEvent(capture=row), producer, captures_topic)
    flush(producer)
    return row


def _tell(event: CaptureEvent, producer: Producer, topic: str) -> None:
    send(producer, topic, event.model_dump_json().encode(), key=event.capture.capture_id.encode())
