"""A cluster on one machine: several brokers, several workers and one API, children of one process."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from rich.table import Table

from agents.app import client_id
from agents.worker import READS
from api.remote import RemoteStack
from api.serve import listen, with_ports_of
from infra.broker import bootstrap_servers
from infra.broker_files import USUAL_REPLICAS
from infra.cluster import HEAP_MB, cluster_brokers, start_together, stop_together
from infra.groups import ClusterView, Group
from infra.settings import Settings, environment_of
from infra.supervisor import Process, Supervisor
from infra.topics import create_topics, topic_partitions
from schemas.errors import BrokerError, SettingsError, SpanwatchError
from schemas.topics import WORKER_GROUP, Topic

START_S = 180.0
"""How long the API may take to answer, and the workers to share the partitions, on a busy machine."""

STOP_WORKERS_S = 3.0
STOP_BROKERS_S = 2.5
"""A broker whose fellows have stopped already waits for them: it is killed, and its next start takes longer."""

PARTITIONS_PER_WORKER = 2
"""So that the partitions of a worker that is lost are shared by the others."""

LOOK_S = 0.2


def cluster_settings(given: Settings, brokers: int, workers: int) -> dict[str, Any]:
    """Return the settings that a cluster needs and nobody has set, by name.

    Raises
    ------
    SettingsError
        The settings name a Kafka that is not ours to start.
    """
    if given.kafka:
        raise SettingsError("SPANWATCH_KAFKA names a Kafka: unset it to start brokers here, or use `spanwatch worker`.")
    wanted = {
        "partitions": max(given.partitions, PARTITIONS_PER_WORKER * workers),
        "kafka_replication": min(USUAL_REPLICAS, brokers),
        "kafka_heap_mb": HEAP_MB,
    }
    return {name: value for name, value in wanted.items() if name not in given.model_fields_set}


class LocalCluster:
    """Brokers, workers and the API with its storage agents: children that are started again when they end.

    Parameters
    ----------
    given : Settings
        Of the stack.
    brokers : int
        Nodes of Kafka.
    workers : int
        Most workers that there will be.
    """

    def __init__(self, given: Settings, brokers: int, workers: int) -> None:
        overrides = cluster_settings(given, brokers, workers)
        made = _with_free_ports(given.model_copy(update=overrides))
        made.logs_folder.mkdir(parents=True, exist_ok=True)
        self.remote = RemoteStack(made)
        self.brokers = cluster_brokers(made, brokers)
        self.workers: dict[str, Process] = {}
        self._keepers: list[Supervisor] = []
        self._broker_keepers = start_together(self.brokers)
        try:
            self.settings = made.model_copy(update={"kafka": bootstrap_servers(made)})
            create_topics(self.settings)
            self.api = self._child("api", "api")
            self._keepers += start_together([self.api])
            self.view = ClusterView(self.settings)
        except BaseException:
            self.stop()
            raise

    def add_workers(self, count: int) -> None:
        """Start more workers."""
        first = len(self.workers) + 1
        new = {f"worker-{number}": self._child(f"worker-{number}", "worker") for number in range(first, first + count)}
        self.workers.update(new)
        self._keepers += start_together(list(new.values()))

    def stop(self) -> None:
        """Stop workers and API side by side, then the brokers."""
        self.remote.close()
        stop_together(self._keepers, STOP_WORKERS_S)
        stop_together(self._broker_keepers, STOP_BROKERS_S)

    def wait_until_up(self) -> None:
        """Return once the API answers and the workers share all partitions; raises ``SpanwatchError``."""
        wait_until(self.remote.is_up, START_S, "the API answers")
        self.wait_until_shared(START_S)

    def wait_until_shared(self, timeout_s: float) -> float:
        """Wait until the workers share all partitions; return how long that took, s.

        Raises
        ------
        SpanwatchError
            They do not within the time; says who was in the group at last.
        """
        try:
            return wait_until(lambda: self.is_shared(self.workers), timeout_s, "the workers share the partitions")
        except SpanwatchError as error:
            group = self.group()
            if group is None:
                raise SpanwatchError(f"{error} Kafka does not say who is in their group.") from None
            counts = ", ".join(f"{member} with {len(parts)} partitions" for member, parts in group.members.items())
            is_stable = "stable" if group.is_stable else "rebalancing"
            raise SpanwatchError(
                f"{error} Broker {group.coordinator} says: {is_stable}, {counts or 'nobody there'};"
                f" to be there: {', '.join(map(self.id_of, self.workers))}."
            ) from None

    def group(self) -> Group | None:
        """Return the workers' group; None while nobody can say."""
        try:
            return self.view.group(WORKER_GROUP)
        except BrokerError:
            return None

    def is_shared(self, names: Iterable[str]) -> bool:
        """Whether these workers and no others share all partitions that workers read."""
        group = self.group()
        wanted = {(self.settings.topic_name(topic), n) for topic in READS[WORKER_GROUP] for n in self._numbers(topic)}
        return group is not None and group.has(wanted) and set(group.members) == {self.id_of(name) for name in names}

    def id_of(self, name: str) -> str:
        """Return what the present process of a worker calls itself towards Kafka."""
        return client_id(self.settings, WORKER_GROUP, self.workers[name].pid or 0)

    def shares(self) -> Table:
        """Return who has which partitions as a table."""
        group = self.group()
        table = Table("worker", "process", "partitions", box=None, pad_edge=False)
        names = {self.id_of(name): name for name in self.workers}
        for member, parts in sorted((group.members if group else {}).items(), key=lambda item: names.get(item[0], "")):
            name = names.get(member, member)
            pid = self.workers[name].pid if name in self.workers else ""
            table.add_row(name, str(pid), self._told(parts))
        return table

    def _told(self, parts: set[tuple[str, int]]) -> str:
        """Return partitions in words; mostly a worker has the same ones of every topic."""
        topics: defaultdict[str, list[str]] = defaultdict(list)
        for topic in READS[WORKER_GROUP]:
            numbers = " ".join(str(number) for name, number in sorted(parts) if name == self.settings.topic_name(topic))
            topics[numbers or "none"].append(topic.name)
        if len(topics) == 1:
            return f"{next(iter(topics))} of every topic"
        return "; ".join(f"{numbers} of {', '.join(names)}" for numbers, names in topics.items())

    def _numbers(self, topic: Topic) -> range:
        return range(topic_partitions(self.settings, topic))

    def _child(self, name: str, command: str) -> Process:
        output = self.settings.logs_folder / f"{name}.out"
        arguments = [sys.executable, "-m", "spanwatch", command]
        return Process(name, arguments, output=output, environment=environment_of(self.settings))


def _with_free_ports(settings: Settings) -> Settings:
    """Return settings whose ports the API can have; one that cannot listen would be started again for ever."""
    sockets = listen(settings)
    try:
        return with_ports_of(settings, sockets)
    finally:
        for one in sockets:
            one.close()


def wait_until(is_so: Callable[[], bool], timeout_s: float, what: str) -> float:
    """Wait until something is so; return how long that took, s.

    Raises
    ------
    SpanwatchError
        It is not within the time.
    """
    began_s = time.monotonic()
    while not is_so():
        if time.monotonic() - began_s > timeout_s:
            raise SpanwatchError(f"Waited {timeout_s:.0f} s in vain until {what}; the logs say why.")
        time.sleep(LOOK_S)
    return time.monotonic() - began_s
