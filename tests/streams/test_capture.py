from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from infra.broker import Broker
from infra.kafka import client_config, producer
from infra.settings import Settings, load_settings
from infra.topics import create_topics
from schemas.captures import CaptureEvent
from schemas.enums import BatchKind, CaptureState, Hop
from schemas.topics import CAPTURES, PACKETS, Topic
from streams import unfinished
from streams.capture import CaptureRun
from streams.chunks import CapturePlan
from streams.frames import FrameBlock, HopCount
from streams.unfinished import NOBODY, end_unfinished, note_running
from streams.wire import BatchHeader, decode_packets

from .builders import block_of, ethernet, ipv4, tcp

SECOND_NS = 10**9


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    stack = load_settings(state=tmp_path_factory.mktemp("capture"), kafka="", partitions=2)
    with Broker(stack):
        create_topics(stack)
        yield stack


class Port:
    """A live source of frames without an interface: it hands out blocks until it is stopped."""

    is_live = True
    interface = "port0"
    file_bytes = 0
    is_truncated = False
    fill = 0.0

    def __init__(self, *blocks: FrameBlock) -> None:
        self._blocks = blocks
        self.may_end = threading.Event()

    def blocks(self, max_frames: int) -> Iterator[FrameBlock]:
        yield from self._blocks
        while not self.may_end.wait(0.01):
            yield seen(0)

    def counts(self) -> list[HopCount]:
        return [HopCount(Hop.KERNEL, "", 12, 10), HopCount(Hop.KERNEL, "ring_full", 2, 0)]


def seen(count: int) -> FrameBlock:
    frames = [ethernet(ipv4(6, tcp(source_port=1024 + number))) for number in range(count)]
    times = [12 * SECOND_NS + number for number in range(count)]
    return replace(block_of(frames, ts_ns=times), quiet_ns=0 if count else 13 * SECOND_NS)


def plan(capture_id: str) -> CapturePlan:
    return CapturePlan(capture_id, "port0", "", "probe", 10 * SECOND_NS, partitions=2)


def messages(settings: Settings, topic: Topic, capture_id: str) -> list[Message]:
    """Return a capture's messages so far; one that runs goes on to send more."""
    name = settings.topic_name(topic)
    consumer = Consumer({**client_config(settings), "group.id": f"test-{os.urandom(4).hex()}"})
    try:
        found: list[Message] = []
        for partition in consumer.list_topics(name, timeout=10).topics[name].partitions:
            _, end = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=10)
            consumer.assign([TopicPartition(name, partition, 0)])
            of_partition: list[Message] = []
            while len(of_partition) < end:
                of_partition += consumer.consume(end - len(of_partition), timeout=10)
            found += of_partition
    finally:
        consumer.close()
    return [message for message in found if message.key() == capture_id.encode()]


def header_of(message: Message) -> BatchHeader:
    return BatchHeader.from_kafka(dict(message.headers() or []))


def test_a_live_capture_sends_packets_clock_end_and_ledger(settings: Settings) -> None:
    port = Port(seen(10), seen(0))
    run = CaptureRun(port, plan("live-1"), settings, producer(settings))
    for row in run.steps():
        if row.packets == 10 and row.last_ts_ns:
            port.may_end.set()
    assert (run.row.state, run.row.source, run.row.packets, run.row.packets_lost) == ("complete", "live", 10, 2)
    sent = messages(settings, PACKETS, "live-1")
    headers = [(header_of(message), message.partition()) for message in sent]
    assert all(header.is_live and header.interface == "port0" for header, _ in headers)
    assert {header.origin_ns for header, _ in headers} == {10 * SECOND_NS}
    bodies = [message.value() or b"" for message in sent if header_of(message).kind is BatchKind.DATA]
    assert sum(decode_packets(body).num_rows for body in bodies) == 10
    ends = [partition for header, partition in headers if header.kind is BatchKind.END]
    assert sorted(ends) == [0, 1]
    events = [CaptureEvent.model_validate_json(m.value() or b"") for m in messages(settings, CAPTURES, "live-1")]
    versions = [event.capture.version for event in events]
    assert versions == sorted(versions)
    counts = {(row.hop, row.reason): (row.packets_in, row.packets_out) for row in events[-1].ledger}
    assert counts == {
        (Hop.KERNEL, ""): (12, 10),
        (Hop.KERNEL, "ring_full"): (2, 0),
        (Hop.READ, ""): (10, 10),
        (Hop.DECODE, ""): (10, 10),
        (Hop.PRODUCE, ""): (10, 10),
    }
    assert not (settings.captures_folder / "live-1").exists()


def test_a_running_live_capture_is_noted_and_left_alone(settings: Settings) -> None:
    port = Port(seen(1))
    run = CaptureRun(port, plan("live-2"), settings, producer(settings))
    steps = run.steps()
    next(steps)
    assert (settings.captures_folder / "live-2" / "running.json").exists()
    assert end_unfinished(settings, producer(settings)) == []
    port.may_end.set()
    assert list(steps)[-1].state is CaptureState.COMPLETE
    assert not (settings.captures_folder / "live-2").exists()


def test_a_capture_whose_process_is_gone_is_ended(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port(seen(1))
    run = CaptureRun(port, plan("live-3"), settings, producer(settings))
    steps = run.steps()
    row = next(steps)
    end = BatchHeader("live-3", "probe", BatchKind.DATA, 7, 2, 10 * SECOND_NS, 10 * SECOND_NS, 14 * SECOND_NS)
    # As if it had been noted by a process that runs no more.
    monkeypatch.setattr(unfinished, "started_s", lambda pid: 1.0)
    note_running(settings, row, end)
    monkeypatch.undo()
    assert end_unfinished(settings, producer(settings)) == ["live-3"]
    assert end_unfinished(settings, producer(settings)) == []
    ends = [m for m in messages(settings, PACKETS, "live-3") if header_of(m).kind is BatchKind.END]
    assert sorted(m.partition() or 0 for m in ends) == [0, 1]
    assert all(header_of(m).seq > 7 for m in ends)
    told = [CaptureEvent.model_validate_json(m.value() or b"").capture for m in messages(settings, CAPTURES, "live-3")]
    newest = max(told, key=lambda capture: capture.version)
    assert (newest.state, newest.error) == (CaptureState.FAILED, NOBODY)
    port.may_end.set()
    list(steps)


def test_a_note_that_cannot_be_read_is_passed_over(settings: Settings) -> None:
    folder = settings.captures_folder / "damaged"
    folder.mkdir(parents=True)
    (folder / "running.json").write_text("{")
    assert end_unfinished(settings, producer(settings)) == []
