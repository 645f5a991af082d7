"""Measure spanwatch and its peers on one generated capture: `python -m benchmarks.run`, or `make bench`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.machine import machine, versions
from benchmarks.make_capture import make_capture
from benchmarks.measured import Measured, Summary
from benchmarks.peers import NFSTREAM, NFSTREAM_BARE, TSHARK, measure_peer, missing
from benchmarks.plots import draw
from benchmarks.processes import until_idle
from benchmarks.report import headline, page
from benchmarks.results import SPANWATCH, Results
from benchmarks.stack import REPOSITORY, Stack
from benchmarks.stages import STAGES, stage_costs

PEERS = (NFSTREAM, NFSTREAM_BARE, TSHARK)
WARM_UP_PACKETS = 100_000
WARM_UP_PASSES = 2
"""Passes over the whole capture before the first that counts: by then Java's code is compiled and memory is at hand."""
QUIET_LOAD = 0.5


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    packets: int
    repeats: int
    growth: tuple[int, ...]
    latency_times: int
    stage_packets: int


FULL = Plan(3_000_000, 5, (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000), 10, 2_000_000)
QUICK = Plan(100_000, 1, (30_000, 100_000), 3, 100_000)


class Bench:
    """One run: generates captures, measures, and keeps what it finds."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._began_s = time.monotonic()
        self.results = Results(machine=machine(), versions=versions())

    def say(self, text: str) -> None:
        """Print progress with the time since the start."""
        print(f"[{time.monotonic() - self._began_s:6.1f} s] {text}", flush=True)

    def run(self) -> None:
        """Measure everything."""
        self.say(", ".join(f"{name}: {value}" for name, value in self.results.machine.items()))
        if os.getloadavg()[0] > QUIET_LOAD:
            self.say("NOTE: this machine is busy; the figures will be too low and uneven")
        with Stack(self._folder) as stack:
            self.results.start_s = stack.start_s
            self.say(f"spanwatch up answers after {stack.start_s:.1f} s; warming up")
            small = self._capture(WARM_UP_PACKETS)
            for _ in range(3):
                stack.compute(small)
            self._latency(stack, small)
            self._compare(stack)
            self._grow(stack)
        self._stages()

    def _capture(self, packets: int) -> Path:
        path = self._folder / f"{packets}.pcap"
        if not path.exists():
            began_s = time.monotonic()
            size = make_capture(path, packets)
            self.say(f"made {packets:,} packets, {size / 1e6:,.0f} MB, in {time.monotonic() - began_s:.1f} s")
        return path

    def _latency(self, stack: Stack, small: Path) -> None:
        self.results.latency_packets = WARM_UP_PACKETS
        for name, is_new in (("a new file", True), ("the same file again (force)", False)):
            times = []
            for _ in range(self._plan.latency_times):
                until_idle(stack.pid)
                times.append(stack.compute(small, as_new=is_new))
            self.results.latency_s[name] = times
            self.say(f"compute over the API, {name}: " + " ".join(f"{one:.2f}" for one in times) + " s")

    def _compare(self, stack: Stack) -> None:
        packets = self._plan.packets
        path = self._capture(packets)
        self.results.capture_bytes = path.stat().st_size
        tools: dict[str, Callable[[], Measured]] = {SPANWATCH: partial(stack.measure, path, packets)}
        for peer in PEERS:
            if reason := missing(peer):
                self.results.skipped.append(f"{peer} ({reason})")
                self.say(f"skipping {peer}: {reason}")
            else:
                tools[peer] = partial(measure_peer, peer, path, packets, self._folder)
        for _ in range(WARM_UP_PASSES):
            seconds = stack.compute(path)
            self.say(f"warming up with the whole capture: {seconds:.1f} s")
        passes: dict[str, list[Measured]] = {tool: [] for tool in tools}
        for number in range(self._plan.repeats):
            for tool, measure in tools.items():
                self.results.idle_cores = until_idle(stack.pid)
                one = measure()
                passes[tool].append(one)
                self.say(
                    f"pass {number + 1}: {tool}: {one.seconds:.1f} s, {one.packets_per_s:,.0f} packets/s, "
                    f"{one.cpu_us_per_packet:.2f} µs CPU a packet"
                )
        self.results.tools = [Summary.of(tool, measured) for tool, measured in passes.items()]

    def _grow(self, stack: Stack) -> None:
        for packets in self._plan.growth:
            path = self._capture(packets)
            passes = []
            for _ in range(1 if packets > 5_000_000 else self._plan.repeats):
                until_idle(stack.pid)
                passes.append(stack.measure(path, packets))
            summary = Summary.of(SPANWATCH, passes)
            self.results.growth.append(summary)
            sizes = ", ".join(f"{label} {size:,.0f}" for label, size in summary.peak_mib.items())
            self.say(f"{packets:,} packets: {summary.seconds:.2f} s, {summary.packets_per_s:,.0f}/s; MiB: {sizes}")

    def _stages(self) -> None:
        path = self._capture(self._plan.stage_packets)
        for partitions in (1, 4):
            self.results.add_stages(partitions, list(stage_costs(path, partitions, self._plan.repeats)))
            costs = self.results.stages[str(partitions)]
            self.say(f"ns a packet, {partitions} partitions: " + ", ".join(f"{s} {costs[s]:.0f}" for s in STAGES))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: 100,000 packets, figures mean little")
    parser.add_argument("--packets", type=int, help="packets of the capture that the tools are compared on")
    parser.add_argument("--repeats", type=int, help="passes of each tool")
    parser.add_argument("--most", type=int, help="packets of the largest capture of the growth curve")
    parser.add_argument("--out", type=Path, help="where benchmarks.md goes (default: docs; .local/bench with --quick)")
    parser.add_argument("--work", type=Path, help="where captures and the stack's state go for the time of the run")
    options = parser.parse_args()
    base = QUICK if options.quick else FULL
    plan = Plan(
        packets=options.packets or base.packets,
        repeats=options.repeats or base.repeats,
        growth=tuple(n for n in base.growth if n <= (options.most or base.growth[-1])),
        latency_times=base.latency_times,
        stage_packets=base.stage_packets,
    )
    out = options.out or REPOSITORY / (".local/bench" if options.quick else "docs")
    with tempfile.TemporaryDirectory(prefix="spanwatch-bench-", dir=options.work) as folder:
        bench = Bench(plan, Path(folder))
        bench.run()
    pictures = out / "benchmarks"
    draw(bench.results, pictures)
    bench.results.write(pictures / "results.json")
    (out / "benchmarks.md").write_text(page(bench.results))
    for line in headline(bench.results):
        print(line)
    print(f"written: {out / 'benchmarks.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
