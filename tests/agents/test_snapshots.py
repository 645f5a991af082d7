from __future__ import annotations

import random
from uuid import uuid4

import pytest

from agents.sender import Sender
from agents.snapshots import CHUNK_BYTES, FORMAT, Snapshot, Snapshots
from infra.kafka import flush, producer, send
from infra.settings import Settings
from infra.topic_reader import headers_of, read_partition
from schemas.errors import WireError
from schemas.topics import OPERATOR_STATE


def stage_name() -> str:
    return f"test-{uuid4().hex}"


def opened(settings: Settings, stage: str) -> Snapshots:
    """Snapshots as a process that has just started sees them."""
    return Snapshots(settings, stage, Sender(producer(settings)))


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def standing(settings: Settings, stage: str) -> dict[str, bytes | None]:
    """What compaction would leave of a stage's keys."""
    topic = settings.topic_name(OPERATOR_STATE)
    found = {}
    for message in read_partition(settings, topic, 0):
        key = message.key()
        assert isinstance(key, bytes)
        if key.decode().startswith(stage):
            found[key.decode()] = message.value()
    return found  # type: ignore[return-value]


def write_again(settings: Settings, stage: str, change: dict[str, str], body: bytes | None = None) -> None:
    """Send a stage's standing chunks once more, with other headers or another body."""
    topic = settings.topic_name(OPERATOR_STATE)
    last = {m.key(): m for m in read_partition(settings, topic, 0) if str(m.key()).count(stage)}
    out = producer(settings)
    for key, message in last.items():
        headers = {**headers_of(message), **{name: value.encode() for name, value in change.items()}}
        send(out, topic, body or message.value(), key=key, partition=0, headers=list(headers.items()))
    flush(out)


def test_a_stage_that_never_wrote_one_has_no_snapshot(broker: Settings) -> None:
    assert opened(broker, stage_name()).load(0) is None


@pytest.mark.parametrize("size", [1, CHUNK_BYTES, 2 * CHUNK_BYTES + 17])
def test_a_snapshot_of_any_size_comes_back(broker: Settings, size: int) -> None:
    stage = stage_name()
    opened(broker, stage).save(1, Snapshot(41, noise(size)), is_only=False)
    assert opened(broker, stage).load(1) == Snapshot(41, noise(size))
    assert opened(broker, stage).load(0) is None


def test_the_newest_of_several_counts_also_across_processes(broker: Settings) -> None:
    stage = stage_name()
    first = opened(broker, stage)
    for offset in range(5):
        first.save(0, Snapshot(offset, noise(100, offset)), is_only=False)
    second = opened(broker, stage)
    assert second.load(0) == Snapshot(4, noise(100, 4))
    second.save(0, Snapshot(5, noise(100, 5)), is_only=False)
    assert opened(broker, stage).load(0) == Snapshot(5, noise(100, 5))


def test_a_snapshot_that_was_not_finished_leaves_the_one_before(broker: Settings) -> None:
    stage = stage_name()
    snapshots = opened(broker, stage)
    snapshots.save(0, Snapshot(1, b"whole"), is_only=False)
    snapshots.save(0, Snapshot(2, noise(2 * CHUNK_BYTES)), is_only=False)
    out, topic = producer(broker), broker.topic_name(OPERATOR_STATE)
    send(out, topic, None, key=f"{stage}/1/1".encode(), partition=0)
    flush(out)
    assert opened(broker, stage).load(0) == Snapshot(1, b"whole")


def test_what_is_smaller_now_leaves_no_chunks_behind(broker: Settings) -> None:
    stage = stage_name()
    snapshots = opened(broker, stage)
    for offset in range(2):
        snapshots.save(0, Snapshot(offset, noise(3 * CHUNK_BYTES)), is_only=False)
    sender = Sender(producer(broker))
    again = Snapshots(broker, stage, sender)
    assert again.load(0) is not None
    again.save(0, Snapshot(2, b"idle"), is_only=True)
    # Nobody waits for the removal of what is superseded.
    sender.flush()
    assert [key for key, body in standing(broker, stage).items() if body is not None] == [f"{stage}/0/0"]
    assert opened(broker, stage).load(0) == Snapshot(2, b"idle")


def test_a_damaged_snapshot_is_refused(broker: Settings) -> None:
    stage = stage_name()
    opened(broker, stage).save(0, Snapshot(7, noise(1000)), is_only=False)
    write_again(broker, stage, {}, body=b"something else")
    with pytest.raises(WireError, match="checksum is wrong"):
        opened(broker, stage).load(0)


def test_a_snapshot_of_another_layout_is_refused_by_name(broker: Settings) -> None:
    stage = stage_name()
    opened(broker, stage).save(0, Snapshot(7, noise(1000)), is_only=False)
    write_again(broker, stage, {"format": str(FORMAT + 1), "software": "9.9"})
    with pytest.raises(WireError, match=rf"spanwatch 9\.9 in format {FORMAT + 1}"):
        opened(broker, stage).load(0)


def test_an_older_readable_snapshot_is_better_than_a_damaged_one(broker: Settings) -> None:
    stage = stage_name()
    snapshots = opened(broker, stage)
    snapshots.save(0, Snapshot(1, b"old"), is_only=False)
    write_again(broker, stage, {})
    snapshots.save(0, Snapshot(2, b"new"), is_only=False)
    out, topic = producer(broker), broker.topic_name(OPERATOR_STATE)
    send(out, topic, b"damaged", key=f"{stage}/1/0".encode(), partition=0, headers=[("format", b"?")])
    flush(out)
    assert opened(broker, stage).load(0) == Snapshot(1, b"old")
