"""Write a large capture of plausible traffic: `python -m benchmarks.make_capture --packets N --out FILE`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.datagram_traffic import RESOLVERS, dns_lookups, pings, quic_streams
from benchmarks.frames import frame_bytes, pcap_header, write_frames
from benchmarks.records import RECORD, SERVER_BIT
from benchmarks.sessions import Sessions
from benchmarks.tcp_traffic import tcp_conversations, tcp_failures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

EPOCH_NS = 1_767_952_800_000_000_000  # 2026-01-09T10:00:00Z
SLICE_NS = 250_000_000
MSS_BYTES = 1448  # 1,500 less IPv4, TCP and timestamps
FAILED_SHARE = 0.06
TCP_PORTS = (443, 80, 22, 8080, 3306, 5432, 25, 993)
TCP_PORT_SHARES = (0.62, 0.16, 0.06, 0.05, 0.04, 0.03, 0.02, 0.02)
KINDS = ("tcp", "dns", "quic", "ping")
KIND_SHARES = (0.50, 0.40, 0.08, 0.02)  # of conversations, not of packets
PIECE_BYTES = 32 << 20


class Traffic:
    """Endless conversations; the same seed, rate and mean size give the same packets."""

    def __init__(self, seed: int, packets_per_s: float, mean_bytes: float) -> None:
        self._random = np.random.default_rng(seed)
        self._count = 0
        self._full_bytes = MSS_BYTES
        per_session, self._full_bytes = self._calibrate(seed, mean_bytes)
        self._sessions_per_slice = packets_per_s * SLICE_NS / 1e9 / per_session

    def _calibrate(self, seed: int, mean_bytes: float) -> tuple[float, int]:
        """Packets per conversation, and the full segment that gives the mean frame length asked for."""
        means = []
        for full_bytes in (MSS_BYTES, MSS_BYTES // 2):
            rows = self._conversations(np.random.default_rng(seed), 0, 4000, full_bytes)
            means.append(float(frame_bytes(rows).mean()))
        slope = (means[0] - means[1]) / (MSS_BYTES - MSS_BYTES // 2)
        wanted = MSS_BYTES + (mean_bytes - means[0]) / slope
        return len(rows) / 4000, int(np.clip(wanted, 16, MSS_BYTES))

    def _conversations(
        self, random: np.random.Generator, start_ns: int, count: int, full_bytes: int
    ) -> NDArray[np.void]:
        starts = start_ns + np.sort(random.integers(0, SLICE_NS, count))
        ports = random.choice(np.array(TCP_PORTS, np.uint16), count, p=TCP_PORT_SHARES)
        kind = random.choice(len(KINDS), count, p=KIND_SHARES)
        ports = np.where(kind == KINDS.index("quic"), 443, ports)
        ports = np.where(kind == KINDS.index("dns"), 53, ports).astype(np.uint16)
        everyone = Sessions.draw(random, starts, self._count, ports)
        failed = random.random(count) < FAILED_SHARE
        lookups = everyone.take(kind == KINDS.index("dns"))
        lookups.server[:] = SERVER_BIT | (60_000 + lookups.client % RESOLVERS)
        return np.concatenate(
            [
                tcp_conversations(random, everyone.take((kind == KINDS.index("tcp")) & ~failed), full_bytes),
                tcp_failures(random, everyone.take((kind == KINDS.index("tcp")) & failed)),
                dns_lookups(lookups),
                quic_streams(random, everyone.take(kind == KINDS.index("quic")), full_bytes),
                pings(random, everyone.take(kind == KINDS.index("ping"))),
            ]
        )

    def slices(self) -> Iterator[NDArray[np.void]]:
        """Packets in order of time, a quarter of a second at a time; only what is still to come is kept."""
        pending = np.zeros(0, RECORD)
        start_ns, owed = EPOCH_NS, 0.0
        while True:
            owed += self._sessions_per_slice
            count, owed = int(owed), owed % 1
            new = self._conversations(self._random, start_ns, count, self._full_bytes)
            self._count += count
            start_ns += SLICE_NS
            pending = np.concatenate([pending, new])
            is_due = pending["ts_ns"] < start_ns
            due, pending = pending[is_due], pending[~is_due]
            yield due[np.argsort(due["ts_ns"], kind="stable")]


def make_capture(
    path: Path,
    packets: int,
    *,
    seed: int = 1,
    packets_per_s: float = 50_000,
    mean_bytes: float = 512,
    snap_bytes: int = 96,
) -> int:
    """Write a capture of exactly `packets` packets and return its size in bytes.

    Parameters
    ----------
    packets_per_s
        Rate in event time, reached after a few seconds of ramp.
    mean_bytes
        Mean frame length on the wire; about 75 to 900.
    snap_bytes
        A frame is cut after so many bytes; the length on the wire stays.
    """
    noise = np.random.default_rng(seed).integers(0, 256, 70_000, np.uint8)
    piece = max(1, PIECE_BYTES // (min(snap_bytes, 1600) + 16))
    left = packets
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as out:
        out.write(pcap_header(snap_bytes))
        for rows in Traffic(seed, packets_per_s, mean_bytes).slices():
            rows = rows[:left]
            for first in range(0, len(rows), piece):
                out.write(write_frames(rows[first : first + piece], snap_bytes, noise).data)
            left -= len(rows)
            if left == 0:
                break
    temporary.replace(path)
    return path.stat().st_size


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.make_capture", description=__doc__)
    parser.add_argument("--packets", type=int, required=True, help="how many packets")
    parser.add_argument("--out", type=Path, required=True, help="pcap file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=50_000, help="packets per second of event time")
    parser.add_argument("--mean-bytes", type=float, default=512, help="mean frame length on the wire")
    parser.add_argument("--snap-bytes", type=int, default=96, help="captured bytes per frame")
    options = parser.parse_args()
    began = time.perf_counter()
    size = make_capture(
        options.out,
        options.packets,
        seed=options.seed,
        packets_per_s=options.rate,
        mean_bytes=options.mean_bytes,
        snap_bytes=options.snap_bytes,
    )
    took = time.perf_counter() - began
    print(f"{options.out}: {options.packets:,} packets, {size:,} bytes in {took:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
