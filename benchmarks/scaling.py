"""Measure how spanwatch scales with workers, partitions, brokers and cores: `python -m benchmarks.scaling --write`.

Throughput and processor time are differences between a large and a small capture, so that starts, imports and polling
count in neither. Processor time (user and system, of every process by its job) depends little on what else the machine
does; throughput needs a quiet one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from api.compute import new_capture_id
from benchmarks.machine import machine
from benchmarks.make_capture import make_capture
from benchmarks.scaling_page import write_page
from infra.ports import is_free
from infra.settings import environment_of, load_settings
from spanwatch_local_cluster import LocalCluster

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL_PACKETS = 200_000
STORED_S = 900.0
REST_S = 2.0
"""After the last row has come, ClickHouse still merges, and workers still write snapshots."""

IDLE_S = 5.0

_PARTS = """
import json, sys
from infra.store import Store
with Store.open(sys.argv[1]) as store:
    print(json.dumps(store.query('''
        SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS stored, sum(data_uncompressed_bytes) AS plain
        FROM system.parts WHERE active AND database = currentDatabase() GROUP BY table''', {})))
"""


@dataclass(frozen=True)
class Shape:
    """What is started: on how many cores, with how many of each."""

    cores: int
    brokers: int
    workers: int
    partitions: int


@dataclass
class Measure:
    """What one shape came to.

    Parameters
    ----------
    packets_per_s : float
        From the reader's start to the last row, without what a small capture takes.
    cpu_us : dict of str to float
        Processor time per packet by job, µs.
    kafka_bytes : dict of str to float
        Bytes per packet of each topic, on one replica.
    store_bytes : dict of str to tuple of float
        Bytes per packet of each table, on disk and before compression, and rows per packet.
    load : float
        Of the machine before this shape was measured.
    """

    shape: Shape
    packets_per_s: float = 0.0
    cpu_us: dict[str, float] = field(default_factory=dict)
    kafka_bytes: dict[str, float] = field(default_factory=dict)
    store_bytes: dict[str, tuple[float, ...]] = field(default_factory=dict)
    load: float = 0.0


SHAPES = (
    *(Shape(1, 1, 1, 2), Shape(2, 1, 1, 2), Shape(2, 1, 1, 6)),
    *(Shape(2, 1, 2, 6), Shape(2, 1, 3, 6), Shape(2, 3, 3, 6)),
)


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Keep this process, and every child that it starts, to so many cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:count]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Bench:
    """One cluster of a shape, fed with captures."""

    def __init__(self, shape: Shape, folder: Path) -> None:
        self._shape = shape
        settings = load_settings(state=folder, kafka="", ports=(_free_port(),), partitions=shape.partitions)
        self._cluster = LocalCluster(settings, shape.brokers, shape.workers)
        self._idle: dict[str, float] = {}

    def run(self, small: Path, large: Path, packets: int) -> Measure:
        """Feed both captures, the small one twice to warm everything up; return what the difference came to."""
        load = os.getloadavg()[0]
        cluster = self._cluster
        try:
            cluster.add_workers(self._shape.workers)
            cluster.wait_until_up()
            self._feed(small)
            self._idle = self._idle_cores()
            little_s, little = self._feed(small)
            before = self._kafka_bytes()
            large_s, spent = self._feed(large)
            after = self._kafka_bytes()
        finally:
            cluster.stop()
        more = packets - SMALL_PACKETS
        found = Measure(self._shape, more / (large_s - little_s), load=load)
        found.cpu_us = {job: (spent[job] - little[job]) / more * 1e6 for job in spent}
        found.kafka_bytes = {topic: (after[topic] - before[topic]) / packets for topic in sorted(after)}
        stored = packets + 2 * SMALL_PACKETS
        found.store_bytes = {table: tuple(size / stored for size in sizes) for table, *sizes in self._parts()}
        return found

    def _feed(self, capture: Path) -> tuple[float, dict[str, float]]:
        """Have a capture read; return the seconds until all rows were stored, and processor time by job."""
        settings, capture_id = self._cluster.settings, new_capture_id()
        before = self._spent()
        began_s = time.monotonic()
        command = [sys.executable, "-m", "spanwatch", "capture", str(capture), "--id", capture_id]
        with (settings.logs_folder / "capture.out").open("ab") as output:
            reader = subprocess.Popen(
                command, env={**os.environ, **environment_of(settings)}, stdout=output, stderr=output, cwd=REPOSITORY
            )
            _, status, used = os.wait4(reader.pid, 0)
            reader.returncode = os.waitstatus_to_exitcode(status)
        if reader.returncode:
            raise RuntimeError(f"{capture} cannot be read; see {settings.logs_folder}")
        for _ in self._cluster.remote.until_stored(capture_id, STORED_S):
            pass
        seconds = time.monotonic() - began_s
        time.sleep(REST_S)
        whole_s = time.monotonic() - began_s
        spent = {job: cpu_s - before[job] - self._idle.get(job, 0.0) * whole_s for job, cpu_s in self._spent().items()}
        return seconds, {"reader": used.ru_utime + used.ru_stime, **spent}

    def _idle_cores(self) -> dict[str, float]:
        """Return the cores that each job uses at rest, for polls and heartbeats."""
        before, began_s = self._spent(), time.monotonic()
        time.sleep(IDLE_S)
        whole_s = time.monotonic() - began_s
        return {job: (cpu_s - before[job]) / whole_s for job, cpu_s in self._spent().items()}

    def _spent(self) -> dict[str, float]:
        """Return the processor time of the living processes by job, s."""
        spent: defaultdict[str, float] = defaultdict(float)
        jobs = [("brokers", broker.pid) for broker in self._cluster.brokers]
        jobs += [("workers", worker.pid) for worker in self._cluster.workers.values()]
        jobs += [("store and API", self._cluster.api.pid)]
        for job, pid in jobs:
            times = psutil.Process(pid).cpu_times()
            spent[job] += times.user + times.system
        return dict(spent)

    def _kafka_bytes(self) -> dict[str, int]:
        """Return the size of each topic's messages, of one replica."""
        settings = self._cluster.settings
        sizes: defaultdict[str, int] = defaultdict(int)
        for file in settings.kafka_folder.glob(f"node-*/data/{settings.topic_prefix}*/*.log"):
            topic = file.parent.name.removeprefix(settings.topic_prefix).rpartition("-")[0]
            sizes[topic] += file.stat().st_size
        return {topic: size // min(3, self._shape.brokers) for topic, size in sizes.items()}

    def _parts(self) -> list[tuple[str, int, int, int]]:
        """Return each table of the closed store with its bytes on disk and before compression, and its rows."""
        command = [sys.executable, "-c", _PARTS, self._cluster.settings.clickhouse]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
        rows = json.loads(done.stdout)
        return [(row["table"], int(row["stored"]), int(row["plain"]), int(row["rows"])) for row in rows]


def _free_port() -> int:
    return next(port for port in range(18_500, 19_500) if is_free(port))


def measure(shapes: tuple[Shape, ...], packets: int, folder: Path) -> list[Measure]:
    """Measure shapes one after the other, each with a state of its own."""
    small, large = folder / "small.pcap", folder / "large.pcap"
    make_capture(small, SMALL_PACKETS)
    make_capture(large, packets)
    found = []
    for number, shape in enumerate(shapes):
        print(f"{shape} …", flush=True)
        with on_cores(shape.cores):
            found.append(Bench(shape, folder / f"state-{number}").run(small, large, packets))
        told = {job: round(cpu_us, 2) for job, cpu_us in found[-1].cpu_us.items()}
        print(
            f"  {found[-1].packets_per_s:,.0f} packets/s, µs per packet {told}, load {found[-1].load:.1f}", flush=True
        )
    return found


def main() -> None:
    """Measure, print, and with ``--write`` put the figures into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=3_000_000, help="of the large capture")
    parser.add_argument("--shapes", type=int, nargs="*", help="numbers of the shapes to measure, from 0")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks/scaling.json and docs/scaling.md")
    options = parser.parse_args()
    shapes = tuple(SHAPES[number] for number in options.shapes) if options.shapes else SHAPES
    with tempfile.TemporaryDirectory(prefix="spanwatch-scaling-") as folder:
        found = measure(shapes, options.packets, Path(folder))
    results = {"machine": machine(), "packets": options.packets, "measures": [asdict(one) for one in found]}
    print(json.dumps(results, indent=1))
    if options.write:
        (REPOSITORY / "docs" / "benchmarks" / "scaling.json").write_text(json.dumps(results, indent=1) + "\n")
        write_page(results, REPOSITORY / "docs" / "scaling.md")


if __name__ == "__main__":
    main()
