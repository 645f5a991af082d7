from __future__ import annotations

import time
from pathlib import Path
from uuid import uuid4

from agents.app import Received
from agents.leases import Leases, Reaper
from agents.merge import MergeStage
from agents.sender import Sender
from agents.storage import StorageStage
from agents.windows import WindowsStage
from infra.kafka import flush, producer, send
from infra.settings import Settings, load_settings
from infra.store import Store
from infra.topic_reader import headers_of, read_partition
from schemas.captures import CaptureEvent, CaptureRow
from schemas.enums import BatchKind, CaptureState
from schemas.topics import CAPTURES, PACKETS, WINDOW_PARTIALS, WINDOWS
from streams.wire import BatchHeader
from tests.agents.messages import SECOND, body, header, take, unconnected_producer
from tests.streams.traffic import packets, row


def running(capture_id: str = "c", **changes: object) -> CaptureRow:
    capture = CaptureRow(
        capture_id=capture_id, state=CaptureState.RUNNING, source="pcap", name="f", fingerprint="", sensor="probe",
        window_ns=10 * SECOND, partitions=2, started_ns=1,
    )  # fmt: skip
    return capture.model_copy(update=changes)


def test_a_capture_expires_when_it_has_been_silent_for_too_long() -> None:
    leases = Leases(timeout_s=60)
    leases.hear(running("a"), 0)
    leases.hear(running("b"), 0)
    leases.hear(running("b"), 30)
    assert [capture.capture_id for capture in leases.expired(61)] == ["a"]
    assert leases.expired(60) == []


def test_a_capture_that_has_ended_or_is_read_again_by_a_worker_never_expires() -> None:
    leases = Leases(timeout_s=60)
    leases.hear(running("a"), 0)
    leases.hear(running("a", state=CaptureState.COMPLETE), 1)
    leases.hear(running("b", is_requested=True), 0)
    assert leases.expired(1e9) == []


def test_no_lease_runs_out_while_nobody_can_be_heard() -> None:
    leases = Leases(timeout_s=60)
    leases.hear(running("a"), 0)
    leases.extend(50)
    assert leases.expired(100) == []
    assert len(leases.expired(111)) == 1


def test_a_silent_capture_is_ended_on_every_partition_and_fails(broker: Settings, store: Store) -> None:
    capture_id = uuid4().hex
    # The shortest that the settings allow is too long for a test.
    hasty = broker.model_copy(update={"capture_timeout_s": 0.5})
    told = CaptureEvent(capture=running(capture_id)).model_dump_json().encode()
    StorageStage(store).captures(Received("captures", 0, time.time_ns(), {}, told))
    reaper = Reaper(hasty, store)
    try:
        while not (failed := told_of(broker, capture_id)):
            reaper.look()
    finally:
        reaper.close()
    assert failed[-1].state is CaptureState.FAILED
    assert "has not reported for 0.5 s" in failed[-1].error
    for partition in range(2):
        headers = [BatchHeader.from_kafka(h) for h in ends(broker, partition) if h["capture_id"] == capture_id.encode()]
        assert [end.kind for end in headers] == [BatchKind.END]


def test_a_capture_that_reports_is_left_alone(broker: Settings, store: Store) -> None:
    capture_id = uuid4().hex
    reaper = Reaper(broker, store)
    out = producer(broker)
    try:
        reaper.look()
        told = CaptureEvent(capture=running(capture_id)).model_dump_json().encode()
        send(out, broker.topic_name(CAPTURES), told, key=capture_id.encode())
        flush(out)
        reaper.look()
    finally:
        reaper.close()
    assert [event.state for event in told_of(broker, capture_id)] == [CaptureState.RUNNING]


def told_of(settings: Settings, capture_id: str) -> list[CaptureRow]:
    topic = settings.topic_name(CAPTURES)
    messages = [m for partition in range(2) for m in read_partition(settings, topic, partition)]
    rows = [CaptureEvent.model_validate_json(m.value() or b"").capture for m in messages]
    return [found for found in rows if found.capture_id == capture_id]


def ends(settings: Settings, partition: int) -> list[dict[str, bytes]]:
    return [headers_of(m) for m in read_partition(settings, settings.topic_name(PACKETS), partition)]


def test_an_end_by_somebody_else_closes_what_is_open_where_the_capture_began(broker: Settings, tmp_path: Path) -> None:
    """Also on a partition that nothing had come to: such an end does not know where window 0 begins."""
    origin = header(partitions=2)
    begun = BatchHeader(**{**vars(origin), "capture_id": uuid4().hex, "origin_ns": 7 * SECOND, "clock_ns": 8 * SECOND})
    end = Reaper(broker, None)._end_of(running(begun.capture_id))  # type: ignore[arg-type]
    out = producer(broker)
    windows = WindowsStage(broker, Sender(out))
    take(windows, 0, begun, body(packets([row(ts_ns=8 * SECOND)])))
    for partition in (1, 0):
        assert take(windows, partition, end, b"")
    flush(out)
    merge = MergeStage(broker, Sender(out))
    for message in partials_of(broker, begun.capture_id):
        merge.take(message)
    flush(out)
    found = [headers_of(m) for p in range(2) for m in read_partition(broker, broker.topic_name(WINDOWS), p)]
    own = [BatchHeader.from_kafka(h) for h in found if h["capture_id"] == begun.capture_id.encode()]
    assert [sent.kind for sent in own] == [BatchKind.DATA, BatchKind.END]
    assert {sent.origin_ns for sent in own} == {7 * SECOND}


def partials_of(settings: Settings, capture_id: str) -> list[Received]:
    name = settings.topic_name(WINDOW_PARTIALS)
    found = [Received.of_message(m) for p in range(2) for m in read_partition(settings, name, p)]
    return [message for message in found if message.headers["capture_id"] == capture_id.encode()]


def test_what_a_stage_keeps_survives_its_bytes(tmp_path: Path) -> None:
    stage = WindowsStage(load_settings(state=tmp_path), Sender(unconnected_producer()))
    take(stage, 0, header(seq=0), body(packets([row()])))
    state = stage.snapshot(0)
    assert state is not None
    other = WindowsStage(load_settings(state=tmp_path), Sender(unconnected_producer()))
    other.restore(0, state)
    assert not take(other, 0, header(seq=0), body(packets([row()])))
    assert take(other, 0, header(BatchKind.END, seq=1), b"")
