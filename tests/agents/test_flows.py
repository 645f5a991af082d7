from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer

from agents.flows import HELD_ROWS, FlowsStage
from agents.merge import LEDGER_ROWS
from agents.sender import Sender
from infra.settings import load_settings
from schemas.enums import BatchKind
from schemas.flows import FLOW_SCHEMA
from schemas.packets import NO_PROTOCOL
from streams.wire import BatchHeader, KafkaHeaders, decode_table
from tests.agents.messages import SECOND, body, header, take, unconnected_producer
from tests.streams.traffic import RST, SYN, Row, packets, row

Sent = tuple[BatchHeader, int, list[str]]
"""Header, partition, and the reasons of the records or what the ledger says went out."""


class KeepingSender(Sender):
    """Keeps what a stage sends, where a sender hands it to Kafka."""

    def __init__(self, producer: Producer) -> None:
        super().__init__(producer)
        self.sent: list[Sent] = []

    def send(self, topic: str, value: bytes | None, *, key: bytes, headers: KafkaHeaders, partition: int = -1) -> None:
        assert value is not None
        assert (topic.endswith("flows"), key) == (True, b"c")
        texts = {name: content for name, content in headers if isinstance(content, bytes)}
        told = BatchHeader.from_kafka(texts)
        if told.kind is BatchKind.END:
            ledger = LEDGER_ROWS.validate_json(value)
            said = [f"{line.reason or 'total'} {line.packets_in} {line.packets_out}" for line in ledger]
        elif told.kind is BatchKind.PROGRESS:
            said = []
        else:
            said = decode_table(value, FLOW_SCHEMA).column("end_reason").to_pylist()
        self.sent.append((told, partition, said))


@pytest.fixture
def stage(tmp_path: Path) -> FlowsStage:
    return FlowsStage(load_settings(state=tmp_path), KeepingSender(unconnected_producer()))


def sent(stage: FlowsStage) -> list[Sent]:
    sender = stage._sender
    assert isinstance(sender, KeepingSender)
    return sender.sent


def test_records_are_sent_as_they_come_and_the_end_is_always_told(stage: FlowsStage) -> None:
    connection = [row(ts_ns=0, tcp_flags=SYN), row(ts_ns=1, src=2, dst=1, src_port=80, dst_port=40_000, tcp_flags=RST)]
    assert not take(stage, 3, header(seq=0), body(packets(connection)))
    assert sent(stage) == []
    assert not take(stage, 3, header(BatchKind.PROGRESS, seq=1, clock_ns=20 * SECOND), b"")
    assert take(stage, 3, header(BatchKind.END, seq=2, clock_ns=20 * SECOND), b"")
    told = [(told.kind, told.seq, partition, said) for told, partition, said in sent(stage)]
    assert told == [(BatchKind.DATA, 0, 3, ["rst"]), (BatchKind.END, 1, 3, ["total 2 2"])]


def test_a_batch_that_is_sent_again_counts_once(stage: FlowsStage) -> None:
    for _ in range(2):
        take(stage, 0, header(seq=0), body(packets([row()])))
    take(stage, 0, header(BatchKind.END, seq=1), b"")
    assert [said for _, _, said in sent(stage)] == [["end_of_capture"], ["total 1 1"]]


def test_packets_that_no_flow_can_have_are_in_the_ledger_by_reason(stage: FlowsStage) -> None:
    without_ip = row(protocol=NO_PROTOCOL, ether_type=0x0806)
    take(stage, 0, header(seq=0), body(packets([row(), without_ip, row(ts_ns=1)])))
    take(stage, 0, header(BatchKind.END, seq=1), b"")
    assert [said for _, _, said in sent(stage)] == [["end_of_capture"], ["total 3 3", "without_ip 1 1"]]


def connection(number: int, ts_ns: int) -> list[Row]:
    """Return a connection that is reset at once."""
    there = row(ts_ns=ts_ns, src_port=number, tcp_flags=SYN)
    return [there, row(ts_ns=ts_ns, src=2, dst=1, src_port=80, dst_port=number, tcp_flags=RST)]


