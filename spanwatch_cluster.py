"""The part of the front door that runs a cluster on this machine, and shows that it keeps every row."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.table import Table

from agents.worker import READS
from api.compute import new_capture_id
from api.queries_digests import Digest, digests
from api.remote import Answer
from infra.command_help import examples
from infra.groups import Group, Replicas
from infra.lag import has_caught_up
from infra.logging import set_up_logging
from infra.processes import spawn, stop_process
from infra.settings import environment_of, load_settings
from infra.store import Store
from schemas.errors import BrokerError, SpanwatchError
from schemas.topics import STORAGE_GROUP, TOPICS
from spanwatch_local_cluster import LocalCluster, wait_until

out = Console(highlight=False, soft_wrap=True)

BACK_S = 180.0
"""How long partitions may be without a worker or a leader, on a busy machine."""

STORED_S = 240.0
"""How long the rows of a file may take once it is read; a worker that has lost its place comes back within 90 s."""

KILL_WORKER_AT, KILL_BROKER_AT = 0.25, 0.5
"""Shares of the file's packets after which a worker and a broker are killed."""


@dataclass(frozen=True)
class _Read:
    """A file on its way into the stream: its capture's id, and the process that reads it."""

    capture_id: str
    process: subprocess.Popen[bytes]


class Proof:
    """A file read by a cluster: in peace, or while a worker and a broker are killed.

    Parameters
    ----------
    cluster : LocalCluster
        Up, with workers.
    file : Path
        What is read.
    seconds : float
        How long the disturbed reading takes.
    """

    def __init__(self, cluster: LocalCluster, file: Path, seconds: float) -> None:
        self._cluster = cluster
        self._file = file
        self._seconds = seconds

    def in_peace(self) -> str:
        """Read the file as fast as it goes; return its capture's id once all rows are in the store."""
        read = self._read(0.0)
        if read.process.wait() != 0:
            raise SpanwatchError(f"{self._file} cannot be read; the reader's last words are in the logs folder.")
        self._store(read.capture_id)
        return read.capture_id

    def disturbed(self, told: Answer) -> str:
        """Read the file again, kill a worker and then a broker on the way; return the new capture's id.

        Parameters
        ----------
        told : dict
            The capture of an undisturbed reading, as the API tells of it: how much there is to read.

        Raises
        ------
        SpanwatchError
            Something does not come back in time, or all rows were stored before everything was killed.
        """
        length_s = told["last_packet"] - told["first_packet"]
        read = self._read(max(length_s / self._seconds, 1e-3))
        with ThreadPoolExecutor(2) as pool:
            try:
                self._wait_for(read, KILL_WORKER_AT * told["packets"])
                again = [self._kill_worker(pool)]
                self._wait_for(read, KILL_BROKER_AT * told["packets"])
                again.append(self._kill_broker(pool))
                wait_until(lambda: read.process.poll() is not None, self._seconds + STORED_S, "the file is read")
            finally:
                stop_process(read.process, 1.0)
            self._store(read.capture_id)
            for watched in again:
                watched.result()
        return read.capture_id

    def _read(self, speed: float) -> _Read:
        settings, capture_id = self._cluster.settings, new_capture_id()
        options = [str(self._file), "--speed", f"{speed:.6f}", "--id", capture_id]
        command = [sys.executable, "-m", "spanwatch", "capture", *options]
        output = settings.logs_folder / "capture.out"
        return _Read(capture_id, spawn(command, output=output, environment=environment_of(settings)))

    def _store(self, capture_id: str) -> None:
        """Wait until all rows of a capture are in the store, baselines included: without them it counts as stored."""
        for now in self._cluster.remote.until_stored(capture_id, STORED_S):
            if now is not None and now["state"] == "failed":
                raise SpanwatchError(f"The capture failed: {now['error']}")
        wait_until(self._is_all_taken, STORED_S, "all that was learnt is stored")

    def _is_all_taken(self) -> bool:
        settings = self._cluster.settings
        try:
            return has_caught_up(settings, settings.group_name(STORAGE_GROUP), READS[STORAGE_GROUP])
        except BrokerError:
            return False

    def _wait_for(self, read: _Read, packets: float) -> None:
        """Return once so many packets have been read."""

        def is_there() -> bool:
            now = self._cluster.remote.capture(read.capture_id) or {"packets": 0, "is_complete": False}
            if now["is_complete"]:
                raise SpanwatchError("Everything was stored before all was killed; give it more time with --seconds.")
            return bool(now["packets"] >= packets)

        wait_until(is_there, self._seconds + STORED_S, f"{packets:,.0f} packets are read")

    def _kill_worker(self, pool: ThreadPoolExecutor) -> Future[None]:
        """Kill the worker that has most partitions; return what waits until the group has shared them out again."""
        cluster = self._cluster
        group = cluster.group() or Group(False, -1, {})
        name = max(cluster.workers, key=lambda worker: len(group.members.get(cluster.id_of(worker), ())))
        lost, pid = cluster.id_of(name), cluster.workers[name].pid or 0
        os.kill(pid, signal.SIGKILL)
        out.print(f"killed {name} (-9, process {pid}), which had {len(group.members.get(lost, ()))} partitions")

        def watch() -> None:
            again_s = wait_until(lambda: cluster.id_of(name) != lost, BACK_S, f"{name} is started again")
            shared_s = cluster.wait_until_shared(BACK_S)
            out.print(f"{name} was started again after {again_s:.1f} s; rebalanced after {again_s + shared_s:.1f} s:")
            out.print(cluster.shares())

        return pool.submit(watch)

    def _kill_broker(self, pool: ThreadPoolExecutor) -> Future[None]:
        """Kill the broker that coordinates the workers; return what waits until it is in sync again."""
        group = self._cluster.group()
        victim = self._cluster.brokers[group.coordinator - 1 if group else 0]
        before = self.replicas()
        led = sum(found.leader == victim.number for found in before.values())
        pid = victim.pid or 0
        os.kill(pid, signal.SIGKILL)
        name = f"broker {victim.number}"
        out.print(
            f"killed {name} (-9, process {pid}), which led the workers' group and {led} of {len(before)} partitions"
        )

        def watch() -> None:
            led_s = wait_until(lambda: self._is_led_without(victim.number), BACK_S, "others lead the partitions")
            back_s = wait_until(lambda: victim.is_alive and self._is_in_sync(), BACK_S, f"{name} has caught up")
            out.print(
                f"others led them after {led_s:.1f} s; {name} was back with all messages after {led_s + back_s:.1f} s"
            )

        return pool.submit(watch)

    def replicas(self) -> dict[tuple[str, int], Replicas]:
        """Return where every partition's replicas are; nothing while nobody can say."""
        try:
            return self._cluster.view.replicas(TOPICS)
        except BrokerError:
            return {}

    def _is_led_without(self, number: int) -> bool:
        found = self.replicas().values()
        return bool(found) and all(replicas.leader not in (-1, number) for replicas in found)

    def _is_in_sync(self) -> bool:
        found = self.replicas().values()
        return bool(found) and all(replicas.in_sync == replicas.brokers for replicas in found)


