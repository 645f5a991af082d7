"""From a capture to messages on the ``packets`` topic."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace
from functools import partial

import numpy as np
from confluent_kafka import KafkaError, Message, Producer

from infra.kafka import flush, send
from infra.settings import Settings
from schemas.captures import CaptureEvent, CaptureRow
from schemas.enums import BatchKind, CaptureState, Hop
from schemas.errors import BrokerError, SpanwatchError
from schemas.topics import CAPTURES, PACKETS
from streams.capture_ledger import CaptureLedger
from streams.chunks import CapturePlan, Chunk, chunks
from streams.frames import FrameSource, HopCount
from streams.heartbeat import Heartbeat
from streams.overload import HoldBack, Overload, Sample
from streams.unfinished import forget_running, note_running
from streams.wire import BatchHeader, encode_packets

REPORT_S = 0.5
"""How often a running capture reports its progress, s."""

LIVE_REPORT_S = 1.0
"""The same of a live capture, which may run for months and sends its ledger each time, s."""


class CaptureRun:
    """Sends one capture to Kafka and keeps its ledger.

    Parameters
    ----------
    source : FrameSource
        The opened file or port.
    plan : CapturePlan
        What to call it and how fast to go.
    settings : Settings
        Which broker, and the topics' prefix.
    producer : confluent_kafka.Producer
        An idempotent producer with a bounded queue.
    """

    def __init__(self, source: FrameSource, plan: CapturePlan, settings: Settings, producer: Producer) -> None:
        self._source = source
        self._plan = plan
        self._settings = settings
        self._producer = producer
        self._packets_topic = settings.topic_name(PACKETS)
        self._captures_topic = settings.topic_name(CAPTURES)
        self._overload: Overload = Sample(settings, source) if source.is_live else HoldBack(settings)
        self._ledger = CaptureLedger()
        self._failure: str | None = None
        self._end = BatchHeader(
            capture_id=plan.capture_id,
            sensor=plan.sensor,
            kind=BatchKind.END,
            seq=0,
            partitions=plan.partitions,
            window_ns=plan.window_ns,
            origin_ns=0,
            clock_ns=0,
            is_live=source.is_live,
            interface=source.interface,
        )
        self.row = CaptureRow(
            capture_id=plan.capture_id,
            version=0,
            state=CaptureState.RUNNING,
            source="live" if source.is_live else "pcap",
            name=plan.name,
            fingerprint=plan.fingerprint,
            sensor=plan.sensor,
            window_ns=plan.window_ns,
            partitions=plan.partitions,
            started_ns=time.time_ns(),
            file_bytes=source.file_bytes,
            is_requested=plan.is_requested,
        )
        """Where the capture stands."""

    @property
    def sampling_rate(self) -> float:
        """Share of the flows that is kept now."""
        return self._overload.sampling.rate

    def steps(self) -> Generator[CaptureRow]:
        """Send the capture chunk by chunk; yield where it stands after each.

        Closing the generator early ends the capture as failed: what was sent is kept.

        Raises
        ------
        CaptureError
            When the file breaks off in a way that is no mere truncation, or the port is gone.
        BrokerError
            When Kafka does not take the messages.
        """
        self._report()
        reported_s = time.monotonic()
        error = "interrupted"
        heartbeat = Heartbeat(self._tell_again)
        try:
            for chunk in chunks(self._source, self._plan, self._overload.sampling):
                self._pace(chunk.header)
                self._send_chunk(chunk)
                if time.monotonic() - reported_s > (LIVE_REPORT_S if self._source.is_live else REPORT_S):
                    self._report()
                    reported_s = time.monotonic()
                yield self.row
                self._overload.after(len(chunk.batches))
            error = ""
        except SpanwatchError as failure:
            error = str(failure)
            raise
        finally:
            heartbeat.stop()
            self._finish(error)
        yield self.row

    def _tell_again(self) -> None:
        """Say that the capture goes on, also while it waits for the time of its next packets."""
        _tell(CaptureEvent(capture=self.row), self._producer, self._captures_topic)

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
        self._ledger.add(chunk)
        self._end = replace(chunk.header, kind=BatchKind.END, seq=chunk.header.seq + 1)
        self.row = self.row.model_copy(update={"version": self._end.seq, **self._counted(chunk)})

    def _counted(self, chunk: Chunk) -> dict[str, int | float]:
        """Return the fields of the capture's row that a chunk with packets changes."""
        packets, row = chunk.packets, self.row
        if not len(packets.ts_ns):
            return {}
        first_ns = int(packets.ts_ns.min())
        newest_ns = packets.newest_ns(first_ns if row.last_ts_ns is None else row.last_ts_ns)
        return {
            "packets": row.packets + len(packets.ts_ns),
            "bytes": row.bytes + int(packets.length_bytes.sum(dtype=np.int64)),
            "first_ts_ns": first_ns if row.first_ts_ns is None else min(first_ns, row.first_ts_ns),
            "last_ts_ns": newest_ns,
            "sampling_rate": min(row.sampling_rate, chunk.header.sampling_rate),
        }

    def _send(self, partition: int, header: BatchHeader, body: bytes, n_packets: int) -> None:
        self._raise_failure()
        self._overload.sent(len(body))
        send(
            self._producer,
            self._packets_topic,
            body,
            key=header.capture_id.encode(),
            partition=partition,
            headers=header.to_kafka(),
            on_delivery=partial(self._delivered, n_packets, len(body)),
        )

    def _delivered(self, n_packets: int, n_bytes: int, error: KafkaError | None, _message: Message) -> None:
        self._overload.delivered(n_bytes)
        if error is None:
            self._ledger.acknowledged += n_packets
        else:
            self._failure = str(error)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise BrokerError(f"Kafka did not take a batch of packets: {self._failure}")

    def _finish(self, error: str) -> None:
        """Send the end to every partition, wait for Kafka, and report the final state."""
        for partition in range(self._plan.partitions):
            self._send(partition, self._end, b"", 0)
        flush(self._producer)
        self._overload.close()
        self._raise_failure()
        self.row = self.row.model_copy(
            update={
                "version": self._end.seq + 1,
                "state": CaptureState.FAILED if error else CaptureState.COMPLETE,
                "ended_ns": time.time_ns(),
                "is_truncated": self._source.is_truncated,
                "error": error,
            }
        )
        self._report()

    def _report(self) -> None:
        """Send where the capture stands; with the ledger once it is over, and always for a live one."""
        is_over = self.row.state is not CaptureState.RUNNING
        ledger = []
        if is_over or self._source.is_live:
            before = self._source.counts()
            self.row = self.row.model_copy(update={"packets_lost": _lost(before)})
            ledger = self._ledger.rows(self.row.capture_id, self.row.version, before)
        _tell(CaptureEvent(capture=self.row, ledger=ledger), self._producer, self._captures_topic)
        if is_over:
            flush(self._producer)
        if self._source.is_live and is_over:
            forget_running(self._settings, self.row.capture_id)
        elif self._source.is_live:
            note_running(self._settings, self.row, self._end)


def _lost(counts: list[HopCount]) -> int:
    """Return how many frames never came to be read."""
    hops = (Hop.NIC, Hop.KERNEL)
    return sum(count.packets_in - count.packets_out for count in counts if count.hop in hops and not count.reason)


def refusal(plan: CapturePlan, error: str, producer: Producer, captures_topic: str, source: str = "pcap") -> CaptureRow:
    """Report a capture that could not even be opened; return its row."""
    now_ns = time.time_ns()
    row = CaptureRow(
        capture_id=plan.capture_id,
        state=CaptureState.FAILED,
        source=source,
        name=plan.name,
        fingerprint=plan.fingerprint,
        sensor=plan.sensor,
        window_ns=plan.window_ns,
        partitions=plan.partitions,
        started_ns=now_ns,
        ended_ns=now_ns,
        error=error,
        is_requested=plan.is_requested,
    )
    _tell(CaptureEvent(capture=row), producer, captures_topic)
    flush(producer)
    return row


def _tell(event: CaptureEvent, producer: Producer, topic: str) -> None:
    """Send where a capture stands."""
    send(producer, topic, event.model_dump_json().encode(), key=event.capture.capture_id.encode())
