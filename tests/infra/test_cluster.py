from __future__ import annotations

import socket
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from infra.broker import Broker
from infra.broker_files import in_sync, server_properties
from infra.broker_node import Address, Node, Quorum
from infra.cluster import cluster_brokers, start_together, stop_together
from infra.ports import HOST, Reservation
from infra.settings import Settings, load_settings
from schemas.errors import BrokerError, SpanwatchError
from tests.ports import free_ports

QUORUM = Quorum("an-id", (Address(9092, 9093), Address(9094, 9095), Address(9096, 9097)))


def settings_in(folder: Path, **overrides: object) -> Settings:
    return load_settings(state=folder / "state", kafka="", **overrides)


def test_every_node_knows_all_voters_and_keeps_three_replicas_of_which_two_count() -> None:
    text = server_properties(Node(Path("/x"), 2, QUORUM), 9094, 9095)
    assert "node.id=2\n" in text
    assert "controller.quorum.voters=1@127.0.0.1:9093,2@127.0.0.1:9095,3@127.0.0.1:9097\n" in text
    assert "controller.quorum.bootstrap.servers" not in text
    assert "offsets.topic.replication.factor=3\n" in text
    assert "min.insync.replicas=2\n" in text


def test_a_node_that_is_alone_is_its_own_quorum_with_one_replica() -> None:
    text = server_properties(Node(Path("/x")), 9092, 9093)
    assert "controller.quorum.voters=1@127.0.0.1:9093\n" in text
    assert "offsets.topic.replication.factor=1\n" in text


@pytest.mark.parametrize(("replicas", "wanted"), [(1, 1), (2, 1), (3, 2), (4, 2), (10, 2)])
def test_a_replica_may_be_lost_wherever_there_are_two(replicas: int, wanted: int) -> None:
    assert in_sync(replicas) == wanted


def release(brokers: list[Broker]) -> None:
    for broker in brokers:
        broker.stop()


def test_nodes_get_folders_numbers_and_ports_of_their_own(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    brokers = cluster_brokers(settings, 3)
    addresses = [broker._node.address for broker in brokers]
    release(brokers)
    assert [broker.name for broker in brokers] == ["broker-1", "broker-2", "broker-3"]
    assert {broker._node.folder.name for broker in brokers} == {"node-1", "node-2", "node-3"}
    ports = [port for at in addresses if at for port in (at.port, at.controller_port)]
    assert len(set(ports)) == 6


def test_the_same_folder_is_the_same_cluster_again_and_no_other(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    ids = []
    for _ in range(2):
        brokers = cluster_brokers(settings, 2)
        ids += [broker._node.quorum.cluster_id for broker in brokers if broker._node.quorum]
        release(brokers)
    assert len(ids) == 4
    assert len(set(ids)) == 1
    with pytest.raises(BrokerError, match=r"cluster of 2 brokers.*SPANWATCH_STATE"):
        cluster_brokers(settings, 3)


def test_a_folder_belongs_to_one_broker_or_to_a_cluster(tmp_path: Path) -> None:
    alone = settings_in(tmp_path / "alone")
    (alone.kafka_folder / "data").mkdir(parents=True)
    with pytest.raises(BrokerError, match=r"one broker.*SPANWATCH_STATE"):
        cluster_brokers(alone, 3)
    several = settings_in(tmp_path / "several")
    release(cluster_brokers(several, 3))
    with pytest.raises(BrokerError, match=r"cluster.*SPANWATCH_STATE"):
        Broker(several).start()


def test_wanted_ports_follow_each_other_and_a_taken_one_frees_the_others(tmp_path: Path) -> None:
    first = next(port for port, after in pairwise(free_ports(10)) if after == port + 1)
    with socket.create_server((HOST, first + 1)), pytest.raises(SpanwatchError, match=rf"{first + 1} is taken"):
        cluster_brokers(settings_in(tmp_path, kafka_port=first), 2)
    brokers = cluster_brokers(settings_in(tmp_path, kafka_port=first), 2)
    addresses = [broker._node.address for broker in brokers]
    release(brokers)
    assert [at.port for at in addresses if at] == [first, first + 1]


def test_a_port_that_another_node_comes_back_to_is_not_taken_for_any() -> None:
    held = Reservation(0, None)
    held.release()
    ports = Reservation(0, None, others={held.port, held.controller_port})
    ports.release()
    assert not {held.port, held.controller_port} & {ports.port, ports.controller_port}


class Gathered:
    """A service that is up once all of its kind have been started, as a node of a quorum is."""

    name = "gathered"

    def __init__(self, barrier: threading.Barrier, *, fails: bool = False) -> None:
        self._barrier = barrier
        self._fails = fails
        self._ended = threading.Event()

    def start(self) -> None:
        self._barrier.wait(10)
        if self._fails:
            raise BrokerError("It does not start.")

    def wait(self) -> int:
        self._ended.wait()
        return 0

    def stop(self, timeout_s: float) -> None:
        self._ended.set()

    @property
    def is_stopped(self) -> bool:
        return self._ended.is_set()


def test_services_that_need_each_other_are_started_side_by_side() -> None:
    barrier = threading.Barrier(3)
    services = [Gathered(barrier) for _ in range(3)]
    keepers = start_together(services)
    assert not any(service.is_stopped for service in services)
    stop_together(keepers, 1.0)
    assert all(service.is_stopped for service in services)


def test_one_that_does_not_start_stops_the_others() -> None:
    barrier = threading.Barrier(2)
    services = [Gathered(barrier), Gathered(barrier, fails=True)]
    with pytest.raises(BrokerError, match="does not start"):
        start_together(services)
    assert services[0].is_stopped