def test_records_wait_for_more_of_them_but_not_for_long(stage: FlowsStage) -> None:
    for second in range(25):
        clock_ns = second * SECOND
        take(stage, 0, header(seq=second, clock_ns=clock_ns), body(packets(connection(second + 1, clock_ns))))
    # A reset flow waits 10 s for stragglers, its record at most another 10.
    assert [(told.clock_ns // SECOND, len(said)) for told, _, said in sent(stage)] == [(20, 10)]


def test_who_judges_is_told_that_time_has_passed_while_nothing_comes(tmp_path: Path) -> None:
    stage = FlowsStage(load_settings(state=tmp_path, flow_idle_s=30), KeepingSender(unconnected_producer()))
    take(stage, 0, header(seq=0), body(packets(connection(1, 0))))
    for seq in range(1, 20):
        take(stage, 0, header(BatchKind.PROGRESS, seq=seq, clock_ns=10 * seq * SECOND), b"")
    told = [(told.kind, told.seq, told.clock_ns // SECOND) for told, *_ in sent(stage)]
    # The record of a reset flow; then for as long as what came before may wait for the clock: 94 s.
    quiet = [(BatchKind.PROGRESS, number, 20 + 10 * number) for number in range(1, 10)]
    assert told == [(BatchKind.DATA, 0, 20), *quiet]


def test_the_clock_moves_with_the_last_of_many_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.flows.MESSAGE_FLOWS", 4)
    stage = FlowsStage(load_settings(state=tmp_path), KeepingSender(unconnected_producer()))
    take(stage, 0, header(seq=0, clock_ns=SECOND), body(packets([p for n in range(10) for p in connection(n + 1, 0)])))
    take(stage, 0, header(BatchKind.PROGRESS, seq=1, clock_ns=20 * SECOND), b"")
    assert [(told.clock_ns // SECOND, len(said)) for told, _, said in sent(stage)] == [(1, 4), (1, 4), (20, 2)]


def test_many_records_do_not_wait(tmp_path: Path) -> None:
    stage = FlowsStage(load_settings(state=tmp_path, flow_linger_s=0), KeepingSender(unconnected_producer()))
    rows = [packet for number in range(HELD_ROWS) for packet in connection(number + 1, 0)]
    take(stage, 0, header(seq=0), body(packets(rows)))
    take(stage, 0, header(BatchKind.PROGRESS, seq=1, clock_ns=2 * SECOND), b"")
    assert [len(said) for _, _, said in sent(stage)] == [HELD_ROWS]


def test_a_restored_stage_goes_on_with_flows_and_numbers(stage: FlowsStage, tmp_path: Path) -> None:
    take(stage, 0, header(seq=0), body(packets([row(ts_ns=0), row(ts_ns=1)])))
    take(stage, 0, header(BatchKind.PROGRESS, seq=1, clock_ns=10 * SECOND), b"")
    state = stage.snapshot(0)
    assert state is not None
    restored = FlowsStage(load_settings(state=tmp_path), KeepingSender(unconnected_producer()))
    restored.restore(0, state)
    for each in (stage, restored):
        take(each, 0, header(BatchKind.END, seq=2, clock_ns=10 * SECOND), b"")
    assert [said for _, _, said in sent(stage)] == [["interim"], ["end_of_capture"], ["total 2 2"]]
    assert sent(restored) == sent(stage)[1:]


def test_a_restored_stage_sends_what_was_held(stage: FlowsStage, tmp_path: Path) -> None:
    take(stage, 0, header(seq=0), body(packets(connection(1, 0))))
    take(stage, 0, header(BatchKind.PROGRESS, seq=1, clock_ns=5 * SECOND), b"")
    take(stage, 0, header(BatchKind.PROGRESS, seq=2, clock_ns=10 * SECOND), b"")
    take(stage, 0, header(seq=3, clock_ns=10 * SECOND), body(packets(connection(2, 10 * SECOND))))
    take(stage, 0, header(BatchKind.PROGRESS, seq=4, clock_ns=16 * SECOND), b"")
    assert sent(stage) == []
    state = stage.snapshot(0)
    assert state is not None
    restored = FlowsStage(load_settings(state=tmp_path), KeepingSender(unconnected_producer()))
    restored.restore(0, state)
    for each in (stage, restored):
        take(each, 0, header(BatchKind.END, seq=5, clock_ns=16 * SECOND), b"")
    assert [said for _, _, said in sent(stage)] == [["rst", "rst"], ["total 4 4"]]
    assert sent(restored) == sent(stage)


def test_a_partition_that_was_taken_away_is_forgotten(stage: FlowsStage) -> None:
    take(stage, 0, header(seq=0), body(packets([row()])))
    stage.drop({0})
    assert take(stage, 0, header(BatchKind.END, seq=1), b"")
    assert [said for _, _, said in sent(stage)] == [["total 0 0"]]
