"""A Kafka cluster of our own on one machine: several nodes, each of them broker and controller."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.broker import Broker
from infra.broker_files import new_cluster_id
from infra.broker_node import CLUSTER_FILE, Address, BrokerRecord, Node, Quorum, read_folder
from infra.ports import Reservation
from infra.settings import Settings
from infra.supervisor import Service, Supervisor
from schemas.errors import BrokerError

HEAP_MB = 384
"""Java heap of each node unless the settings name one: messages pass the heap by."""


def cluster_brokers(settings: Settings, size: int) -> list[Broker]:
    """Return the nodes of the stack's own cluster, not yet started, their ports chosen and held.

    Parameters
    ----------
    size : int
        How many there are; the same at every start, because the voters of the quorum are.

    Raises
    ------
    BrokerError
        The state folder has a broker that is alone, or a cluster of another size.
    PortTakenError
        There are not enough free ports.
    """
    folders = [settings.kafka_folder / f"node-{number}" for number in range(1, size + 1)]
    cluster_id = _cluster_id(settings, size)
    held = _reserve(settings, [read_folder(folder) for folder in folders])
    quorum = Quorum(cluster_id, tuple(Address(ports.port, ports.controller_port) for ports in held))
    nodes = [Node(folder, number, quorum) for number, folder in enumerate(folders, 1)]
    return [Broker(settings, node, ports) for node, ports in zip(nodes, held, strict=True)]


def _reserve(settings: Settings, records: Sequence[BrokerRecord | None]) -> list[Reservation]:
    """Return the ports of all nodes: those wanted, or else those that they had before, or else free ones."""
    first = settings.kafka_port
    wanted = [first + place if first else 0 for place in range(len(records))]
    named = {*wanted, *(record.port for record in records if record)}
    held: list[Reservation] = []
    try:
        for port, record in zip(wanted, records, strict=True):
            held.append(Reservation(port, record.port if record else None, others=named))
    except BaseException:
        for ports in held:
            ports.release()
        raise
    return held


def start_together(services: Sequence[Service]) -> list[Supervisor]:
    """Start services side by side, each kept running by a supervisor of its own; raises what the first failure raised.

    A node of a quorum does not answer before most of the others are there, so one after the other would never end.
    """
    supervisors = [Supervisor() for _ in services]
    with ThreadPoolExecutor(len(services)) as pool:
        starts = [pool.submit(keeper.start, service) for keeper, service in zip(supervisors, services, strict=True)]
    failures = [error for start in starts if (error := start.exception()) is not None]
    if failures:
        stop_together(supervisors, 1.0)
        raise failures[0]
    return supervisors


def stop_together(supervisors: Sequence[Supervisor], deadline_s: float) -> None:
    """Stop what ``start_together`` started, all at once."""
    if supervisors:
        with ThreadPoolExecutor(len(supervisors)) as pool:
            list(pool.map(lambda keeper: keeper.stop(deadline_s), supervisors))


def _cluster_id(settings: Settings, size: int) -> str:
    """Return the id of the folder's cluster, made with the first start."""
    folder = settings.kafka_folder
    elsewhere = "Give the cluster a folder of its own with SPANWATCH_STATE."
    if (folder / "data").exists():
        raise BrokerError(f"{settings.state} belongs to a stack with one broker. {elsewhere}")
    path = folder / CLUSTER_FILE
    if path.exists():
        told = json.loads(path.read_text())
        if told["brokers"] != size:
            raise BrokerError(f"{settings.state} belongs to a cluster of {told['brokers']} brokers. {elsewhere}")
        return str(told["cluster_id"])
    return _keep(path, new_cluster_id(), size)


def _keep(path: Path, cluster_id: str, size: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cluster_id": cluster_id, "brokers": size}))
    return cluster_id
