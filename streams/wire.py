"""Messages on the topics: headers and Arrow IPC bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from infra.arrow import encode_table as encode_table
from infra.arrow import read_table
from schemas.enums import AnalysisKind, BatchKind
from schemas.errors import WireError
from schemas.packets import IP_ADDRESS, PACKET_SCHEMA, PACKET_SCHEMA_VERSION
from streams.packets import Packets

KafkaHeaders: TypeAlias = list[tuple[str, str | bytes | None]]
"""Headers as a producer takes them."""


LAST_SEQ = 2**62
"""Number of the end that somebody else sends for a capture whose process is gone: behind all of its own."""

UNKNOWN_NS = -(2**63)
"""Origin in the header of such an end: whoever sends it knows the capture by its row alone."""


@dataclass(frozen=True)
class BatchHeader:
    """What travels beside a batch in the message's Kafka headers.

    Parameters
    ----------
    capture_id : str
        The capture it belongs to.
    sensor : str
        The machine that captured.
    kind : BatchKind
        Packets, a clock without packets, or the end of the capture.
    seq : int
        Number of the chunk it was cut from, from 0. ``(capture_id, partition, seq)`` names a
        message, also when a capture that was killed sends it again.
    partitions : int
        Partitions that the capture is spread over.
    window_ns : int
        Window size, ns.
    origin_ns : int
        Start of window 0, ns since the epoch.
    clock_ns : int
        Newest event time of the capture up to the end of the chunk, ns.
    first_frame, last_frame : int
        Numbers of the chunk's frames in the capture, from 1, both inclusive.
    first_offset, last_offset : int
        Where the chunk begins and ends in the (uncompressed) file, bytes; 0 for a live port.
    is_live : bool
        Whether the packets come from a network interface: window 0 begins at a multiple of the window size, and
        the clock moves without packets, too.
    sampling_rate : float
        Share of the flows that was kept, above 0 and up to 1: the reciprocal is what a count stands for.
    interface : str
        The network interface of a live capture; empty for a file.
    schema_version : int
        Version of the packet columns.
    """

    capture_id: str
    sensor: str
    kind: BatchKind
    seq: int
    partitions: int
    window_ns: int
    origin_ns: int
    clock_ns: int
    first_frame: int = 0
    last_frame: int = 0
    first_offset: int = 0
    last_offset: int = 0
    is_live: bool = False
    sampling_rate: float = 1.0
    interface: str = ""
    schema_version: int = PACKET_SCHEMA_VERSION

    @property
    def source(self) -> str:
        """What baselines are learnt from: the port, across captures, or the file's capture alone."""
        return f"{self.sensor}/{self.interface}" if self.is_live else self.capture_id

    def to_kafka(self) -> KafkaHeaders:
        """Return the header as Kafka headers: one per field, text in UTF-8."""
        return [
            (name, (value.value if isinstance(value, BatchKind) else str(value)).encode())
            for name, value in asdict(self).items()
        ]

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> BatchHeader:
        """Return the header whose fields JSON carried."""
        return cls(**{**facts, "kind": BatchKind(facts["kind"])})

    @classmethod
    def from_kafka(cls, headers: Mapping[str, bytes]) -> BatchHeader:
        """Read the header back.

        Raises
        ------
        WireError
            When a field is missing or malformed, or the schema is newer than this version.
        """
        texts = {name: value.decode() for name, value in headers.items()}
        try:
            header = cls(
                capture_id=texts["capture_id"],
                sensor=texts["sensor"],
                kind=BatchKind(texts["kind"]),
                is_live=texts["is_live"] == str(True),
                sampling_rate=float(texts["sampling_rate"]),
                interface=texts["interface"],
                **{field.name: int(texts[field.name]) for field in fields(cls) if field.type == "int"},
            )
        except (KeyError, ValueError) as error:
            raise WireError(f"a message without a usable batch header: {error}") from error
        if header.schema_version > PACKET_SCHEMA_VERSION:
            raise WireError(
                f"a batch of packet schema {header.schema_version}; this version reads up to {PACKET_SCHEMA_VERSION}"
            )
        return header


