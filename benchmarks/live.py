"""A live capture under load: lost frames, and what it costs, alone and with the whole stack behind it.

``sudo python -m benchmarks.live`` makes a veth pair with one end in a namespace of its own, and takes both away
afterwards.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import psutil

from api.remote import RemoteStack
from benchmarks.machine import machine
from infra.settings import load_settings

REPOSITORY = Path(__file__).resolve().parents[1]
START_S = 120.0
SETTLE_S = 3.0
Result = dict[str, Any]


@contextmanager
def veth_pair() -> Iterator[tuple[str, str, str]]:
    """Yield an interface to capture from, its peer, and the namespace of the peer."""
    name = f"swlive{os.getpid() % 10**6}"
    near, far = f"{name}a", f"{name}b"
    try:
        _ip("netns", "add", name)
        _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        # Neither end is to say anything by itself.
        _ip("link", "set", near, "addrgenmode", "none", "up")
        _ip("-n", name, "link", "set", far, "addrgenmode", "none", "up")
        subprocess.run(
            ["ip", "netns", "exec", name, sys.executable, "-m", "lab.offload", far], cwd=REPOSITORY, check=True
        )
        yield near, far, name
    finally:
        subprocess.run(["ip", "link", "delete", near], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "delete", name], check=False, stderr=subprocess.DEVNULL)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def sent(pair: tuple[str, str, str], rate: int, seconds: float, size: int) -> Result:
    """Send load into a pair; return what the sender says."""
    _, far, namespace = pair
    command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "benchmarks.live_sender"]
    done = subprocess.run(
        [*command, far, str(rate), str(seconds), str(size)], cwd=REPOSITORY, check=True, capture_output=True
    )
    return dict(json.loads(done.stdout))


def alone(rate: int, seconds: float, size: int, ring_mib: int, folder: Path | None) -> Result:
    """Capture without a stack; with a folder, the frames are recorded."""
    with veth_pair() as pair:
        command = [sys.executable, "-m", "benchmarks.live_reader", pair[0], str(seconds + 30), str(ring_mib)]
        reader = subprocess.Popen(
            [*command, *([str(folder)] if folder else [])],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert reader.stdout is not None
        assert reader.stderr is not None
        reader.stderr.readline()
        load = sent(pair, rate, seconds, size)
        time.sleep(SETTLE_S)
        reader.send_signal(signal.SIGINT)
        return {"sender": load, **json.loads(reader.communicate()[0])}


def with_stack(rate: int, seconds: float, size: int, folder: Path) -> Result:
    """Capture into a stack of its own; return the ledger and every process's processor time."""
    with veth_pair() as pair, running_stack(folder, pair[0]) as (stack, process):
        before = _cpu(process)
        load = sent(pair, rate, seconds, size)
        time.sleep(SETTLE_S)
        after = _cpu(process)
        running = stack.get("/api/captures", limit=1)["captures"][0]
        capture = [child for child in process.children() if "capture" in child.cmdline()]
        for child in capture:
            child.send_signal(signal.SIGINT)
        ended_s = time.monotonic()
        list(stack.until_stored(running["capture_id"]))
        stored_s = time.monotonic() - ended_s
        ledger = stack.get(f"/api/captures/{running['capture_id']}/ledger")
    return {
        "sender": load,
        "cpu_seconds": {name: round(after[name] - before.get(name, 0.0), 2) for name in after},
        "stored_after_s": round(stored_s, 1),
        "is_balanced": ledger["is_balanced"],
        "ledger": [[hop["hop"], hop["packets_in"], hop["packets_out"], hop["lost"]] for hop in ledger["hops"]],
    }


@contextmanager
def running_stack(folder: Path, interface: str) -> Iterator[tuple[RemoteStack, psutil.Process]]:
    """Yield a stack that captures from an interface, and its first process."""
    ports = (_free_port(), _free_port())
    settings = load_settings(state=folder / "state", ports=ports[:1], kafka="", kafka_port=ports[1])
    environment = {
        **os.environ,
        "SPANWATCH_STATE": str(settings.state),
        "SPANWATCH_PORTS": str(ports[0]),
        "SPANWATCH_KAFKA_PORT": str(ports[1]),
    }
    with (folder / "up.out").open("wb") as log, RemoteStack(settings) as stack:
        command = [sys.executable, "-m", "spanwatch", "up", "--interface", interface]
        up = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _until(stack.is_up, START_S)
            _until(lambda: stack.get("/api/captures")["total"] > 0, START_S)
            time.sleep(SETTLE_S)
            yield stack, psutil.Process(up.pid)
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(30)


def _cpu(process: psutil.Process) -> dict[str, float]:
    """Return the processor time of each process of a stack, s."""
    used = {}
    for one in [process, *process.children(recursive=True)]:
        times, command = one.cpu_times(), one.cmdline()
        label = next((word for word in ("worker", "capture", "up") if word in command), one.name())
        used[label] = times.user + times.system
    return used


def _until(is_so: Any, timeout_s: float) -> float:
    began_s = time.monotonic()
    while not is_so():
        if time.monotonic() - began_s > timeout_s:
            raise TimeoutError
        time.sleep(0.2)
    return time.monotonic() - began_s


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@click.command()
@click.option("--rate", default=300_000, help="Packets per second.")
@click.option("--seconds", default=60.0)
@click.option("--size", default=200, help="Bytes of a frame.")
@click.option("--ring-mib", default=256)
@click.option("--only", type=click.Choice(["alone", "recorded", "stack"]))
def main(rate: int, seconds: float, size: int, ring_mib: int, only: str | None) -> None:
    """Measure and print, as JSON."""
    found: Result = {"machine": machine(), "rate": rate, "seconds": seconds, "size": size}
    with tempfile.TemporaryDirectory(prefix="swlive-") as folder:
        if only in (None, "alone"):
            found["alone"] = alone(rate, seconds, size, ring_mib, None)
        if only in (None, "recorded"):
            found["recorded"] = alone(rate, seconds, size, ring_mib, Path(folder) / "packets")
        if only in (None, "stack"):
            found["stack"] = with_stack(rate, seconds, size, Path(folder))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
