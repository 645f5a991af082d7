"""Exports: the rows of a list as a stream of bytes in the format asked for, one page of them in memory at a time."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from enum import StrEnum
from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq

from api.line_protocol import ANOMALY_TAGS, WINDOW_TAGS, lines
from api.queries_export import Export, RowText, table_pages, text_pages
from infra.store import Store

GZIP_LEVEL = 1
"""The quickest; the wire is rarely the bottleneck."""

_GZIP_WINDOW_BITS = 31


class Format(StrEnum):
    """What an export may look like."""

    CSV = "csv"
    """Comma-separated values (RFC 4180, but lines end in LF), names first; lists and maps are JSON, null is empty."""
    JSONL = "jsonl"
    """A JSON object a line."""
    ARROW = "arrow"
    """Arrow IPC stream."""
    PARQUET = "parquet"
    """Parquet, a row group per page, zstd."""
    INFLUX = "influx"
    """InfluxDB line protocol; windows and anomalies only."""

    @property
    def media_type(self) -> str:
        """What HTTP calls it (IANA, where it is registered)."""
        return {
            Format.CSV: "text/csv; charset=utf-8; header=present",
            Format.JSONL: "application/x-ndjson",
            Format.ARROW: "application/vnd.apache.arrow.stream",
            Format.PARQUET: "application/vnd.apache.parquet",
            Format.INFLUX: "text/plain; charset=utf-8",
        }[self]

    @property
    def suffix(self) -> str:
        """What the names of its files end in."""
        return {Format.INFLUX: "lp"}.get(self, self.value)


INFLUX = {
    "windows": ("spanwatch_window", WINDOW_TAGS, "window_start_ns"),
    "anomalies": ("spanwatch_anomaly", ANOMALY_TAGS, "window_start_ns"),
}
"""Measurement, tags and time of what line protocol is made for."""


def encoded(store: Store, what: str, export: Export, form: Format) -> Iterator[bytes]:
    """Yield an export as bytes.

    Parameters
    ----------
    what : str
        Name of the list.

    Raises
    ------
    StoreError
        ClickHouse refuses or does not answer; before the first bytes when it does so from the beginning.
    """
    match form:
        case Format.CSV:
            head = ",".join(export.columns).encode() + b"\n"
            return _with_head(head, map(bytes, text_pages(store, export, RowText.CSV)))
        case Format.JSONL:
            return map(bytes, text_pages(store, export, RowText.JSON))
        case Format.ARROW:
            return _arrow(table_pages(store, export))
        case Format.PARQUET:
            return _parquet(table_pages(store, export))
        case Format.INFLUX:
            measurement, tags, time = INFLUX[what]
            pages = table_pages(store, export)
            return ("".join(lines(measurement, tags, page.to_pylist(), time)).encode() for page in pages)


def _with_head(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    # The first page is asked for before anything is sent: a store that does not answer is then still an error.
    first = next(rest, b"")
    return chain((head + first,), rest)


class _Outlet(io.RawIOBase):
    """A file to write to whose bytes are taken away as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, octets: object) -> int:
        """Take bytes."""
        part = bytes(octets)  # type: ignore[call-overload]
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        """Return how much was written so far: Parquet's footer says where each part begins."""
        return self._written

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def _arrow(pages: Iterator[pa.Table]) -> Iterator[bytes]:
    outlet = _Outlet()
    first = next(pages)
    with pa.ipc.new_stream(outlet, first.schema) as writer:
        for page in chain((first,), pages):
            writer.write_table(page)
            yield outlet.take()
    yield outlet.take()


def _parquet(pages: Iterator[pa.Table]) -> Iterator[bytes]:
    outlet = _Outlet()
    first = next(pages)
    with pq.ParquetWriter(outlet, first.schema, compression="zstd") as writer:
        for page in chain((first,), pages):
            if page.num_rows:
                writer.write_table(page, row_group_size=page.num_rows)
            yield outlet.take()
    yield outlet.take()


def gzipped(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield bytes packed with gzip."""
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW_BITS)
    for part in parts:
        if packed := packer.compress(part):
            yield packed
    yield packer.flush()
