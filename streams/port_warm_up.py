"""Loads the machine code of what a live capture does, before its ring begins to fill."""

from __future__ import annotations

import numpy as np

from streams.decode import decode
from streams.frames import FrameBlock, FrameColumns
from streams.packets import NO_TIME_NS
from streams.pcapng_writer import enhanced_packets
from streams.ring_blocks import walk_blocks
from streams.sampling import kept_flows
from streams.split import split
from streams.wire import encode_packets

_FRAME_BYTES = 60


def warm_up_port() -> None:
    """Take one frame of zeros from a ring of one block to the bytes that are sent and written."""
    columns = FrameColumns.empty(1)
    memory = np.zeros(4096, np.uint8)
    walk_blocks(memory, len(memory), 0, 0, len(memory), 1, columns)
    columns.start[:] = columns.ts_ns[:] = 0
    columns.captured_bytes[:] = columns.length_bytes[:] = _FRAME_BYTES
    columns.link_type[:] = 1
    block = FrameBlock(memory, *columns, first_frame=1, first_offset=0, last_offset=0)
    enhanced_packets(block)
    packets = decode(block, NO_TIME_NS)
    kept_flows(packets, 0.5)
    for batch in split(packets, 2):
        if batch is not None:
            encode_packets(batch)
