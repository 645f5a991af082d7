"""A live capture without a stack: ring, decode, split, encode, and away with it.

``python -m benchmarks.live_reader INTERFACE SECONDS RING_MIB [FOLDER]`` prints what was counted, as JSON; with a
folder, the frames are recorded in a packet ring there.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from spanwatch_capture import NICE
from streams.chunks import CapturePlan, chunks
from streams.frames import FrameSource
from streams.packet_files import PacketRing
from streams.pcapng_writer import file_header
from streams.port import PortPlan, open_port
from streams.port_warm_up import warm_up_port
from streams.recording import RecordedSource, Recorder
from streams.wire import encode_packets


def read(interface: str, seconds: float, ring_mib: int, folder: Path | None) -> dict[str, object]:
    """Capture for so long; return the ledger, the bytes encoded, the fullest ring and the processor time."""
    warm_up_port()
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    before = resource.getrusage(resource.RUSAGE_SELF)
    packets = encoded = 0
    fill = 0.0
    plan = PortPlan(interface, duration_s=seconds, ring_bytes=ring_mib << 20)
    with open_port(plan) as port:
        signal.signal(signal.SIGINT, lambda *_: port.stop())
        print("ready", file=sys.stderr, flush=True)
        source: FrameSource = port
        if folder:
            header = file_header(port.link_type, plan.snap_bytes, interface)
            source = RecordedSource(port, Recorder([PacketRing(folder, "bench", header, 1 << 30)]))
        for chunk in chunks(source, CapturePlan("bench", interface, "", "bench", 10**10, 2)):
            packets += len(chunk.packets.ts_ns)
            encoded += sum(len(encode_packets(batch)) for batch in chunk.batches if batch is not None)
            fill = max(fill, source.fill)
        counts = source.counts()
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return {
        "packets": packets,
        "encoded_bytes": encoded,
        "fullest_ring": fill,
        "cpu_seconds": cpu_s,
        "ledger": [[count.hop.value, count.reason, count.packets_in, count.packets_out] for count in counts],
    }


if __name__ == "__main__":
    where = Path(sys.argv[4]) if len(sys.argv) > 4 else None
    print(json.dumps(read(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), where)))
