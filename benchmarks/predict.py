"""How fast the RL-IDS routes answer: latency at a steady rate, and what they do at most.

``python -m benchmarks.predict`` starts an API of its own in another process (store and classifier, no capture) and asks
it over keep-alive connections; with ``--url`` it asks one that runs. It writes nothing. The client speaks HTTP/1.1 by
hand, so that the figures are the service's and not those of a client library; ``api.client`` is measured beside it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click
import httpx
import numpy as np

from api.client import benchmark_api_performance
from benchmarks.processes import cpu_seconds
from infra.ports import is_free

REPOSITORY = Path(__file__).resolve().parents[1]
START_S = 60.0
N_ROWS = 500
"""Different rows that are asked for, so that nothing can be answered from memory."""

_SERVE = """
import sys
from api.app import create_app
from api.serve import listen, server_of
from infra.logging import set_up_logging
from infra.settings import load_settings
settings = load_settings()
set_up_logging(settings, on_stderr=False)
server_of(create_app(settings), settings).run(sockets=listen(settings))
"""


@dataclass(frozen=True)
class Figures:
    """What one measurement found.

    Parameters
    ----------
    name : str
    bar : str
        What was asked for; empty for none.
    requests_per_s, rows_per_s : float
    p50_ms, p99_ms : float
        From the first byte sent to the last one read.
    server_us : float
        Processor time of the service for each request; 0 when it was not looked at.
    """

    name: str
    bar: str
    requests_per_s: float
    rows_per_s: float
    p50_ms: float
    p99_ms: float
    server_us: float


def requests_of(path: str, rows_each: int) -> list[bytes]:
    """Return requests as bytes, each with other rows."""
    # Values over six decades with the digits that a client's JSON has.
    rows = (10 ** np.random.default_rng(0).uniform(0, 6, (N_ROWS, 78))).astype(np.float32).tolist()
    found = []
    for first in range(0, N_ROWS, rows_each):
        items = [{"features": row} for row in rows[first : first + rows_each]]
        body = json.dumps(items[0] if rows_each == 1 else items).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: "
        found.append(head.encode() + str(len(body)).encode() + b"\r\n\r\n" + body)
    return found


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> float:
        """Send a request and read its answer; return how long that took, s."""
        began_s = time.perf_counter()
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head[:20]:
            raise click.ClickException(head.decode())
        await self._reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        return time.perf_counter() - began_s

    def close(self) -> None:
        """Close it."""
        self._writer.close()


async def connected(url: str, count: int) -> list[Connection]:
    """Open connections."""
    target = urlsplit(url)
    return [Connection(*await asyncio.open_connection(target.hostname, target.port)) for _ in range(count)]


async def at_most(url: str, requests: list[bytes], connections: int, seconds: float) -> tuple[list[float], float]:
    """Ask as fast as answers come; return how long each took and all together, s."""
    took_s: list[float] = []

    async def ask(connection: Connection, number: int) -> None:
        while time.perf_counter() < end_s:
            took_s.append(await connection.ask(requests[number % len(requests)]))
            number += connections

    opened = await connected(url, connections)
    for connection in opened:
        await connection.ask(requests[0])
    began_s = time.perf_counter()
    end_s = began_s + seconds
    await asyncio.gather(*(ask(connection, number) for number, connection in enumerate(opened)))
    total_s = time.perf_counter() - began_s
    for connection in opened:
        connection.close()
    return took_s, total_s


async def at_rate(url: str, requests: list[bytes], per_s: float, seconds: float) -> tuple[list[float], float]:
    """Ask at a steady rate, whether or not answers have come; return as ``at_most``.

    A request counts from when it was due: one that had to wait for a connection has waited for the service.
    """
    free: asyncio.Queue[Connection] = asyncio.Queue()
    opened = await connected(url, 16)
    for connection in opened:
        await connection.ask(requests[0])
        free.put_nowait(connection)
    took_s: list[float] = []

    async def ask(request: bytes) -> None:
        due_s = time.perf_counter()
        connection = await free.get()
        await connection.ask(request)
        took_s.append(time.perf_counter() - due_s)
        free.put_nowait(connection)

    began_s = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(round(per_s * seconds)):
            await asyncio.sleep(began_s + number / per_s - time.perf_counter())
            group.create_task(ask(requests[number % len(requests)]))
    total_s = time.perf_counter() - began_s
    for connection in opened:
        connection.close()
    return took_s, total_s


def measured(name: str, bar: str, found: tuple[list[float], float], rows_each: int, server_s: float) -> Figures:
    """Return the figures of what was measured."""
    took_s, total_s = found
    p50_s, p99_s = np.percentile(took_s, (50, 99)).tolist()
    per_s = len(took_s) / total_s
    server_us = server_s / len(took_s) * 1e6
    return Figures(name, bar, per_s, per_s * rows_each, p50_s * 1e3, p99_s * 1e3, server_us)


@contextmanager
def served() -> Iterator[tuple[str, int]]:
    """Run an API of its own; yield its address and its process id."""
    port = next(port for port in range(18_000, 19_000) if is_free(port))
    with tempfile.TemporaryDirectory() as folder:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPANWATCH_", "RLIDS_"))}
        own = {"SPANWATCH_STATE": folder, "SPANWATCH_PORTS": str(port)}
        process = subprocess.Popen([sys.executable, "-c", _SERVE], env=kept | own, cwd=REPOSITORY)
        try:
            url = f"http://127.0.0.1:{port}"
            _until_healthy(url, process)
            yield url, process.pid
        finally:
            process.terminate()
            process.wait(30)


def _until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and process.poll() is None:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise click.ClickException("The API did not start.")


def figures_of(url: str, seconds: float, pid: int | None) -> Iterator[Figures]:
    """Measure everything."""
    one, many = requests_of("/predict", 1), requests_of("/predict/batch", 100)
    runs = (
        ("/predict, 100 requests/s", "p50 ≤ 2 ms, p99 ≤ 10 ms", lambda: at_rate(url, one, 100, seconds), 1),
        ("/predict, 1 connection", "", lambda: at_most(url, one, 1, seconds), 1),
        ("/predict, 16 connections", "≥ 1,500 predictions/s", lambda: at_most(url, one, 16, seconds), 1),
        ("/predict/batch, 100 rows, 4 connections", "≥ 20,000 rows/s", lambda: at_most(url, many, 4, seconds), 100),
    )
    for name, bar, run, rows_each in runs:
        before_s = cpu_seconds(pid) if pid else 0.0
        found = asyncio.run(run())
        server_s = cpu_seconds(pid) - before_s if pid else 0.0
        yield measured(name, bar, found, rows_each, server_s)
    for concurrency in (1, 16):
        said = asyncio.run(benchmark_api_performance(round(300 * seconds), url, concurrency=concurrency))
        name = f"IDSAPIClient.predict, {concurrency} at a time"
        yield Figures(name, "", said["rps"], said["rps"], said["p50"] * 1e3, said["p99"] * 1e3, 0.0)


def table(figures: list[Figures]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| what | bar | requests/s | rows/s | p50 | p99 | processor time of the service |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for one in figures:
        server = f"{one.server_us:,.0f} µs" if one.server_us else ""
        lines.append(
            f"| {one.name} | {one.bar} | {one.requests_per_s:,.0f} | {one.rows_per_s:,.0f} | {one.p50_ms:.2f} ms "
            f"| {one.p99_ms:.2f} ms | {server} |"
        )
    return "\n".join(lines)


@click.command()
@click.option("--url", help="An API that runs; its own unless told.")
@click.option("--seconds", default=10.0, help="How long each measurement takes.")
def main(url: str | None, seconds: float) -> None:
    """Measure the RL-IDS routes."""
    if url:
        print(table([*figures_of(url.rstrip("/"), seconds, None)]))
        return
    with served() as (own, pid):
        print(table([*figures_of(own, seconds, pid)]))
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
