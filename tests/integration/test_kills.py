"""Whatever is killed in the middle of a capture: the same rows as in an uninterrupted run."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from infra.kafka import client_config
from schemas.topics import WORKER_GROUP
from tests.integration.stack import Stack, running_stack, until

PACKETS = 400_000

KILLS = int(os.environ.get("SPANWATCH_KILLS", "0"))
"""Kills at random moments of one capture; a bar of the project is 30."""

BETWEEN_KILLS_S = 12.0
"""How much of the capture's time each kill gets, s: what was killed is up again well before the next."""

pytestmark = pytest.mark.timeout(600 + 30 * KILLS)

long = pytest.mark.skipif(
    not KILLS, reason="SPANWATCH_KILLS=N asks for N kills at random moments, and for a minute more"
)

SPECIMEN_S = 300.0
"""Length of the bundled capture, s."""


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated capture of many conversations over several windows."""
    path = tmp_path_factory.mktemp("capture") / "generated.pcap"
    command = [sys.executable, "-m", "benchmarks.make_capture", "--out", str(path), "--packets", str(PACKETS)]
    subprocess.run([*command, "--rate", "10000"], check=True, cwd=Path(__file__).parents[2])
    return path


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory, capture: Path) -> Iterator[Stack]:
    """A stack that may be broken."""
    stack = Stack(tmp_path_factory.mktemp("kills"), capture.parent)
    stack.start()
    yield stack
    stack.close()


def kill_worker(stack: Stack) -> None:
    stack.child("worker").kill()


def kill_broker(stack: Stack) -> None:
    stack.child("kafka.Kafka").kill()


def kill_store_owner(stack: Stack) -> None:
    stack.kill()
    stack.start()


def has_read(stack: Stack, capture_id: str, packets: int) -> Callable[[], bool]:
    def is_so() -> bool:
        now = stack.remote.capture(capture_id)
        return now is not None and now["packets"] >= packets

    return is_so


def newest_capture(stack: Stack, before: set[str]) -> str | None:
    captures = stack.remote.get("/api/captures", limit=50)["captures"]
    new = [row["capture_id"] for row in captures if row["capture_id"] not in before]
    return new[0] if new else None


def capture_with(stack: Stack, file: Path, speed: float) -> tuple[subprocess.Popen[bytes], str]:
    """Start reading a file from a process of its own; return it and the capture's id once it is known."""
    before = {row["capture_id"] for row in stack.remote.get("/api/captures", limit=50)["captures"]}
    reader = stack.spawn("capture", str(file), "--speed", str(speed))
    until(lambda: newest_capture(stack, before) is not None, 60, stack.said)
    capture_id = newest_capture(stack, before)
    assert capture_id is not None
    return reader, capture_id