def prove(cluster: LocalCluster, file: Path, workers: int, seconds: float) -> bool:
    """Show that a cluster keeps every row; stops it, and returns whether it did."""
    proof = Proof(cluster, file, seconds)
    cluster.add_workers(1)
    cluster.wait_until_up()
    alone = proof.in_peace()
    out.print(f"one worker has read {file} (capture {alone})")
    began_s = time.monotonic()
    cluster.add_workers(workers - 1)
    cluster.wait_until_up()
    out.print(f"{workers} workers share the partitions after {time.monotonic() - began_s:.1f} s:")
    out.print(cluster.shares())
    runs = {"one worker": alone, f"{workers} workers, kills": proof.disturbed(cluster.remote.capture(alone) or {})}
    # An embedded store belongs to one process at a time: to this one now.
    cluster.stop()
    with Store.open(cluster.settings.clickhouse) as store:
        found = digests(store, list(runs.values()))
    (first, one), (second, other) = ((name, found[capture_id]) for name, capture_id in runs.items())
    out.print(comparison(first, one, second, other))
    for name, capture_id in runs.items():
        out.print(f"{name}: capture {capture_id}")
    is_equal = one == other
    out.print("[green]The rows are equal.[/green]" if is_equal else "[red]The rows differ.[/red]")
    return is_equal


def comparison(first: str, one: Digest, second: str, other: Digest) -> Table:
    """Return what two captures came to, table by table, and whether it is the same."""
    table = Table("rows of", first, second, "", box=None, pad_edge=False)
    for name in one:
        table.add_row(name, _told(one[name]), _told(other[name]), "equal" if one[name] == other[name] else "DIFFER")
    return table


def _told(rows: list[dict[str, object]]) -> str:
    """Return a table's digest in a few words: how many rows, and the last digits of the sum of their hashes."""
    first = rows[0] if rows else {}
    count = first.get("n", first.get("packets", len(rows)))
    return f"{count:,} …{str(first['hash'])[-6:]}" if "hash" in first else f"{count:,}"


@click.command(
    "cluster",
    epilog=examples("spanwatch cluster --brokers 3 --workers 3", "spanwatch cluster --prove samples/mixed.pcap.gz"),
)
@click.option("--brokers", type=click.IntRange(1, 9), default=3, show_default=True, help="Kafka brokers.")
@click.option("--workers", type=click.IntRange(1, 64), default=3, show_default=True, help="Workers.")
@click.option(
    "--prove",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Read FILE with one worker, then with all while one worker and one broker are killed; compare the rows; end.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(10, 3600),
    default=30.0,
    show_default=True,
    help="How long --prove takes to read FILE while things are killed.",
)
def cluster_command(brokers: int, workers: int, file: Path | None, seconds: float) -> None:
    """Run several brokers and workers on this machine.

    With the API; Ctrl-C stops all.

    Partitions have a replica on three brokers, and two of them must have a message before it counts. The state folder
    must be one that no single broker has used.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        settings = load_settings()
        set_up_logging(settings)
        began_s = time.monotonic()
        cluster = LocalCluster(settings, brokers, workers)
        try:
            names = ", ".join(
                f"{broker.number} at {broker.bootstrap} (process {broker.pid})" for broker in cluster.brokers
            )
            out.print(f"{brokers} brokers answer after {time.monotonic() - began_s:.1f} s: {names}")
            if file is None:
                _keep_running(cluster, workers)
            elif not prove(cluster, file, workers, seconds):
                sys.exit(1)
        finally:
            cluster.stop()
    except SpanwatchError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        out.print("stopped")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


def _keep_running(cluster: LocalCluster, workers: int) -> None:
    """Show who has which partitions, again whenever that has changed."""
    cluster.add_workers(workers)
    cluster.wait_until_up()
    settings = cluster.settings
    out.print(f"spanwatch answers at {cluster.remote.url}  (stop: Ctrl-C)")
    out.print(
        f"Beside it: SPANWATCH_STATE={settings.state} SPANWATCH_PARTITIONS={settings.partitions} spanwatch capture FILE"
    )
    shown: Group | None = None
    while True:
        group = cluster.group()
        if group is not None and group.is_stable and group != shown:
            shown = group
            out.print(cluster.shares())
        time.sleep(1.0)