def decode_table(body: bytes, schema: pa.Schema) -> pa.Table:
    """Return the rows of an Arrow IPC stream.

    Raises
    ------
    WireError
        When the bytes are no such stream or have another schema.
    """
    try:
        table = read_table(body)
    except (pa.ArrowException, OSError) as error:
        raise WireError(f"a message that is no Arrow stream: {error}") from error
    if table.schema != schema:
        raise WireError("a message with other columns than this version knows")
    return table


def encode_packets(batch: pa.RecordBatch) -> bytes:
    """Return the body of a ``data`` message."""
    return encode_table(batch)


def decode_packets(body: bytes) -> pa.RecordBatch:
    """Return the one record batch of a ``data`` message.

    Raises
    ------
    WireError
        When the bytes are not one batch of packets.
    """
    batches = decode_table(body, PACKET_SCHEMA).to_batches()
    if len(batches) != 1:
        raise WireError(f"a message of {len(batches)} batches where one belongs")
    return batches[0]


def packets_of(batch: pa.RecordBatch) -> Packets:
    """Return a record batch of packets as numpy columns, without a copy."""
    columns: list[Any] = []
    for field, array in zip(PACKET_SCHEMA, batch.columns, strict=True):
        if field.type == IP_ADDRESS:
            octets = np.frombuffer(array.buffers()[1], np.uint8, 16 * len(array), 16 * array.offset)
            columns.append(octets.reshape(-1, 16))
        else:
            columns.append(array.to_numpy())
    return Packets(*columns)


@dataclass(frozen=True)
class PartialHeader:
    """What travels beside partial windows.

    Parameters
    ----------
    batch : BatchHeader
        Of the packets message that closed them; ``seq`` numbers the partition's partials from 0.
    partition : int
        Partition of the ``packets`` topic they come from.
    closed_through : int
        The partition has closed all windows below this number.
    records : int
        Packets that the partition has put into windows so far.
    """

    batch: BatchHeader
    partition: int
    closed_through: int
    records: int

    def to_kafka(self) -> KafkaHeaders:
        """Return the header as Kafka headers."""
        own = {"partition": self.partition, "closed_through": self.closed_through, "records": self.records}
        return [*self.batch.to_kafka(), *((name, str(value).encode()) for name, value in own.items())]

    @classmethod
    def from_kafka(cls, headers: Mapping[str, bytes]) -> PartialHeader:
        """Read the header back.

        Raises
        ------
        WireError
            When a field is missing or malformed.
        """
        batch = BatchHeader.from_kafka(headers)
        try:
            own = {name: int(headers[name]) for name in ("partition", "closed_through", "records")}
        except (KeyError, ValueError) as error:
            raise WireError(f"partial windows without a usable header: {error}") from error
        return cls(batch=batch, **own)


@dataclass(frozen=True)
class AnalysisHeader:
    """What travels beside anomalies, baselines, analysis runs and the end of a capture's analysis.

    Parameters
    ----------
    kind : AnalysisKind
        What the body is.
    source : str
        What was learnt from; also the message's key.
    capture_id : str
        The capture it belongs to.
    run_id : str
        The run that asked for it; empty for the stream's own verdicts.
    """

    kind: AnalysisKind
    source: str
    capture_id: str
    run_id: str = ""

    def to_kafka(self) -> KafkaHeaders:
        """Return the header as Kafka headers: one per field, text in UTF-8."""
        return [(name, str(value).encode()) for name, value in asdict(self).items()]

    @classmethod
    def from_kafka(cls, headers: Mapping[str, bytes]) -> AnalysisHeader:
        """Read the header back.

        Raises
        ------
        WireError
            When a field is missing or malformed.
        """
        try:
            texts = {field.name: headers[field.name].decode() for field in fields(cls)}
            return cls(**{**texts, "kind": AnalysisKind(texts["kind"])})  # type: ignore[arg-type]
        except (KeyError, ValueError) as error:
            raise WireError(f"a message of the analysis without a usable header: {error}") from error
