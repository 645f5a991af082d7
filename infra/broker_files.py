"""The files of our own Kafka: jars, configuration, formatted storage and logs."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import uuid
from collections import deque
from pathlib import Path

from infra.broker_node import Node, Quorum
from infra.ports import HOST
from infra.programs import require_java
from infra.settings import Settings
from infra.settings_paths import ROOT
from schemas.errors import BrokerError, MissingProgramError
from schemas.topics import MAX_MESSAGE_BYTES

POM = ROOT / "infra" / "kafka" / "pom.xml"
"""Pins the version of Kafka."""

QUOTED_LINES = 8
"""Last lines of the broker's log that an error quotes."""

MIB = 1024 * 1024

BROKER_CONFIG: dict[str, object] = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # A message is as large as its topic says; the broker-wide bound must not be in the way.
    "message.max.bytes": MAX_MESSAGE_BYTES,
    "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
    "auto.create.topics.enable": "false",
    "broker.heartbeat.interval.ms": 500,
    # A group of one machine need not wait for members that come later.
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    # Few partitions of the internal topics keep the start and the folder small.
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 2,
    "share.coordinator.state.topic.num.partitions": 1,
    # Committed positions of a group that has been away: longer than any topic keeps its messages.
    "offsets.retention.minutes": 30 * 24 * 60,
    # The default of 128 MiB would be a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": 16 * MIB,
    "num.network.threads": 2,
    "num.io.threads": 4,
    # No JMX: nobody reads it here, and it costs time at the start.
    "metric.reporters": "",
}
"""Configuration that depends neither on the settings nor on the number of brokers."""

# After an unclean stop a broker waits until its former self's session has expired (measured: 11.6 s with the default
# of 9 s, 3.6 s with 2 s).
ALONE_SESSION_MS = 2000
"""There is no other broker that an early expiry could favour."""

CLUSTER_SESSION_MS = 5000
"""How long the partitions of a killed broker are without a leader; one that stalls for less keeps its own."""

USUAL_REPLICAS = 3
"""Replicas that a cluster keeps of each partition, where it has as many brokers."""

JAVA_FLAGS = (
    # Of the collectors this one starts fastest and has no threads of its own; the heap holds little
    # because messages go from file to socket by the kernel.
    "-XX:+UseSerialGC",
    # Only the quick compiler: 2.1 s instead of 3.6 s of processor time until the broker answers, and no
    # more per byte later (measured 1.0 s against 1.2 s for 370 MB produced): the rest is the kernel's work.
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    # Else each thread keeps a direct buffer as large as the largest message it ever sent.
    "-Djdk.nio.maxCachedBufferSize=262144",
    "-Djava.awt.headless=true",
    "-Dlog4j2.disableJmx=true",
)

LOG_CONFIG = """<Configuration status="ERROR" shutdownHook="disable">
  <Appenders>
    <RollingFile name="file" fileName="{log}" filePattern="{log}.%i">
      <PatternLayout pattern="%d{{yyyy-MM-dd HH:mm:ss.SSS}} %-5p %m (%c{{1}})%n%throwable{{6}}"/>
      <Policies><SizeBasedTriggeringPolicy size="10 MB"/></Policies>
      <DefaultRolloverStrategy max="2"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Root level="warn"><AppenderRef ref="file"/></Root>
    <Logger name="kafka.server.KafkaRaftServer" level="info"/>
    <!-- These warn at every start and stop of a node that is its own controller. -->
    <Logger name="org.apache.kafka.controller.QuorumController" level="error"/>
    <Logger name="org.apache.kafka.clients.NetworkClient" level="error"/>
  </Loggers>
</Configuration>
"""


def kafka_version() -> str:
    """Return the version of Kafka that the pom pins."""
    found = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", POM.read_text())
    if not found:
        raise BrokerError(f"{POM} does not name kafka.version.")
    return found.group(1)


def jars(settings: Settings) -> Path:
    """Return the folder of the pinned Kafka's jars; raises ``MissingProgramError`` where there is none."""
    folder = settings.kafka_home / kafka_version()
    if not any(folder.glob("kafka_2.13-*.jar")):
        raise MissingProgramError(
            f"Kafka's jars are not in {folder}: run infra/setup.sh (or `make run`), which fetches them with Maven."
        )
    return folder


def console(node: Node) -> Path:
    """Where the Java machine itself writes: only when it fails before or beside Kafka's own log."""
    return node.folder / "console.log"


