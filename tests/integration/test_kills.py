"""Whatever is killed in the middle of a capture: the same rows as in an uninterrupted run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.stack import Stack, running_stack, until

pytestmark = pytest.mark.timeout(600)

PACKETS = 400_000


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
    stack.stop()
    found = stack.digests(*runs.values())
    by_run: dict[str, Any] = {name: found[capture_id] for name, capture_id in runs.items()}
    expected = by_run.pop("uninterrupted")
    control = by_run.pop("control: one packet less")
    assert expected["packets"][0]["n"] == expected["packets"][0]["frames"] == PACKETS
    for name, digest in by_run.items():
        assert digest == expected, name
    for name in ("packets", "windows", "traffic_1m", "ledger"):
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
