"""Our own Kafka: one KRaft node as a child process, its data and ports kept in the state folder."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import subprocess
import threading
import time
from dataclasses import asdict, dataclass
from typing import IO, Self

import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra import broker_files
from infra.ports import HOST, Reservation, is_free
from infra.processes import spawn, stop_process
from infra.settings import Settings
from schemas.errors import BrokerError, PortTakenError

log = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
"""Long enough for the recovery of gigabytes of log after an unclean stop on a slow disk."""

STOP_TIMEOUT_S = 4.0
"""A clean stop takes 0.2–0.4 s; past this it is killed, which costs the next start its recovery."""

ORPHAN_TIMEOUT_S = 5.0
"""How long a broker whose parent has gone may take to end before it is killed."""

BIND_ATTEMPTS = 3
"""Another stack may take a free port between our look and the broker's bind."""


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


def read_record(settings: Settings) -> BrokerRecord | None:
    """Return what is recorded about this stack's own broker, None before its first start."""
    try:
        return BrokerRecord(**json.loads((settings.kafka_folder / "broker.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        # An unreadable record is as good as none: it only remembers a port.
        return None


def bootstrap_servers(settings: Settings) -> str:
    """Return where this stack's Kafka answers: the cluster of the settings or our own broker.

    Raises
    ------
    BrokerError
        It is our own and it does not run.
    """
    if settings.kafka:
        return settings.kafka
    record = read_record(settings)
    if record is None or record.process() is None:
        raise BrokerError(
            f"No broker runs for {settings.state}: start one with `spanwatch up` or `spanwatch broker`, "
            "or name a cluster with SPANWATCH_KAFKA=host:port."
        )
    return record.bootstrap


class Broker:
    """Our own Kafka, from start to stop; also a context manager and a supervised service.

    Parameters
    ----------
    settings : Settings
        Folder, port, heap and jars.
    """

    name = "broker"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.kafka_folder
        self._process: subprocess.Popen[bytes] | None = None
        self._record: BrokerRecord | None = None
        self._lock_file: IO[str] | None = None
        self._stop_asked = threading.Event()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self.is_alive else None

    @property
    def bootstrap(self) -> str:
        """Address for clients, host:port; raises ``BrokerError`` before the first start."""
        if self._record is None:
            raise BrokerError("The broker has not been started.")
        return self._record.bootstrap

    def start(self, timeout_s: float = START_TIMEOUT_S) -> str:
        """Start it and return its address once it answers a metadata request.

        Raises
        ------
        PortTakenError
            Another program listens on the port that the settings name.
        BrokerError
            A broker of this state folder runs already, or it ends or stays silent; quotes its log.
        MissingProgramError
            Java or Kafka's jars are missing.
        """
        self._stop_asked.clear()
        self._lock()
        try:
            return self._start(time.monotonic() + timeout_s)
        except BaseException:
            self.stop()
            raise

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop it, by force when the time is over; does nothing when it does not run."""
        self._stop_asked.set()
        process, self._process = self._process, None
        if process:
            stop_process(process, timeout_s)
        if self._record:
            self._write(BrokerRecord(self._record.port))
        if self._lock_file:
            self._lock_file.close()
            self._lock_file = None

    def wait(self) -> int:
        """Block until its process ends; return the exit status, 0 when it does not run."""
        process = self._process
        return process.wait() if process else 0

    def _start(self, end_s: float) -> str:
        """Take over from what was there before, format once, then start until the ports are ours."""
        previous = read_record(self._settings)
        if previous:
            self._end_orphan(previous)
        cluster_id = broker_files.format_once(self._settings)
        remembered = previous.port if previous else None
        for attempt in range(1, BIND_ATTEMPTS + 1):
            ports = Reservation(self._settings.kafka_port, remembered)
            if remembered and ports.port != remembered:
                log.warning("port %d is taken; the broker moves to %d", remembered, ports.port)
            try:
                self._launch(ports)
                if self._wait_until_it_answers(cluster_id, end_s):
                    return self.bootstrap
            finally:
                ports.release()
            log.warning("port %d was taken while the broker started (attempt %d)", ports.port, attempt)
        raise PortTakenError(f"Port {ports.port} was taken by another program each time the broker started.")

    def _launch(self, ports: Reservation) -> None:
        command = broker_files.prepare(self._settings, ports.port, ports.controller_port)
        console = broker_files.console(self._settings)
        # On the end of its parent it may still close its log: the next start is quicker then.
        self._process = spawn(command, output=console, death_signal=signal.SIGTERM)
        started_s = psutil.Process(self._process.pid).create_time()
        self._write(BrokerRecord(ports.port, self._process.pid, started_s))

    def _lock(self) -> None:
        """Make sure that no other broker object uses the folder; the lock ends with this process."""
        if self._lock_file:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        lock_file = (self._folder / "lock").open("w")
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock_file.close()
            record = read_record(self._settings)
            where = f" at {record.bootstrap} (process {record.pid})" if record and record.pid else ""
            raise BrokerError(
                f"A broker runs already for {self._settings.state}{where}. Stop it first, or give this "
                "stack a folder of its own with SPANWATCH_STATE."
            ) from None
        self._lock_file = lock_file

    def _end_orphan(self, record: BrokerRecord) -> None:
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

    def _wait_until_it_answers(self, cluster_id: str, end_s: float) -> bool:
        """Return True once it answers, False when it ended because a port was taken."""
        assert self._process  # noqa: S101 - for mypy; only called by _start
        while not self._stop_asked.is_set():
            if self._process.poll() is not None:
                if broker_files.bind_failed(self._settings):
                    return False
                raise BrokerError(
                    f"The broker ended with status {self._process.returncode} while it started. "
                    f"{broker_files.last_lines(self._settings)}"
                )
            if answering_cluster(self.bootstrap) == cluster_id:
                log.info("broker answers at %s (process %d)", self.bootstrap, self._process.pid)
                return True
            if time.monotonic() > end_s:
                said = broker_files.last_lines(self._settings)
                raise BrokerError(f"The broker did not answer at {self.bootstrap} in time. {said}")
            time.sleep(0.02)
        raise BrokerError("The broker was stopped while it started.")

    def _write(self, record: BrokerRecord) -> None:
        self._record = record
        path = self._folder / "broker.json"
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(asdict(record)))
        fresh.replace(path)


def answering_cluster(bootstrap: str, timeout_s: float = 1.0) -> str | None:
    """Return the id of the cluster that answers a metadata request there, None when none does."""
    if is_free(int(bootstrap.rpartition(":")[2])):
        return None
    timeout_ms = round(timeout_s * 1000)
    client = AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": timeout_ms, "log_level": 2})
    try:
        metadata = client.list_topics(timeout=timeout_s)
    except KafkaException:
        return None
    return metadata.cluster_id if metadata.brokers else None
