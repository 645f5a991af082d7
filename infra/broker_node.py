"""A node of our own Kafka: who it is, what its folder remembers, and that only one process uses that folder."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psutil

from infra.ports import HOST
from infra.settings import Settings
from schemas.errors import BrokerError

log = logging.getLogger(__name__)

ORPHAN_TIMEOUT_S = 5.0
"""How long a broker whose parent has gone may take to end before it is killed."""

NODE_FOLDERS = "node-*"
"""Folders of a cluster's nodes inside the broker's; a broker that is alone has that one for itself."""

CLUSTER_FILE = "cluster.json"
"""In the broker's folder: which cluster it is, and of how many."""


@dataclass(frozen=True)
class Address:
    """Where a node listens, on this machine alone.

    Parameters
    ----------
    port : int
        For clients.
    controller_port : int
        For the other controllers.
    """

    port: int
    controller_port: int


@dataclass(frozen=True)
class Quorum:
    """The nodes that make one cluster; each of them is broker and controller.

    Parameters
    ----------
    cluster_id : str
        Written into the storage of each when it is formatted.
    addresses : tuple of Address
        Node 1 comes first. They hold while any of the nodes runs, and may be others after all have stopped.
    """

    cluster_id: str
    addresses: tuple[Address, ...]

    @property
    def voters(self) -> str:
        """What Kafka calls ``controller.quorum.voters``: id@host:port of every controller."""
        ports = [address.controller_port for address in self.addresses]
        return ",".join(f"{number}@{HOST}:{port}" for number, port in enumerate(ports, 1))


@dataclass(frozen=True)
class Node:
    """One node of our own Kafka.

    Parameters
    ----------
    folder : Path
        Its data, configuration and logs.
    number : int
        Its ``node.id``, from 1.
    quorum : Quorum or None
        The cluster that it belongs to; None when it is alone.
    """

    folder: Path
    number: int = 1
    quorum: Quorum | None = None

    @property
    def name(self) -> str:
        """Name in the log."""
        return "broker" if self.quorum is None else f"broker-{self.number}"

    @property
    def address(self) -> Address | None:
        """Where the other nodes know it to be; None when there are none."""
        return None if self.quorum is None else self.quorum.addresses[self.number - 1]


@dataclass(frozen=True)
class BrokerRecord:
    """What is kept about a broker in its folder, for other processes and for the next start.

    Parameters
    ----------
    port : int
        Where clients connect.
    pid : int
        Process, 0 when it was stopped cleanly.
    started_s : float
        When that process began, seconds since the epoch: tells it from a later one with the same number.
    """

    port: int
    pid: int = 0
    started_s: float = 0.0

    @property
    def bootstrap(self) -> str:
        """Address for clients, host:port."""
        return f"{HOST}:{self.port}"

    def process(self) -> psutil.Process | None:
        """Return the recorded process while it runs."""
        try:
            process = psutil.Process(self.pid) if self.pid else None
            if process is None or process.status() == psutil.STATUS_ZOMBIE:
                return None
            return process if abs(process.create_time() - self.started_s) < 1.0 else None
        except psutil.NoSuchProcess:
            return None

    def write(self, folder: Path) -> None:
        """Keep it in a node's folder, as a whole or not at all."""
        path = folder / "broker.json"
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(path)


def read_folder(folder: Path) -> BrokerRecord | None:
    """Return what a node's folder remembers, None before its first start."""
    try:
        return BrokerRecord(**json.loads((folder / "broker.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        # An unreadable record is as good as none: it only remembers a port.
        return None


def read_records(settings: Settings) -> list[BrokerRecord]:
    """Return what is recorded about this stack's own brokers: one, or those of a cluster in the order of their ids."""
    folders = [settings.kafka_folder, *sorted(settings.kafka_folder.glob(NODE_FOLDERS))]
    return [record for folder in folders if (record := read_folder(folder)) is not None]


def lock_folder(folder: Path, state: Path) -> IO[str]:
    """Make sure that no other broker object uses a node's folder; closing what is returned ends that.

    Raises
    ------
    BrokerError
        Another one does, or a cluster.
    """
    if (folder / CLUSTER_FILE).exists():
        raise BrokerError(
            f"{state} belongs to a cluster: start that with `spanwatch cluster`, or give this stack a folder of its "
            "own with SPANWATCH_STATE."
        )
    folder.mkdir(parents=True, exist_ok=True)
    lock_file = (folder / "lock").open("w")
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock_file.close()
        record = read_folder(folder)
        where = f" at {record.bootstrap} (process {record.pid})" if record and record.pid else ""
        raise BrokerError(
            f"A broker runs already for {state}{where}. Stop it first, or give this "
            "stack a folder of its own with SPANWATCH_STATE."
        ) from None
    return lock_file


def end_orphan(record: BrokerRecord) -> None:
    """End a broker whose parent has gone; on the parent's end it was told to stop by the kernel."""
    process = record.process()
    if process is None:
        return
    log.warning("a broker of an earlier run is still there (process %d) and is ended", process.pid)
    try:
        process.terminate()
        process.wait(ORPHAN_TIMEOUT_S)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(ORPHAN_TIMEOUT_S)
    except psutil.NoSuchProcess:
        return
