from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pyarrow as pa
import pytest

from agents.analysis import AnalysisStage
from agents.app import Received
from agents.merge import LEDGER_ROWS
from agents.sender import Sender
from infra.kafka import flush, producer
from infra.settings import Settings
from infra.topic_reader import headers_of, octets, read_partition
from schemas.baselines import BASELINE_SCHEMA
from schemas.captures import LedgerRow
from schemas.enums import AnalysisKind, BatchKind, Hop
from schemas.errors import WireError
from schemas.topics import ANOMALIES, BASELINES, Topic
from streams.partials import empty_partial
from streams.snapshots import Snapshot
from streams.window_rows import window_rows
from streams.wire import AnalysisHeader, BatchHeader, decode_table, encode_table
from tests.agents.messages import SECOND, header, take, unconnected_producer

WINDOWS = 40


def windows(capture_id: str, first: int = 0, count: int = WINDOWS) -> pa.Table:
    return window_rows(capture_id, 10 * SECOND, 0, [empty_partial(number) for number in range(first, first + count)])


def batch(capture_id: str, kind: BatchKind = BatchKind.DATA, seq: int = 0, *, is_live: bool = False) -> BatchHeader:
    sent = replace(header(kind, seq), capture_id=capture_id, is_live=is_live)
    return replace(sent, sensor=capture_id, interface="eth0") if is_live else sent


def end_body(capture_id: str, packets: int = 0) -> bytes:
    return LEDGER_ROWS.dump_json(
        [LedgerRow(capture_id=capture_id, hop=Hop.MERGE, packets_in=packets, packets_out=packets)]
    )


def sent(settings: Settings, topic: Topic, capture_id: str) -> Iterator[tuple[AnalysisHeader, bytes]]:
    for partition in range(settings.partitions):
        for message in read_partition(settings, settings.topic_name(topic), partition):
            told = AnalysisHeader.from_kafka(headers_of(message))
            if told.capture_id == capture_id:
                assert octets(message.key()).decode() == told.source
                yield told, octets(message.value())


def stage_of(settings: Settings) -> AnalysisStage:
    return AnalysisStage(settings, Sender(producer(settings)))


def test_a_capture_is_judged_to_its_end(broker: Settings) -> None:
    capture_id, out = uuid4().hex, producer(broker)
    stage = AnalysisStage(broker, Sender(out))
    assert not take(stage, 0, batch(capture_id), encode_table(windows(capture_id)))
    assert take(stage, 0, batch(capture_id, BatchKind.END, 1), end_body(capture_id))
    flush(out)
    (told, body), *_ = reversed(list(sent(broker, ANOMALIES, capture_id)))
    assert told.kind is AnalysisKind.END
    assert [row.hop for row in LEDGER_ROWS.validate_json(body)] == [Hop.ANALYSIS]
    learnt = [decode_table(body, BASELINE_SCHEMA) for _, body in sent(broker, BASELINES, capture_id)]
    assert max(max(rows.column("windows").to_pylist()) for rows in learnt) == WINDOWS


def test_windows_that_are_sent_again_are_judged_once(broker: Settings) -> None:
    capture_id = uuid4().hex
    stage = stage_of(broker)
    for _ in range(2):
        take(stage, 0, batch(capture_id), encode_table(windows(capture_id, count=10)))
    take(stage, 0, batch(capture_id, seq=1), encode_table(windows(capture_id, first=10, count=10)))
    assert stage._judges[0][capture_id]._windows == 20


def test_a_corrected_window_counts_its_packets_once(broker: Settings) -> None:
    capture_id, out = uuid4().hex, producer(broker)
    stage = AnalysisStage(broker, Sender(out))
    rows = windows(capture_id, count=3)
    for seq, packets in enumerate((10, 12)):
        at = rows.schema.get_field_index("record_count")
        changed = rows.set_column(at, rows.schema.field(at), pa.array([packets] * 3, pa.uint64()))
        take(stage, 0, batch(capture_id, seq=seq), encode_table(changed))
    take(stage, 0, batch(capture_id, BatchKind.END, 2), end_body(capture_id, 36))
    flush(out)
    (row,) = LEDGER_ROWS.validate_json(list(sent(broker, ANOMALIES, capture_id))[-1][1])
    assert (row.packets_in, row.packets_out) == (36, 36)


def test_a_files_judge_goes_with_its_capture_and_a_ports_stays(broker: Settings) -> None:
    file, live = uuid4().hex, uuid4().hex
    stage = stage_of(broker)
    for capture_id, is_live in ((file, False), (live, True)):
        take(stage, 0, batch(capture_id, is_live=is_live), encode_table(windows(capture_id)))
        take(stage, 0, batch(capture_id, BatchKind.END, 1, is_live=is_live), end_body(capture_id))
    assert list(stage._judges[0]) == [f"{live}/eth0"]


def test_a_restored_stage_goes_on_as_if_nothing_had_happened(broker: Settings) -> None:
    results = []
    for is_restored in (False, True):
        capture_id, out = uuid4().hex, producer(broker)
        stage = AnalysisStage(broker, Sender(out))
        take(stage, 0, batch(capture_id), encode_table(windows(capture_id, count=25)))
        if is_restored:
            state = stage.snapshot(0)
            assert state is not None
            stage = AnalysisStage(broker, Sender(out))
            stage.restore(0, state)
        for seq in (0, 1):
            first = 25 * seq
            take(stage, 0, batch(capture_id, seq=seq), encode_table(windows(capture_id, first, 25)))
        take(stage, 0, batch(capture_id, BatchKind.END, 2), end_body(capture_id))
        flush(out)
        tables = [decode_table(body, BASELINE_SCHEMA) for _, body in sent(broker, BASELINES, capture_id)]
        results.append(pa.concat_tables(tables).drop_columns(["source", "capture_id"]))
    assert results[0].equals(results[1])


def test_a_damaged_judge_is_refused_so_that_its_windows_are_read_again() -> None:
    settings = Settings()
    stage = AnalysisStage(settings, Sender(unconnected_producer()))
    take(stage, 0, batch("c"), encode_table(windows("c")))
    state = Snapshot.from_bytes(stage.snapshot(0) or b"", stage.KIND)
    captures, names, judge = state.bodies
    damaged = Snapshot(stage.KIND, {}, [captures, names, judge[:-9] + b"something"]).to_bytes()
    with pytest.raises(WireError):
        AnalysisStage(settings, Sender(unconnected_producer())).restore(0, damaged)
    assert json.loads(names) == ["c"]


def test_a_message_without_a_header_is_an_error_of_the_message() -> None:
    stage = AnalysisStage(Settings(), Sender(unconnected_producer()))
    with pytest.raises(WireError):
        stage.take(Received("windows", 0, 0, {}, b""))
