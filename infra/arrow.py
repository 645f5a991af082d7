"""Arrow columns and IPC bodies of messages, for whoever sends tables to a topic."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

# Columns are packed in the thread that asks: the agents keep every core busy, and its time is told of it.
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_PLAIN = pa.ipc.IpcWriteOptions(compression=None)
_READ = pa.ipc.IpcReadOptions(use_threads=False)


def repeated(text: str, n_rows: int) -> pa.DictionaryArray:
    """Return a column that says the same in every row."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, np.int8)), pa.array([text]))


def encode_table(rows: pa.RecordBatch | pa.Table, *, compress: bool = True) -> bytes:
    """Return rows as one Arrow IPC stream, LZ4-compressed unless told otherwise."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=_COMPRESSED if compress else _PLAIN) as writer:
        writer.write(rows)
    return bytes(sink.getvalue())


def read_table(body: bytes) -> pa.Table:
    """Return the rows of an Arrow IPC stream; raises what Arrow does."""
    with pa.ipc.open_stream(body, options=_READ) as reader:
        return reader.read_all()
