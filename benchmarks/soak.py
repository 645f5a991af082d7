"""Memory of a live stack over time: the bundled capture again and again over veth, all of its traffic judged.

``sudo python -m benchmarks.soak`` makes a veth pair with one end in a namespace of its own, and takes both away
afterwards.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import psutil

from benchmarks.live import REPOSITORY, Result, running_stack, veth_pair
from benchmarks.machine import machine
from benchmarks.processes import MIB

SAMPLE = REPOSITORY / "samples" / "mixed.pcap.gz"
SETTLED = 1 / 3
"""Share of the time after which memory is to have settled: caches and pools are full by then."""


@contextmanager
def replay(pair: tuple[str, str, str], pps: int, folder: Path) -> Iterator[None]:
    """Send the bundled capture into a pair until the block ends."""
    plain = folder / "mixed.pcap"
    with plain.open("wb") as file:
        subprocess.run(["gzip", "-dc", str(SAMPLE)], stdout=file, check=True)
    command = ["tcpreplay", "-q", "--loop=0", f"--pps={pps}", "--preload-pcap", f"--intf1={pair[1]}", str(plain)]
    sender = subprocess.Popen(
        ["ip", "netns", "exec", pair[2], *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        sender.send_signal(signal.SIGINT)
        sender.wait(30)


def memory_mib(process: psutil.Process) -> dict[str, float]:
    """Return the resident size of each process of a stack, MiB."""
    sizes: dict[str, float] = {}
    for one in [process, *process.children(recursive=True)]:
        try:
            command, size = one.cmdline(), one.memory_info().rss / MIB
        except psutil.Error:
            continue
        label = next((word for word in ("worker", "capture", "up") if word in command), one.name())
        sizes[label] = sizes.get(label, 0.0) + size
    return sizes


def growth(times_s: list[float], sizes: list[float]) -> Result:
    """Return first, median and last size, MiB, and the slope once settled, MiB an hour."""
    settled = [(at, size) for at, size in zip(times_s, sizes, strict=True) if at >= SETTLED * times_s[-1]]
    hours, late = np.array([at for at, _ in settled]) / 3600, np.array([size for _, size in settled])
    slope = float(np.polyfit(hours, late, 1)[0]) if len(settled) > 1 else 0.0
    return {
        "first": round(sizes[0]),
        "settled": round(float(late[0])),
        "median": round(float(np.median(late))),
        "last": round(sizes[-1]),
        "per_hour": round(slope, 1),
    }


def soak(minutes: float, pps: int, every_s: float, folder: Path) -> Result:
    """Run it; return each process's memory and the ledger of the capture."""
    times_s: list[float] = []
    sizes: dict[str, list[float]] = defaultdict(list)
    with veth_pair() as pair, running_stack(folder, pair[0]) as (stack, process):
        with replay(pair, pps, folder):
            began_s = time.monotonic()
            while (at_s := time.monotonic() - began_s) < minutes * 60:
                now = memory_mib(process)
                times_s.append(at_s)
                for label, size in now.items():
                    sizes[label].append(size)
                said = ", ".join(f"{label} {size:.0f}" for label, size in sorted(now.items()))
                print(f"[{at_s:6.0f} s] MiB: {said}", file=sys.stderr, flush=True)
                time.sleep(every_s)
        running = stack.get("/api/captures", limit=1)["captures"][0]
        for child in process.children():
            if "capture" in child.cmdline():
                child.send_signal(signal.SIGINT)
        list(stack.until_stored(running["capture_id"]))
        ledger = stack.get(f"/api/captures/{running['capture_id']}/ledger")
    return {
        "mib": {label: growth(times_s, values) for label, values in sizes.items() if len(values) == len(times_s)},
        "is_balanced": ledger["is_balanced"],
        "ledger": [[hop["hop"], hop["packets_in"], hop["packets_out"], hop["lost"]] for hop in ledger["hops"]],
    }


@click.command()
@click.option("--minutes", default=30.0, show_default=True)
@click.option("--pps", default=5000, show_default=True, help="Packets per second.")
@click.option("--every", default=15.0, show_default=True, help="Seconds between two looks at the memory.")
def main(minutes: float, pps: int, every: float) -> None:
    """Run a live stack for some time and print, as JSON, what its memory did."""
    with tempfile.TemporaryDirectory(prefix="swsoak-") as folder:
        found = soak(minutes, pps, every, Path(folder))
    print(json.dumps({"machine": machine(), "minutes": minutes, "pps": pps, **found}, indent=1))


if __name__ == "__main__":
    main()