def prepare(settings: Settings, node: Node, port: int, controller_port: int) -> list[str]:
    """Write the configuration, empty the console log and return the command that starts the broker."""
    folder = node.folder
    (folder / "server.properties").write_text(server_properties(node, port, controller_port))
    (folder / "log4j2.xml").write_text(LOG_CONFIG.format(log=folder / "kafka.log"))
    console(node).write_bytes(b"")
    (folder / "log-position").write_text(str(_size(folder / "kafka.log")))
    return [
        *_java(settings),
        f"-Xmx{settings.kafka_heap_mb}m",
        f"-Dlog4j2.configurationFile=file://{folder / 'log4j2.xml'}",
        "kafka.Kafka",
        str(folder / "server.properties"),
    ]


def server_properties(node: Node, port: int, controller_port: int) -> str:
    """Return the text of ``server.properties``."""
    config = {
        **BROKER_CONFIG,
        **_quorum_config(node.quorum, controller_port),
        "node.id": node.number,
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "log.dirs": node.folder / "data",
    }
    # In a properties file a backslash and a leading blank are the only characters of a path with a meaning.
    return "".join(f"{key}={str(value).replace(chr(92), chr(92) * 2)}\n" for key, value in config.items())


def in_sync(replicas: int) -> int:
    """Return how many replicas must have a message before it is acknowledged, the leader's among them.

    Two of three: one broker may be lost without a message, and without a stop.
    """
    return max(1, min(2, replicas - 1))


def _quorum_config(quorum: Quorum | None, controller_port: int) -> dict[str, object]:
    """Return what depends on how many nodes there are, and where."""
    replicas = 1 if quorum is None else min(USUAL_REPLICAS, len(quorum.addresses))
    config: dict[str, object] = {
        "min.insync.replicas": in_sync(replicas),
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync(replicas),
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync(replicas),
    }
    return {
        **config,
        "controller.quorum.voters": quorum.voters if quorum else f"1@{HOST}:{controller_port}",
        "broker.session.timeout.ms": CLUSTER_SESSION_MS if quorum else ALONE_SESSION_MS,
    }


def new_cluster_id() -> str:
    """Return an id as Kafka makes them: 16 random bytes in Base64 for URLs, no dash that an option could begin with."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")


def format_once(settings: Settings, node: Node) -> str:
    """Format the storage where it is not, and return the cluster's id.

    Kafka writes ``meta.properties`` last, so that a format that was interrupted is done again.
    """
    folder, quorum = node.folder, node.quorum
    meta = folder / "data" / "meta.properties"
    if not meta.exists():
        # The ports stand for any: nodes are told where all of them are at each start. With a quorum that is stored
        # (--standalone) a node first looks for itself where it was before, and may find another stack's controller.
        (folder / "server.properties").write_text(server_properties(node, 9092, 9093))
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id", quorum.cluster_id if quorum else new_cluster_id()]
        run = subprocess.run(  # noqa: S603 - our own list of arguments, no shell
            [*_java(settings), "-Dlog4j2.level=ERROR", *tool, "--config", str(folder / "server.properties")],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise BrokerError(f"The broker's storage cannot be formatted. {_tail(run.stderr or run.stdout)}")
    found = re.search(r"^cluster\.id=(\S+)$", meta.read_text(), re.MULTILINE)
    if not found:
        raise BrokerError(f"{meta} names no cluster: the broker's storage is damaged; remove {folder / 'data'}.")
    return found.group(1)


def last_lines(node: Node) -> str:
    """Return what the broker wrote last since it was started, for an error."""
    said = f"{_since_start(node)}\n{_read(console(node))}"
    return f"{_tail(said)} (more in {node.folder / 'kafka.log'})"


def bind_failed(node: Node) -> bool:
    """Whether the broker ended because a port was taken."""
    return "Address already in use" in _since_start(node) + _read(console(node))


def _java(settings: Settings) -> list[str]:
    # A list in a fixed order, not a wildcard: the order of a folder is not the same everywhere.
    class_path = os.pathsep.join(str(jar) for jar in sorted(jars(settings).glob("*.jar")))
    return [require_java(), *JAVA_FLAGS, "-cp", class_path]


def _since_start(node: Node) -> str:
    """Return what this start has written to the broker's log."""
    folder = node.folder
    position = int(_read(folder / "log-position") or 0)
    path = folder / "kafka.log"
    if _size(path) < position:
        # The log was rolled over meanwhile.
        position = 0
    if not path.exists():
        return ""
    with path.open("rb") as stream:
        stream.seek(position)
        return stream.read().decode(errors="replace")


def _tail(text: str) -> str:
    lines = deque((line for line in text.splitlines() if line.strip()), maxlen=QUOTED_LINES)
    return "Its last words:\n" + "\n".join(f"  {line}" for line in lines) if lines else "It said nothing."


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
