from __future__ import annotations

from pathlib import Path

from confluent_kafka import Producer

from agents.sender import Sender
from agents.windows import WindowsStage
from infra.settings import load_settings
from schemas.enums import BatchKind
from tests.agents.messages import SECOND, body, header, take, unconnected_producer
from tests.streams.traffic import packets, row


def stage_with(producer: Producer, folder: Path) -> WindowsStage:
    return WindowsStage(load_settings(state=folder), Sender(producer))


def test_a_partition_is_idle_once_its_captures_have_ended(tmp_path: Path) -> None:
    stage = stage_with(unconnected_producer(), tmp_path)
    assert not take(stage, 0, header(seq=0), body(packets([row()])))
    assert not take(stage, 1, header(BatchKind.PROGRESS, seq=0), b"")
    assert take(stage, 0, header(BatchKind.END, seq=1), b"")
    assert take(stage, 1, header(BatchKind.END, seq=1), b"")


def test_a_batch_that_is_sent_again_counts_once(tmp_path: Path) -> None:
    out = unconnected_producer()
    stage = stage_with(out, tmp_path)
    closing = header(seq=0, clock_ns=13 * SECOND)
    take(stage, 0, closing, body(packets([row(ts_ns=SECOND)])))
    assert len(out) == 1
    take(stage, 0, closing, body(packets([row(ts_ns=SECOND)])))
    assert len(out) == 1


def test_partial_windows_are_sent_when_the_clock_passes_them_and_at_the_end(tmp_path: Path) -> None:
    out = unconnected_producer()
    stage = stage_with(out, tmp_path)
    take(stage, 0, header(seq=0, clock_ns=SECOND), body(packets([row(ts_ns=SECOND)])))
    assert len(out) == 0
    take(stage, 0, header(BatchKind.PROGRESS, seq=1, clock_ns=20 * SECOND), b"")
    assert len(out) == 1
    take(stage, 0, header(BatchKind.END, seq=2, clock_ns=20 * SECOND), b"")
    assert len(out) == 2


def test_a_partition_that_was_taken_away_is_forgotten(tmp_path: Path) -> None:
    stage = stage_with(unconnected_producer(), tmp_path)
    take(stage, 0, header(seq=0), body(packets([row()])))
    stage.drop({0})
    assert take(stage, 0, header(BatchKind.END, seq=1), b"")


def test_the_tail_of_a_second_sender_does_not_open_a_capture_again(tmp_path: Path) -> None:
    out = unconnected_producer()
    stage = stage_with(out, tmp_path)
    take(stage, 0, header(seq=0), body(packets([row()])))
    take(stage, 0, header(BatchKind.END, seq=1), b"")
    sent = len(out)
    assert take(stage, 0, header(seq=0, clock_ns=90 * SECOND), body(packets([row()])))
    assert take(stage, 0, header(BatchKind.END, seq=1), b"")
    assert len(out) == sent
