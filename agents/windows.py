"""The windows agent: batches of packets to partial windows, one operator per capture and partition."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from confluent_kafka import Producer

from agents.app import FaustApp
from agents.sender import Sender
from agents.stage import PacketsStage
from agents.stateful import add_stateful_agent
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
    first: BatchHeader
    """Header of its first message: what all of them have in common."""
    next_seq: int = 0
    next_partial: int = 0


class WindowsStage(PacketsStage[_OpenCapture]):
    """Keeps the operators of the assigned partitions and sends what they close.

    Parameters
    ----------
    sender : Sender
        Where partial windows go.
    """

    KIND = "windows stage 1"

    def __init__(self, settings: Settings, sender: Sender) -> None:
        super().__init__(settings, WINDOW_PARTIALS, sender)

    def _opened(self, header: BatchHeader, origin_ns: int) -> _OpenCapture:
        return _OpenCapture(PartitionWindows(header.window_ns, origin_ns, self._settings.lateness_ns), header)

    def _dump(self, capture: _OpenCapture) -> tuple[dict[str, Any], list[bytes]]:
        facts = {"next_seq": capture.next_seq, "next_partial": capture.next_partial, "first": asdict(capture.first)}
        return facts, [capture.operator.snapshot()]

    def _load(self, facts: dict[str, Any], blobs: list[bytes]) -> _OpenCapture:
        (blob,) = blobs
        first = BatchHeader.from_facts(facts["first"])
        return _OpenCapture(PartitionWindows.restore(blob), first, facts["next_seq"], facts["next_partial"])

    def _feed(self, partition: int, capture: _OpenCapture, header: BatchHeader, body: bytes) -> None:
        operator = capture.operator
        closed_before = operator.closed_through
        match header.kind:
            case BatchKind.DATA:
                partials = operator.feed(packets_of(decode_packets(body)), header.clock_ns, header.sampling_rate)
            case BatchKind.PROGRESS:
                partials = operator.advance(header.clock_ns)
            case BatchKind.END:
                partials = operator.flush()
        if partials or operator.closed_through > closed_before or header.kind is BatchKind.END:
            self._send(partition, capture, header, partials)

    def _send(self, partition: int, capture: _OpenCapture, header: BatchHeader, partials: list[PartialWindow]) -> None:
        sent = PartialHeader(
            batch=replace(capture.first, kind=header.kind, seq=capture.next_partial, clock_ns=header.clock_ns),
            partition=partition,
            closed_through=capture.operator.closed_through,
            records=capture.operator.records,
        )
        capture.next_partial += 1
        body = encode_table(partials_to_arrow(partials))
        self._sender.send(self._topic, body, key=header.capture_id.encode(), headers=sent.to_kafka())


def add_windows_agent(app: FaustApp, settings: Settings, producer: Producer) -> None:
    """Add the agent from ``packets`` to ``window-partials``."""
    sender = Sender(producer)
    add_stateful_agent(app, settings, PACKETS, WindowsStage(settings, sender), sender)
