from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.settings import load_settings
from spanwatch_cluster import Proof
from spanwatch_local_cluster import LocalCluster
from tests.integration.stack import digests_of, free_ports, running_stack

pytestmark = pytest.mark.timeout(900)

SECONDS = 15.0
"""How long the sample is read: the worker's session is over before the end, so that its partitions move on the way."""


@pytest.mark.skipif(
    "SPANWATCH_CLUSTER" not in os.environ, reason="SPANWATCH_CLUSTER=1 asks for it, and for two minutes"
)
def test_three_brokers_and_workers_give_the_rows_of_one_of_each_with_one_of_each_killed(
    tmp_path: Path, sample: Path
) -> None:
    with running_stack(tmp_path / "one", sample.parent) as stack:
        alone = stack.compute(sample)["capture_id"]
        packets = stack.stored(alone)
    expected = stack.digests(alone)[alone]
    # Snapshots come often, so that the next owner of a partition finds one.
    settings = load_settings(state=tmp_path / "three", ports=free_ports(1), kafka="", snapshot_s=0.5)
    cluster = LocalCluster(settings, brokers=3, workers=3)
    try:
        cluster.add_workers(3)
        cluster.wait_until_up()
        proof = Proof(cluster, sample, SECONDS)
        replicas = proof.replicas()
        assert {found.leader for found in replicas.values()} == {1, 2, 3}
        assert {found.brokers for found in replicas.values()} == {frozenset((1, 2, 3))}
        group = cluster.group()
        assert group is not None
        topic = "spanwatch-packets"
        shared = [{number for name, number in parts if name == topic} for parts in group.members.values()]
        assert [len(numbers) for numbers in shared] == [2, 2, 2]
        capture_id = proof.disturbed(packets)
    finally:
        cluster.stop()
    assert digests_of(settings, capture_id)[capture_id] == expected
    log = (settings.logs_folder / "analysis.log").read_text()
    assert "goes on behind offset" in log
