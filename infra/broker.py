"""Our own Kafka: a KRaft node as a child process, its data and ports kept in the state folder."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from typing import IO, Self

import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra import broker_files
from infra.broker_node import BrokerRecord, Node, end_orphan, lock_folder, read_folder, read_records
from infra.ports import Reservation, is_free
from infra.processes import spawn, stop_process
from infra.settings import Settings
from schemas.errors import BrokerError, PortTakenError

log = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
"""Long enough for the recovery of gigabytes of log after an unclean stop on a slow disk."""

STOP_TIMEOUT_S = 4.0
"""A clean stop takes 0.2–0.4 s; past this it is killed, which costs the next start its recovery."""

BIND_ATTEMPTS = 3
"""Another stack may take a free port between our look and the broker's bind."""


def read_record(settings: Settings) -> BrokerRecord | None:
    """Return what is recorded about the broker of a stack that has one of its own, None before its first start."""
    return read_folder(settings.kafka_folder)


def bootstrap_servers(settings: Settings) -> str:
    """Return where this stack's Kafka answers: the cluster of the settings or our own brokers.

    Of our own cluster all nodes are named while one of them runs: those that are down come back to their ports.

    Raises
    ------
    BrokerError
        It is our own and it does not run.
    """
    if settings.kafka:
        return settings.kafka
    records = read_records(settings)
    if not any(record.process() for record in records):
        raise BrokerError(
            f"No broker runs for {settings.state}: start one with `spanwatch up` or `spanwatch broker`, "
            "or name a cluster with SPANWATCH_KAFKA=host:port."
        )
    return ",".join(record.bootstrap for record in records)


class Broker:
    """A Kafka of our own, from start to stop; also a context manager and a supervised service.

    Parameters
    ----------
    settings : Settings
        Folder, port, heap and jars.
    node : Node, optional
        Which node of a cluster it is; alone without one.
    ports : Reservation, optional
        Holds the node's ports until the first start.
    """

    def __init__(self, settings: Settings, node: Node | None = None, ports: Reservation | None = None) -> None:
        self._settings = settings
        self._node = node or Node(settings.kafka_folder)
        self._ports = ports
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
    def name(self) -> str:
        """Name in the log."""
        return self._node.name

    @property
    def number(self) -> int:
        """Its ``node.id``."""
        return self._node.number

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
        if self._lock_file is None:
            # It ends with this process.
            self._lock_file = lock_folder(self._node.folder, self._settings.state)
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
        if self._ports:
            self._ports.release()
        if self._lock_file:
            self._lock_file.close()
            self._lock_file = None

    def wait(self) -> int:
        """Block until its process ends; return the exit status, 0 when it does not run."""
        process = self._process
        return process.wait() if process else 0

    def _start(self, end_s: float) -> str:
        """Take over from what was there before, format once, then start until the ports are ours."""
        previous = read_folder(self._node.folder)
        if previous:
            end_orphan(previous)
        cluster_id = broker_files.format_once(self._settings, self._node)
        remembered = previous.port if previous else None
        for attempt in range(1, BIND_ATTEMPTS + 1):
            ports = self._reserve(remembered)
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

    def _reserve(self, remembered: int | None) -> Reservation:
        """Return the ports to listen on; those of a node are known to the others, and stay."""
        held, self._ports = self._ports, None
        if held:
            return held
        if address := self._node.address:
            return Reservation(address.port, None, address.controller_port)
        return Reservation(self._settings.kafka_port, remembered)

    def _launch(self, ports: Reservation) -> None:
        command = broker_files.prepare(self._settings, self._node, ports.port, ports.controller_port)
        console = broker_files.console(self._node)
        # On the end of its parent one that is alone may still close its log: the next start is quicker then. One of
        # several would wait minutes for a controller, when the others are gone as well.
        death_signal = signal.SIGTERM if self._node.quorum is None else signal.SIGKILL
        self._process = spawn(command, output=console, death_signal=death_signal)
        started_s = psutil.Process(self._process.pid).create_time()
        self._write(BrokerRecord(ports.port, self._process.pid, started_s))

    def _wait_until_it_answers(self, cluster_id: str, end_s: float) -> bool:
        """Return True once it answers, False when it ended because a port was taken."""
        assert self._process  # noqa: S101 - for mypy; only called by _start
        while not self._stop_asked.is_set():
            if self._process.poll() is not None:
                if broker_files.bind_failed(self._node):
                    return False
                raise BrokerError(
                    f"The broker ended with status {self._process.returncode} while it started. "
                    f"{broker_files.last_lines(self._node)}"
                )
            if answering_cluster(self.bootstrap) == cluster_id:
                log.info("broker answers at %s (process %d)", self.bootstrap, self._process.pid)
                return True
            if time.monotonic() > end_s:
                said = broker_files.last_lines(self._node)
                raise BrokerError(f"The broker did not answer at {self.bootstrap} in time. {said}")
            time.sleep(0.02)
        raise BrokerError("The broker was stopped while it started.")

    def _write(self, record: BrokerRecord) -> None:
        self._record = record
        record.write(self._node.folder)


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
