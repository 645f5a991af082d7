"""The capture and its loss ledger, as they travel on the ``captures`` topic and stand in the store."""

from __future__ import annotations

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from schemas.columns import Column, arrow_schema
from schemas.enums import Align, CaptureState, Hop

CAPTURE_COLUMNS: tuple[Column, ...] = (
    Column("capture_id", pa.string(), "String", "", "Name of the capture, unique in the store."),
    Column("version", pa.uint64(), "UInt64", "", "Raised with each report; the highest counts."),
    Column("state", pa.string(), "LowCardinality(String)", "", "running, complete (read to its end) or failed."),
    Column("source", pa.string(), "LowCardinality(String)", "", "pcap or live."),
    Column("name", pa.string(), "String", "", "The file or interface, as its user named it."),
    Column("fingerprint", pa.string(), "String", "", "Hash of file identity, size, time of change and window size."),
    Column("sensor", pa.string(), "LowCardinality(String)", "", "The machine that captured."),
    Column("window_ns", pa.int64(), "Int64", "", "Window size, ns."),
    Column("partitions", pa.uint16(), "UInt16", "", "Partitions of the packets topic it was spread over."),
    Column("started_ns", pa.int64(), "Int64", "", "When reading began (wall clock), ns since the epoch."),
    Column("ended_ns", pa.int64(), "Nullable(Int64)", "", "When reading ended; null before."),
    Column("first_ts_ns", pa.int64(), "Nullable(Int64)", "", "Event time of the first packet; null before any."),
    Column("last_ts_ns", pa.int64(), "Nullable(Int64)", "", "Newest event time; null before any."),
    Column("packets", pa.uint64(), "UInt64", "", "Frames read so far."),
    Column("bytes", pa.uint64(), "UInt64", "", "Bytes on the wire read so far."),
    Column("file_bytes", pa.uint64(), "UInt64", "", "Size of the file; 0 for a live port or a pipe."),
    Column("is_truncated", pa.bool_(), "Bool", "", "Whether the file ends inside a record."),
    Column("error", pa.string(), "String", "", "Why it failed; empty when it did not."),
    Column("packets_lost", pa.uint64(), "UInt64", "", "Frames of a live port that were lost before they could be read: by the interface, or for want of room in the ring."),
    Column("sampling_rate", pa.float64(), "Float64", "", "Lowest share of the flows that was kept; 1 when none was left out."),
    Column("is_requested", pa.bool_(), "Bool", "", "Whether a worker reads it on request, and again should it be killed; else it ends with its process."),
)  # fmt: skip
"""Columns of ``captures``."""

CAPTURE_SCHEMA: pa.Schema = arrow_schema(CAPTURE_COLUMNS)

LEDGER_COLUMNS: tuple[Column, ...] = (
    Column("capture_id", pa.string(), "LowCardinality(String)", "", "The capture it belongs to."),
    Column("hop", pa.string(), "LowCardinality(String)", "", "The stage (enum Hop)."),
    Column("partition", pa.int16(), "Int16", "", "Partition counted, -1 for the whole capture."),
    Column("reason", pa.string(), "LowCardinality(String)", "", "Empty for the totals; else why these packets are not fully decoded, or were lost."),
    Column("packets_in", pa.uint64(), "UInt64", "", "Packets that came in."),
    Column("packets_out", pa.uint64(), "UInt64", "", "Packets that went out."),
    Column("version", pa.uint64(), "UInt64", "", "The highest counts."),
)  # fmt: skip
"""Columns of ``ledger``."""

LEDGER_SCHEMA: pa.Schema = arrow_schema(LEDGER_COLUMNS)


class LedgerRow(BaseModel):
    """What one hop counted; see ``LEDGER_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    capture_id: str
    hop: Hop
    partition: int = -1
    reason: str = ""
    packets_in: int
    packets_out: int
    version: int = 1


class CaptureRow(BaseModel):
    """Where a capture stands; see ``CAPTURE_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    capture_id: str
    version: int = 1
    state: CaptureState
    source: str
    name: str
    fingerprint: str
    sensor: str
    window_ns: int
    partitions: int
    started_ns: int
    ended_ns: int | None = None
    first_ts_ns: int | None = None
    last_ts_ns: int | None = None
    packets: int = 0
    bytes: int = 0
    file_bytes: int = 0
    is_truncated: bool = False
    error: str = ""
    packets_lost: int = 0
    sampling_rate: float = 1.0
    is_requested: bool = False


class CaptureEvent(BaseModel):
    """One message on the ``captures`` topic, key = capture id: the ledger first, then the state."""

    model_config = ConfigDict(frozen=True)

    capture: CaptureRow
    ledger: list[LedgerRow] = Field(default_factory=list)


class CaptureRequest(BaseModel):
    """One message on the ``capture-requests`` topic: read this file into the stream.

    Attributes
    ----------
    path : str
        Absolute path; already checked against the data roots by who sent it.
    name : str
        As the user named the file.
    speed : float
        0 reads as fast as possible, 1 at the original speed, N at N times that.
    align : Align
        Where window 0 begins.
    """

    model_config = ConfigDict(frozen=True)

    capture_id: str
    path: str
    name: str
    fingerprint: str
    window_s: float
    speed: float = 0.0
    align: Align = Align.FIRST_PACKET
