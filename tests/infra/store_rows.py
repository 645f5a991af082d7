"""Builders of valid rows for the store, and a way to use a store in another process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa

from schemas.captures import CAPTURE_SCHEMA, LEDGER_SCHEMA, CaptureRow, LedgerRow
from schemas.columns import arrow_schema
from schemas.packets import STORED_PACKET_COLUMNS

ROOT = Path(__file__).resolve().parents[2]
STORED_PACKET_SCHEMA = arrow_schema(STORED_PACKET_COLUMNS)
NEW_YEAR_NS = 1_767_225_600 * 10**9
"""2026-01-01T00:00:00Z."""


def packets(capture_id: str, count: int = 1000, *, ts_ns: np.ndarray | None = None, first: int = 0) -> pa.RecordBatch:
    """Return ``count`` packets of 100 bytes, one a millisecond from new year 2026, half TCP and half UDP."""
    numbers = np.arange(first, first + count)
    times = NEW_YEAR_NS + numbers * 10**6 if ts_ns is None else ts_ns
    addresses = np.zeros((count, 16), np.uint8)
    addresses[:, 10:12] = 255
    addresses[:, 12] = 10
    addresses[:, 15] = numbers % 250
    values = {
        "capture_id": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), [capture_id]),
        "event_id": numbers,
        "ts_ns": times,
        "frame": numbers + 1,
        "src_ip": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(addresses.tobytes())]),
        "protocol": np.where(numbers % 2, 6, 17),
        "length_bytes": np.full(count, 100),
        "payload_bytes": np.full(count, 40),
        "ether_type": np.full(count, 0x0800),
    }
    values["dst_ip"] = values["src_ip"]
    arrays = []
    for field in STORED_PACKET_SCHEMA:
        value = values.get(field.name, np.zeros(count, np.int64))
        arrays.append(value if isinstance(value, pa.Array) else pa.array(value).cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=STORED_PACKET_SCHEMA)


def captures(*rows: CaptureRow) -> pa.Table:
    """Return rows of the captures table."""
    return pa.Table.from_pylist([row.model_dump(mode="json") for row in rows], schema=CAPTURE_SCHEMA)


def ledger(*rows: LedgerRow) -> pa.Table:
    """Return rows of the ledger table."""
    return pa.Table.from_pylist([row.model_dump(mode="json") for row in rows], schema=LEDGER_SCHEMA)


def start_python(code: str, *arguments: object, complaints: int | None = None) -> subprocess.Popen[str]:
    """Start a Python process of its own with these builders at hand; ``sys.argv[1:]`` are the arguments.

    ``complaints`` is where standard error goes, as ``subprocess`` names it; ours when None.
    """
    here = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]\n"
    return subprocess.Popen(
        [sys.executable, "-c", here + textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
    )


def run_python(code: str, *arguments: object) -> str:
    """Run a Python process like `start_python` to its end and return what it printed."""
    with start_python(code, *arguments) as process:
        output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return output
