"""The windows agent: batches of packets to partial windows, one operator per capture and partition."""

from __future__ import annotations

from dataclasses import dataclass, replace

from confluent_kafka import Producer

from agents.app import FaustApp, Received
from agents.stateful import OpenCaptures, add_stateful_agent
from infra.kafka import send
from infra.settings import Settings
from schemas.enums import BatchKind
from schemas.topics import PACKETS, WINDOW_PARTIALS
from streams.partials import PartialWindow, partials_to_arrow
from streams.windows import PartitionWindows
from streams.wire import BatchHeader, PartialHeader, decode_packets, encode_table, packets_of


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
        self._captures: OpenCaptures[_OpenCapture] = OpenCaptures()

    def take(self, message: Received) -> bool:
        """Process one message; return whether no capture is open on its partition any more.

        Raises
        ------
        WireError
            When the message cannot be understood.
        """
        header, partition = BatchHeader.from_kafka(message.headers), message.partition
        capture = self._captures.get(partition, header.capture_id, lambda: self._new(header))
        if capture is not None:
            if header.seq >= capture.next_seq:
                capture.next_seq = header.seq + 1
                self._feed(partition, capture, header, message.body)
            if header.kind is BatchKind.END:
                self._captures.end(partition, header.capture_id)
        return self._captures.is_idle(partition)

    def _new(self, header: BatchHeader) -> _OpenCapture:
        return _OpenCapture(PartitionWindows(header.window_ns, header.origin_ns, self._settings.lateness_ns))

    def drop(self, partitions: set[int]) -> None:
        """Forget partitions that another worker has now."""
        self._captures.drop(partitions)

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
    add_stateful_agent(app, settings, PACKETS, WindowsStage(settings, producer), producer)