def test_every_kill_leaves_the_rows_of_an_uninterrupted_run(own_stack: Stack, capture: Path) -> None:
    stack = own_stack
    runs = {"uninterrupted": stack.compute(capture)["capture_id"]}
    for kill in (kill_worker, kill_broker, kill_store_owner):
        # 40 s of traffic in 5 s, so that the kill comes in the middle of reading, windows and inserts.
        reader, capture_id = capture_with(stack, capture, speed=8)
        until(has_read(stack, capture_id, PACKETS // 4), 60, stack.said)
        kill(stack)
        assert reader.wait(120) == 0
        assert stack.stored(capture_id)["is_complete"]
        runs[kill.__name__] = capture_id
    short = capture.with_name("short.pcap")
    short.write_bytes(capture.read_bytes()[:-60])
    runs["control: one packet less"] = stack.compute(short)["capture_id"]
    stack.wait_until_all_is_taken()
    stack.stop()
    found = stack.digests(*runs.values())
    by_run: dict[str, Any] = {name: found[capture_id] for name, capture_id in runs.items()}
    expected = by_run.pop("uninterrupted")
    control = by_run.pop("control: one packet less")
    assert expected["packets"][0]["n"] == expected["packets"][0]["frames"] == PACKETS
    for name, digest in by_run.items():
        assert digest == expected, name
    for name in ("packets", "windows", "flows", "classifications", "traffic_1m", "ledger"):
        assert control[name] != expected[name]


def test_a_file_whose_reader_was_killed_is_read_again_and_stored_once(tmp_path: Path, capture: Path) -> None:
    with running_stack(tmp_path, capture.parent) as stack:
        capture_id = compute_while_killing_the_reader(stack, capture)
    found = stack.digests(capture_id)[capture_id]
    assert found["packets"][0]["n"] == found["packets"][0]["frames"] == PACKETS
    assert found["traffic_1h"][0]["packets"] == PACKETS
    assert {row["packets_out"] for row in found["ledger"]} == {PACKETS}


def compute_while_killing_the_reader(stack: Stack, capture: Path) -> str:
    """Compute a file whose reading worker is killed on the way; return the capture's id."""
    expected_id = stack.compute(capture)["capture_id"]
    requested = stack.spawn_compute(capture, window_size=10, force=True)
    before = {expected_id}
    until(lambda: newest_capture(stack, before) is not None, 60, stack.said)
    capture_id = newest_capture(stack, before)
    assert capture_id is not None
    kill_worker(stack)
    answer = requested()
    assert answer["capture_id"] == capture_id
    return capture_id


def snapshots_often(folder: Path, roots: Path) -> Stack:
    """Return a stack whose agents write snapshots every half second, so that a kill finds one."""
    stack = Stack(folder, roots)
    stack.environment["SPANWATCH_SNAPSHOT_S"] = "0.5"
    return stack


def wait_until_worker(stack: Stack) -> psutil.Process:
    """Return the stack's worker, which its supervisor may be about to start again."""
    until(lambda: any("worker" in child.cmdline() for child in stack.process.children()), 60, stack.said)
    return stack.child("worker")


def members_of(stack: Stack) -> int:
    """How many workers share the partitions."""
    admin = AdminClient(client_config(stack.settings))
    group = stack.settings.group_name(WORKER_GROUP)
    return len(admin.describe_consumer_groups([group])[group].result().members)


@long
def test_kills_at_random_moments_leave_windows_baselines_and_anomalies_as_they_would_be(
    tmp_path: Path, sample: Path
) -> None:
    seed = int(os.environ.get("SPANWATCH_KILLS_SEED", str(random.SystemRandom().randrange(10**6))))
    chance = random.Random(seed)
    stack = snapshots_often(tmp_path, sample.parent)
    stack.start()
    try:
        undisturbed = stack.compute(sample)["capture_id"]
        reader, capture_id = capture_with(stack, sample, speed=SPECIMEN_S / (KILLS * BETWEEN_KILLS_S))
        began_s, said = time.monotonic(), []
        for number in range(KILLS):
            moment_s = (number + chance.uniform(0.1, 0.6)) * BETWEEN_KILLS_S
            time.sleep(max(0.0, began_s + moment_s - time.monotonic()))
            is_worker = chance.random() < 0.6
            said.append(f"{'worker' if is_worker else 'store'} after {time.monotonic() - began_s:.1f} s")
            if is_worker:
                wait_until_worker(stack).kill()
            else:
                kill_store_owner(stack)
        assert reader.wait(300) == 0
        assert stack.stored(capture_id)["is_complete"]
        stack.wait_until_all_is_taken()
    finally:
        stack.close()
    found = stack.digests(undisturbed, capture_id)
    assert found[undisturbed]["anomalies"][0]["n"] > 0
    assert found[undisturbed]["baselines"][0]["n"] > 0
    assert found[undisturbed]["classifications"][0]["n"] == found[undisturbed]["flows"][0]["n"] > 0
    assert found[capture_id] == found[undisturbed], f"seed {seed}: {said}"


@long
def test_partitions_that_move_between_two_workers_leave_the_same_rows(tmp_path: Path, sample: Path) -> None:
    stack = snapshots_often(tmp_path, sample.parent)
    stack.start()
    second: subprocess.Popen[bytes] | None = None
    try:
        undisturbed = stack.compute(sample)["capture_id"]
        reader, capture_id = capture_with(stack, sample, speed=SPECIMEN_S / 45)
        until(has_read(stack, capture_id, 8_000), 60, stack.said)
        second = stack.spawn("worker")
        until(lambda: members_of(stack) == 2, 60, stack.said)
        until(has_read(stack, capture_id, 20_000), 60, stack.said)
        wait_until_worker(stack).kill()
        until(has_read(stack, capture_id, 32_000), 60, stack.said)
        second.terminate()
        assert second.wait(30) == 0
        assert reader.wait(200) == 0
        assert stack.stored(capture_id)["is_complete"]
        stack.wait_until_all_is_taken()
    finally:
        if second is not None and second.poll() is None:
            second.kill()
        stack.close()
    found = stack.digests(undisturbed, capture_id)
    assert found[capture_id] == found[undisturbed]
    resumed = [line for line in (stack.state / "logs" / "analysis.log").read_text().splitlines() if "goes on" in line]
    assert len(resumed) >= 2


def test_a_capture_whose_process_was_killed_fails_and_holds_nothing_back(tmp_path: Path, sample: Path) -> None:
    stack = snapshots_often(tmp_path, sample.parent)
    stack.environment["SPANWATCH_CAPTURE_TIMEOUT_S"] = "5"
    stack.start()
    try:
        # Slow enough that it is silent between two packets for longer than a report may take.
        reader, capture_id = capture_with(stack, sample, speed=SPECIMEN_S / 60)
        until(has_read(stack, capture_id, 5_000), 120, stack.said)
        reader.kill()
        reader.wait()
        until(lambda: (stack.remote.capture(capture_id) or {})["state"] == "failed", 60, stack.said)
        assert "has not reported for 5 s" in str(stack.remote.capture(capture_id))
        until(lambda: stack.has_caught_up(WORKER_GROUP), 60, stack.said)
        until(lambda: stack.remote.get("/api/metrics/", capture=capture_id, limit=1)["total"] > 2, 60, stack.said)
    finally:
        stack.close()
    digest = stack.digests(capture_id)[capture_id]
    assert digest["windows"][0]["packets"] == digest["packets"][0]["n"]
