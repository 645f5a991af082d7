"""Loads the kernels' machine code before the first packet needs it."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from schemas.classes import N_CLASSES
from streams.chunks import CapturePlan, chunks
from streams.files import open_capture
from streams.flows import FlowMeter
from streams.merge import WindowMerger
from streams.pair_priors import PairPriors
from streams.split import pairs_of
from streams.window_rows import window_rows
from streams.windows import PartitionWindows
from streams.wire import decode_packets, encode_packets, packets_of

SECOND_NS = 1_000_000_000

_SYN = bytes.fromhex(
    "000000000001000000000002" "0800"  # Ethernet
    "4500002800010000400600000a0000010a000002"  # IPv4 10.0.0.1 → 10.0.0.2
    "9c40005000000001000000005002ffff00000000"  # TCP 40000 → 80, SYN
)  # fmt: skip


def warm_up() -> None:
    """Take one packet through every operator.

    numba compiles a kernel when it is first called, or loads it from its cache; either would
    otherwise be paid by the first capture.
    """
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    record = struct.pack("<IIII", 1, 0, len(_SYN), len(_SYN))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.pcap"
        path.write_bytes(header + record + _SYN)
        # Two partitions, because with one nothing is split.
        plan = CapturePlan("warm-up", "", "", "", 10 * SECOND_NS, partitions=2)
        with open_capture(path) as file:
            for chunk in chunks(file, plan):
                operator = PartitionWindows(plan.window_ns, chunk.header.origin_ns, 0)
                meter = FlowMeter(plan.window_ns, chunk.header.origin_ns)
                for batch in chunk.batches:
                    if batch is not None:
                        packets = packets_of(decode_packets(encode_packets(batch)))
                        operator.feed(packets, chunk.header.clock_ns)
                        meter.feed(packets, chunk.header.clock_ns)
                        _judge(pairs_of(packets.src_ip.view(np.uint64), packets.dst_ip.view(np.uint64)))
                meter.advance(chunk.header.clock_ns + plan.window_ns)
                meter.flush()
                merger = WindowMerger(1)
                windows = merger.feed(0, 0, operator.flush()) + merger.finish()
                window_rows(plan.capture_id, plan.window_ns, chunk.header.origin_ns, windows)


def _judge(pairs: npt.NDArray[np.uint64]) -> None:
    """Put flows between these hosts under their priors."""
    probabilities = np.full((len(pairs), N_CLASSES), 1 / N_CLASSES, np.float32)
    is_over, times_ns = np.ones(len(pairs), np.bool_), np.zeros(len(pairs), np.int64)
    PairPriors().adjust(pairs, pairs, probabilities, is_over, times_ns, SECOND_NS)
