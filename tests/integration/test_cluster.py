from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.groups import ClusterView
from infra.settings import load_settings
from schemas.errors import BrokerError
from schemas.topics import TOPICS, WORKER_GROUP
from spanwatch_cluster import Proof
from spanwatch_local_cluster import LocalCluster, wait_until
from tests.integration.stack import digests_of, running_stack
from tests.ports import free_ports

pytestmark = pytest.mark.timeout(900)

SECONDS = 15.0
"""How long the sample is read: the worker's session is over before the end, so that its partitions move on the way."""

MOVED_S = 180.0
"""How long it may take until another broker coordinates a group, and until one is in sync again, on a busy machine."""

ASKED_ELSEWHERE_S = 40.0
"""How long it may take until who waits for a coordinator that stalls asks another; its connection breaks after 60 s."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Three brokers and three workers that share the partitions."""
    # Snapshots come often, so that the next owner of a partition finds one.
    state = tmp_path_factory.mktemp("three")
    cluster = LocalCluster(load_settings(state=state, ports=free_ports(1), kafka="", snapshot_s=0.5), 3, 3)
    try:
        cluster.add_workers(3)
        cluster.wait_until_up()
        yield cluster
    finally:
        cluster.stop()


def coordinator_now(cluster: LocalCluster) -> int:
    """Return who coordinates the workers, as one hears who asks for the first time; -1 for nobody."""
    try:
        return ClusterView(cluster.settings).group(WORKER_GROUP).coordinator
    except BrokerError:
        return -1


def test_a_coordinator_that_moves_unseen_is_found_again(cluster: LocalCluster) -> None:
    cluster.wait_until_shared(MOVED_S)
    wait_until(lambda: coordinator_now(cluster) != -1, MOVED_S, "the group is described")
    before = coordinator_now(cluster)
    wait_until(lambda: not is_told_by_another(cluster, before), MOVED_S, "all hear of the same coordinator")
    pid = cluster.brokers[before - 1].pid or 0
    # It stalls, and nobody's connection to it breaks.
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: coordinator_now(cluster) not in (-1, before), MOVED_S, "another broker is asked")
        asked = "who has asked all the time asks it, too"
        wait_until(lambda: is_told_by_another(cluster, before), ASKED_ELSEWHERE_S, asked)
    finally:
        os.kill(pid, signal.SIGCONT)
    cluster.wait_until_shared(MOVED_S)
    wait_until(lambda: is_in_sync(cluster), MOVED_S, "the broker has caught up")


def is_told_by_another(cluster: LocalCluster, number: int) -> bool:
    """Whether one who has asked all the time hears of the group from another broker than this one."""
    group = cluster.group()
    return group is not None and group.coordinator != number


def is_in_sync(cluster: LocalCluster) -> bool:
    found = cluster.view.replicas(TOPICS).values()
    return all(replicas.in_sync == replicas.brokers for replicas in found)


def test_three_brokers_and_workers_give_the_rows_of_one_of_each_with_one_of_each_killed(
    cluster: LocalCluster, tmp_path: Path, sample: Path
) -> None:
    with running_stack(tmp_path, sample.parent) as stack:
        alone = stack.compute(sample)["capture_id"]
        packets = stack.stored(alone)
        stack.wait_until_all_is_taken()
    expected = stack.digests(alone)[alone]
    proof = Proof(cluster, sample, SECONDS)
    replicas = proof.replicas()
    assert {found.brokers for found in replicas.values()} == {frozenset((1, 2, 3))}
    cluster.wait_until_shared(MOVED_S)
    group = cluster.view.group(WORKER_GROUP)
    topic = "spanwatch-packets"
    shared = [{number for name, number in parts if name == topic} for parts in group.members.values()]
    assert [len(numbers) for numbers in shared] == [2, 2, 2]
    capture_id = proof.disturbed(packets)
    # The store belongs to one process at a time: to this one now.
    cluster.stop()
    assert digests_of(cluster.settings, capture_id)[capture_id] == expected
    log = (cluster.settings.logs_folder / "analysis.log").read_text()
    assert "goes on behind offset" in log
