"""The windows of a capture file by the pure operators alone: no Kafka, no store."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from schemas.windows import WINDOW_SCHEMA
from streams.chunks import CapturePlan, chunks
from streams.files import open_capture
from streams.merge import WindowMerger
from streams.window_rows import window_rows
from streams.windows import PartitionWindows
from streams.wire import packets_of

SECOND_NS = 1_000_000_000
WINDOW_NS = 10 * SECOND_NS
LATENESS_NS = 2 * SECOND_NS


def capture_windows(path: Path, capture_id: str = "", window_ns: int = WINDOW_NS, partitions: int = 2) -> pa.Table:
    """Return the windows of a capture file, in the order in which they are emitted, with ``WINDOW_SCHEMA``.

    Parameters
    ----------
    capture_id : str
        The file's name when empty.
    partitions : int
        Partitions it is spread over, as on the topic.
    """
    name = capture_id or path.name
    operators: list[PartitionWindows] = []
    merger = WindowMerger(partitions)
    tables: list[pa.Table] = []
    origin_ns = 0
    with open_capture(path) as file:
        for chunk in chunks(file, CapturePlan(name, path.name, "", "bench", window_ns, partitions)):
            if not operators:
                origin_ns = chunk.header.origin_ns
                operators = [PartitionWindows(window_ns, origin_ns, LATENESS_NS) for _ in range(partitions)]
            clock_ns = chunk.header.clock_ns
            for partition, (operator, batch) in enumerate(zip(operators, chunk.batches, strict=True)):
                closed = operator.advance(clock_ns) if batch is None else operator.feed(packets_of(batch), clock_ns)
                windows = merger.feed(partition, operator.closed_through, closed)
                tables.append(window_rows(name, window_ns, origin_ns, windows))
    for partition, operator in enumerate(operators):
        flushed = operator.flush()
        tables.append(window_rows(name, window_ns, origin_ns, merger.feed(partition, 0, flushed)))
    tables.append(window_rows(name, window_ns, origin_ns, merger.finish()))
    return pa.concat_tables([WINDOW_SCHEMA.empty_table(), *tables])
