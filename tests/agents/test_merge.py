from __future__ import annotations

from pathlib import Path

import pytest

from agents.merge import MergeStage
from agents.sender import Sender
from infra.settings import load_settings
from schemas.enums import BatchKind
from schemas.errors import WireError
from streams.partials import partials_to_arrow
from streams.windows import PartitionWindows
from streams.wire import PartialHeader, encode_table
from tests.agents.messages import SECOND, header, take, unconnected_producer
from tests.streams.traffic import packets, row


def partial_body() -> bytes:
    operator = PartitionWindows(10 * SECOND, 0, 0)
    return encode_table(partials_to_arrow(operator.feed(packets([row(ts_ns=SECOND)]), 20 * SECOND)))


def partial_header(partition: int, seq: int = 0, kind: BatchKind = BatchKind.DATA) -> PartialHeader:
    return PartialHeader(header(kind, seq, partitions=2), partition, closed_through=2, records=1)


def test_windows_are_sent_when_every_partition_has_closed_them(tmp_path: Path) -> None:
    out = unconnected_producer()
    stage = MergeStage(load_settings(state=tmp_path), Sender(out))
    take(stage, 0, partial_header(0), partial_body())
    assert len(out) == 0
    take(stage, 0, partial_header(1), partial_body())
    assert len(out) == 1


def test_partial_windows_that_are_sent_again_count_once(tmp_path: Path) -> None:
    out = unconnected_producer()
    stage = MergeStage(load_settings(state=tmp_path), Sender(out))
    for partition in (0, 1, 1, 0):
        take(stage, 0, partial_header(partition), partial_body())
    assert len(out) == 1


def test_a_capture_is_over_when_every_partition_has_ended(tmp_path: Path) -> None:
    out = unconnected_producer()
    stage = MergeStage(load_settings(state=tmp_path), Sender(out))
    empty = encode_table(partials_to_arrow([]))
    assert not take(stage, 0, partial_header(0, kind=BatchKind.END), empty)
    assert take(stage, 0, partial_header(1, kind=BatchKind.END), empty)


def test_a_body_that_is_no_table_is_an_error_of_the_message(tmp_path: Path) -> None:
    stage = MergeStage(load_settings(state=tmp_path), Sender(unconnected_producer()))
    with pytest.raises(WireError):
        take(stage, 0, partial_header(0), b"no Arrow stream")
