"""Messages as a capture sends them, and a producer that can be counted."""

from __future__ import annotations

from confluent_kafka import Producer

from agents.app import Received
from agents.stateful import Stage
from schemas.enums import BatchKind
from streams.packets import Packets
from streams.split import split
from streams.wire import BatchHeader, PartialHeader, encode_packets

SECOND = 1_000_000_000


def header(kind: BatchKind = BatchKind.DATA, seq: int = 0, clock_ns: int = 0, partitions: int = 1) -> BatchHeader:
    """Return the header of a capture with windows of 10 s that begins at 0."""
    return BatchHeader("c", "probe", kind, seq, partitions, 10 * SECOND, 0, clock_ns)


def body(packets: Packets) -> bytes:
    """Return packets as the body of a message."""
    (batch,) = split(packets, 1)
    assert batch is not None
    return encode_packets(batch)


def take(stage: Stage, partition: int, header: BatchHeader | PartialHeader, content: bytes) -> bool:
    """Hand a message to a stage; return whether its partition is idle then."""
    headers = {name: value for name, value in header.to_kafka() if isinstance(value, bytes)}
    return stage.take(Received("topic", partition, 0, headers, content))


def unconnected_producer() -> Producer:
    """Return a producer whose messages stay in its queue: its length is how many were sent."""
    return Producer({})
