"""Blocks of lines of honeypots' logs: rows by honeypot, and the lines that are none."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from schemas.errors import LogLineError
from schemas.honeypots import DEAD_LETTER_BYTES, DEAD_LETTER_SCHEMA, LOG_SCHEMA, MAX_LINE_BYTES, HoneypotType
from streams.honeypot_lines import Row, parse_line

FUTURE_NS = 3600 * 10**9
"""A line that lies further ahead comes from a clock that is wrong, not from one that is a little fast."""


@dataclass(frozen=True)
class LogBlock:
    """Some lines of a file, one behind the other.

    Parameters
    ----------
    file : str
        As messages name it.
    first_line : int
        Number of the first of them in the file, from 1.
    lines : sequence of bytes
        Without line feeds.
    lengths : mapping of int to int
        How long a line really was, by its place here, where only its beginning is.
    """

    file: str
    first_line: int
    lines: Sequence[bytes]
    lengths: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ParsedBlock:
    """What a block holds.

    Parameters
    ----------
    rows : mapping of HoneypotType to pyarrow.RecordBatch
        Rows of ``LOG_SCHEMA`` by honeypot, in the order of the lines.
    dead : pyarrow.RecordBatch
        Rows of ``DEAD_LETTER_SCHEMA`` without ``read_id``, which is empty.
    lines : int
        Lines that are not blank.
    in_future : int
        Lines of a time more than an hour ahead.
    """

    rows: dict[HoneypotType, pa.RecordBatch]
    dead: pa.RecordBatch
    lines: int
    in_future: int


def parse_block(block: LogBlock, told: HoneypotType | None = None, now_ns: int | None = None) -> ParsedBlock:
    """Return the rows of a block, and the lines that are none.

    Parameters
    ----------
    told : HoneypotType, optional
        See ``parse_line``.
    now_ns : int, optional
        The time of reading, ns since the Unix epoch; the clock's unless told.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    rows: dict[HoneypotType, list[Row]] = {}
    dead: list[dict[str, object]] = []
    lines = in_future = 0
    for place, line in enumerate(block.lines):
        if not line or line.isspace():
            continue
        lines += 1
        try:
            if place in block.lengths:
                raise LogLineError(f"it is longer than {MAX_LINE_BYTES:,} bytes")  # noqa: TRY301 - one way out
            kind, row = parse_line(line, told)
        except LogLineError as error:
            size_bytes = block.lengths.get(place, len(line))
            dead.append(_dead_letter(block.file, block.first_line + place, line, size_bytes, str(error), now_ns))
        else:
            rows.setdefault(kind, []).append(row)
            in_future += row[1] > now_ns + FUTURE_NS  # type: ignore[operator]
    batches = {kind: _batch(found) for kind, found in rows.items()}
    return ParsedBlock(batches, pa.RecordBatch.from_pylist(dead, DEAD_LETTER_SCHEMA), lines, in_future)


def _batch(rows: list[Row]) -> pa.RecordBatch:
    columns = [
        pa.array(values, column.type) for values, column in zip(zip(*rows, strict=True), LOG_SCHEMA, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=LOG_SCHEMA)


def _dead_letter(file: str, number: int, line: bytes, size_bytes: int, reason: str, now_ns: int) -> dict[str, object]:
    digest = hashlib.blake2b(line, digest_size=8).digest()
    return {
        "letter_id": int.from_bytes(digest, "big"),
        "read_ns": now_ns,
        "read_id": "",
        "file": file,
        "line": number,
        "reason": reason,
        "size_bytes": size_bytes,
        "text": line[:DEAD_LETTER_BYTES].decode("utf-8", "backslashreplace"),
    }
