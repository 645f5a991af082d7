from __future__ import annotations

import struct
import threading
from pathlib import Path
from typing import Self
from uuid import uuid4

import pyarrow as pa
import pytest

from agents.app import AppThread, FaustApp, Received, add_agent, make_app
from agents.judge import Judge
from agents.merge import LEDGER_ROWS
from agents.storage import StorageStage, stored_batch, storing
from infra.kafka import flush, producer, send
from infra.settings import Settings
from infra.store import Store
from infra.topics import create_topics
from schemas.analysis import RunRow
from schemas.anomalies import ANOMALY_SCHEMA, CORRECTION_SCHEMA
from schemas.baselines import BASELINE_SCHEMA
from schemas.captures import CaptureEvent, CaptureRow, LedgerRow
from schemas.enums import AnalysisKind, BatchKind, CaptureState, Hop, RunKind, RunState
from schemas.errors import WireError
from schemas.flows import FLOW_SCHEMA, N_FEATURES
from schemas.packets import first_event_id
from schemas.topics import FLOWS
from streams.decode import NO_TIME_NS, decode
from streams.files import open_capture
from streams.merge import WindowMerger
from streams.split import split
from streams.window_rows import window_rows
from streams.windows import PartitionWindows
from streams.wire import AnalysisHeader, BatchHeader, encode_table
from tests.agents.messages import body
from tests.api.stack import until
from tests.streams import builders as b
from tests.streams.traffic import ACK, SECOND, SYN, packets, row


def message(capture_id: str, kind: BatchKind, content: bytes, offset: int, seq: int) -> Received:
    header = BatchHeader(capture_id, "probe", kind, seq, 1, 10**10, 0, 0)
    headers = {name: value for name, value in header.to_kafka() if isinstance(value, bytes)}
    return Received("packets", 0, offset, headers, content)


def count(store: Store, table: str, capture_id: str) -> int:
    found = store.query(f"SELECT count() AS n FROM {table} WHERE capture_id = {{id:String}}", {"id": capture_id})
    return int(str(found[0]["n"]))


def test_rows_get_their_capture_and_consecutive_event_ids() -> None:
    (batch,) = split(packets([row(), row(), row()]), 1)
    assert batch is not None
    rows = stored_batch(batch, "c", 3, 17)
    first = first_event_id(3, 17)
    assert rows.column("event_id").to_pylist() == [first, first + 1, first + 2]
    assert rows.column("capture_id").to_pylist() == ["c"] * 3


def test_a_batch_is_stored_once_however_often_and_wherever_it_comes(store: Store) -> None:
    capture_id = uuid4().hex
    stage = StorageStage(store)
    content = body(packets([row(), row(ts_ns=5)]))
    for offset in (0, 0, 7):  # delivered again, and sent again by a capture that was killed
        stage.packets(message(capture_id, BatchKind.DATA, content, offset, seq=0))
    assert count(store, "packet_logs", capture_id) == 2
    assert count(store, "traffic", capture_id) == 3


def test_the_end_of_a_partition_counts_what_is_stored(store: Store) -> None:
    capture_id = uuid4().hex
    stage = StorageStage(store)
    stage.packets(message(capture_id, BatchKind.DATA, body(packets([row(), row(ts_ns=5)])), 0, seq=0))
    stage.packets(message(capture_id, BatchKind.END, b"", 1, seq=1))
    (found,) = store.query("SELECT hop, packets_out FROM ledger_now WHERE capture_id = {id:String}", {"id": capture_id})
    assert found == {"hop": "store", "packets_out": 2}


def test_a_state_is_stored_with_its_ledger(store: Store) -> None:
    capture_id = uuid4().hex
    capture = CaptureRow(
        capture_id=capture_id, state=CaptureState.COMPLETE, source="pcap", name="f", fingerprint="", sensor="s",
        window_ns=1, partitions=1, started_ns=1,
    )  # fmt: skip
    ledger = [LedgerRow(capture_id=capture_id, hop=Hop.READ, packets_in=1, packets_out=1)]
    told = CaptureEvent(capture=capture, ledger=ledger).model_dump_json().encode()
    StorageStage(store).captures(Received("captures", 0, 0, {}, told))
    assert count(store, "captures", capture_id) == 1
    assert count(store, "ledger", capture_id) == 1


def flow(**values: object) -> dict[str, object]:
    """Return a record of the flow 7 that has ended."""
    named = {"flow_id": 7, "end_reason": "fin", "community_id": "1:x", "fwd_packets": 3, "features": [0.5] * N_FEATURES}
    addresses = {"src_ip": bytes(10) + b"\xff\xff\n\0\0\1", "dst_ip": bytes(16)}
    return {**blank_row(FLOW_SCHEMA), **named, **addresses, **values}


def flow_body(*rows: dict[str, object]) -> bytes:
    return encode_table(pa.Table.from_pylist(list(rows), schema=FLOW_SCHEMA))


def test_of_a_flow_the_record_with_most_packets_counts_and_the_final_one_of_two(store: Store) -> None:
    capture_id = uuid4().hex
    stage = StorageStage(store)
    records = [
        [flow(fwd_packets=5), flow(flow_id=8, end_reason="interim", fwd_packets=2)],
        [flow(end_reason="interim", fwd_packets=5), flow(end_reason="interim"), flow(flow_id=8, bwd_packets=1)],
    ]
    for seq, rows in enumerate(records):
        stage.flows(message(capture_id, BatchKind.DATA, flow_body(*rows), seq, seq))
    found = store.query(
        "SELECT flow_id, end_reason, fwd_packets, features[78] AS last FROM flows_now"
        " WHERE capture_id = {id:String} ORDER BY flow_id",
        {"id": capture_id},
    )
    assert [tuple(row.values()) for row in found] == [(7, "fin", 5, 0.5), (8, "fin", 3, 0.5)]


def test_flows_are_stored_once_and_their_end_tells_the_ledger(store: Store) -> None:
    capture_id = uuid4().hex
    stage = StorageStage(store)
    for offset in (0, 0, 4):
        stage.flows(message(capture_id, BatchKind.DATA, flow_body(flow()), offset, seq=0))
    assert count(store, "flows", capture_id) == 1
    ledger = [LedgerRow(capture_id=capture_id, hop=Hop.FLOWS, partition=0, packets_in=3, packets_out=3)]
    stage.flows(message(capture_id, BatchKind.END, LEDGER_ROWS.dump_json(ledger), 5, seq=1))
    (found,) = store.query("SELECT hop, packets_out FROM ledger_now WHERE capture_id = {id:String}", {"id": capture_id})
    assert found == {"hop": "flows", "packets_out": 3}


def analysed(capture_id: str, kind: AnalysisKind, content: bytes, offset: int = 0) -> Received:
    header = AnalysisHeader(kind, capture_id, capture_id)
    headers = {name: value for name, value in header.to_kafka() if isinstance(value, bytes)}
    return Received("anomalies", 0, offset, headers, content)


def test_baselines_keep_their_history_and_repeats_show_once(store: Store) -> None:
    capture_id = uuid4().hex
    rows = [{**blank_row(BASELINE_SCHEMA), "source": capture_id, "kind": "bandwidth", "version": v} for v in (1, 2)]
    body = encode_table(pa.Table.from_pylist(rows, schema=BASELINE_SCHEMA))
    for offset in (10, 10, 11):
        StorageStage(store).baselines(analysed(capture_id, AnalysisKind.DATA, body, offset))
    sql = "SELECT version FROM {table} WHERE source = {{id:String}} ORDER BY version"
    history = store.query(sql.format(table="baselines FINAL"), {"id": capture_id})
    now = store.query(sql.format(table="baselines_now"), {"id": capture_id})
    assert [row["version"] for row in history] == [1, 2]
    assert [row["version"] for row in now] == [2]


def test_the_newest_run_that_judged_a_window_decides_which_anomalies_count(store: Store) -> None:
    capture_id = uuid4().hex
    found = [(1, ""), (2, ""), (2, "r1"), (2, "r2"), (3, ""), (2, "r3-dry")]
    rows = [
        {**blank_row(ANOMALY_SCHEMA), "capture_id": capture_id, "window_id": w, "run_id": r, "anomaly_id": f"{w}{r}"}
        for w, r in found
    ]
    stage = StorageStage(store)
    body = encode_table(pa.Table.from_pylist(rows, schema=ANOMALY_SCHEMA))
    stage.anomalies(analysed(capture_id, AnalysisKind.DATA, body))
    for run_id, is_dry_run, state in (
        ("r1", False, RunState.COMPLETE),
        ("r2", False, RunState.COMPLETE),
        ("r3-dry", True, RunState.COMPLETE),
        ("r4", False, RunState.RUNNING),
    ):
        run = RunRow(
            run_id=run_id, capture_id=capture_id, kind=RunKind.DETECT, state=state, is_dry_run=is_dry_run,
            first_window_id=2, last_window_id=3, started_ns=1,
        )  # fmt: skip
        stage.anomalies(analysed(capture_id, AnalysisKind.RUN, run.model_dump_json().encode()))
    now = store.query(
        "SELECT anomaly_id FROM anomalies_now WHERE capture_id = {id:String} ORDER BY window_id", {"id": capture_id}
    )
    assert [row["anomaly_id"] for row in now] == ["1", "2r2"]
    assert count(store, "analysis_runs_now", capture_id) == 4


def test_what_a_correction_does_not_find_again_no_longer_counts(store: Store) -> None:
    capture_id = uuid4().hex
    found = [("cleared", 1, "flow_loss", 5), ("again", 1, "vertical_scan", 7), ("spike", 1, "byte_spike", 5),
             ("other", 2, "flow_loss", 5)]  # fmt: skip
    rows = [
        {**blank_row(ANOMALY_SCHEMA), "capture_id": capture_id, "anomaly_id": name, "window_id": number,
         "signal": signal, "version": version}
        for name, number, signal, version in found
    ]  # fmt: skip
    run = {**rows[0], "anomaly_id": "run", "run_id": "again", "window_id": 3}
    corrections = [
        {"capture_id": capture_id, "window_id": number, "version": version, "signals": ["flow_loss", "vertical_scan"]}
        for number, version in ((1, 6), (1, 7), (3, 9))
    ]
    stage = StorageStage(store)
    detected = RunRow(
        run_id="again", capture_id=capture_id, kind=RunKind.DETECT, state=RunState.COMPLETE, first_window_id=3,
        last_window_id=3, started_ns=1,
    )  # fmt: skip
    found_rows = encode_table(pa.Table.from_pylist([*rows, run], schema=ANOMALY_SCHEMA))
    stage.anomalies(analysed(capture_id, AnalysisKind.DATA, found_rows, 100))
    corrected = encode_table(pa.Table.from_pylist(corrections, schema=CORRECTION_SCHEMA))
    stage.anomalies(analysed(capture_id, AnalysisKind.CORRECTION, corrected, 101))
    stage.anomalies(analysed(capture_id, AnalysisKind.RUN, detected.model_dump_json().encode()))
    now = store.query(
        "SELECT anomaly_id FROM anomalies_now WHERE capture_id = {id:String} ORDER BY anomaly_id", {"id": capture_id}
    )
    assert [row["anomaly_id"] for row in now] == ["again", "other", "run", "spike"]


def segment(source: str, target: str, flags: int, at_us: int) -> bytes:
    """Return a frame of a connection from port 40,000 to 23, in a pcap record of its own time."""
    ports = (40_000, 23) if flags == SYN else (23, 40_000)
    frame = b.ethernet(b.ipv4(6, b.tcp(b"", *ports, flags=flags), source, target))
    return struct.pack("<IIII", b.START_S + at_us // 1_000_000, at_us % 1_000_000, len(frame), len(frame)) + frame


def test_a_scan_that_a_second_captures_late_packets_answer_is_taken_back(store: Store, tmp_path: Path) -> None:
    """Two captures of one link, a direction each, one behind the other: answers come 15 s after their window ended."""
    hosts = [f"192.0.2.{number}" for number in range(1, 61)]
    asking = [segment("192.0.2.250", host, SYN, 1000 * at) for at, host in enumerate(hosts)]
    asking += [segment("192.0.2.250", hosts[0], SYN, 25_000_000)]
    answering = [segment(host, "192.0.2.250", SYN | ACK, 1000 * at + 500) for at, host in enumerate(hosts)]
    path = tmp_path / "merged.pcap"
    path.write_bytes(b.pcap_file([]) + b"".join([*asking, *answering]))
    capture_id, size = uuid4().hex, 10 * SECOND
    operator, merger, judge = PartitionWindows(size, b.START_S * SECOND, 2 * SECOND), WindowMerger(1), Judge(capture_id)
    stage, clock_ns, said = StorageStage(store), NO_TIME_NS, []
    with open_capture(path) as file:
        for number, block in enumerate(file.blocks(len(asking))):
            packets = decode(block, clock_ns)
            clock_ns = packets.newest_ns(clock_ns)
            partials = operator.feed(packets, clock_ns)
            merged = merger.feed(0, operator.closed_through, partials)
            judged = judge.judge(window_rows(capture_id, size, b.START_S * SECOND, merged), is_live=False)
            stage.anomalies(analysed(capture_id, AnalysisKind.DATA, encode_table(judged.anomalies), 200 + 2 * number))
            corrections = encode_table(judged.corrections)
            stage.anomalies(analysed(capture_id, AnalysisKind.CORRECTION, corrections, 201 + 2 * number))
            sql = "SELECT signal FROM anomalies_now WHERE capture_id = {id:String}"
            said.append([row["signal"] for row in store.query(sql, {"id": capture_id})])
    assert said == [["horizontal_scan"], []]


def test_a_capture_is_stored_once_it_has_been_judged_and_its_flows_are_there(store: Store) -> None:
    capture_id = uuid4().hex
    capture = CaptureRow(
        capture_id=capture_id, state=CaptureState.COMPLETE, source="pcap", name="f", fingerprint="", sensor="s",
        window_ns=1, partitions=1, started_ns=1,
    )  # fmt: skip
    hops = (Hop.READ, Hop.MERGE)
    ledger = [LedgerRow(capture_id=capture_id, hop=hop, packets_in=1, packets_out=1) for hop in hops]
    stage = StorageStage(store)
    told = CaptureEvent(capture=capture, ledger=ledger).model_dump_json().encode()
    stage.captures(Received("captures", 0, 1, {}, told))
    stage.packets(message(capture_id, BatchKind.END, b"", 1, seq=1))
    is_stored = "SELECT is_stored FROM captures_now WHERE capture_id = {id:String}"
    assert not store.query(is_stored, {"id": capture_id})[0]["is_stored"]
    judged = LedgerRow(capture_id=capture_id, hop=Hop.ANALYSIS, packets_in=1, packets_out=1)
    stage.anomalies(analysed(capture_id, AnalysisKind.END, LEDGER_ROWS.dump_json([judged])))
    assert not store.query(is_stored, {"id": capture_id})[0]["is_stored"]
    metered = LedgerRow(capture_id=capture_id, hop=Hop.FLOWS, partition=0, packets_in=1, packets_out=1)
    stage.flows(message(capture_id, BatchKind.END, LEDGER_ROWS.dump_json([metered]), 2, seq=1))
    assert not store.query(is_stored, {"id": capture_id})[0]["is_stored"]
    classified = metered.model_copy(update={"hop": Hop.CLASSIFICATIONS})
    stage.classifications(message(capture_id, BatchKind.END, LEDGER_ROWS.dump_json([classified]), 2, seq=1))
    assert store.query(is_stored, {"id": capture_id})[0]["is_stored"]


def blank_row(schema: pa.Schema) -> dict[str, object]:
    """Return a row of the least values that a schema takes."""
    return {field.name: blank(field) for field in schema}


def blank(field: pa.Field) -> object:
    if field.nullable:
        return None
    if pa.types.is_string(field.type):
        return ""
    return [] if pa.types.is_nested(field.type) else 0


class Storing:
    """A storage agent over a topic of its own, and what it inserts; ``slow`` messages take until they may end."""

    def __init__(self, broker: Settings, partitions: int) -> None:
        self.stored: list[tuple[int, bytes]] = []
        self.begun: list[tuple[int, bytes]] = []
        self.may_end = threading.Event()
        self._settings = broker.model_copy(update={"topic_prefix": f"storing-{uuid4().hex}-", "partitions": partitions})
        create_topics(self._settings)
        self._sink = producer(self._settings)
        self._thread = AppThread(self._make, self._settings)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.may_end.set()
        self._thread.stop()

    def tell(self, partition: int, *bodies: bytes) -> None:
        for content in bodies:
            send(self._sink, self._settings.topic_name(FLOWS), content, partition=partition)
        flush(self._sink)

    def _make(self) -> FaustApp:
        app = make_app(self._settings, uuid4().hex)
        add_agent(app, self._settings, FLOWS, storing(self._insert), "storing")
        return app

    def _insert(self, message: Received) -> None:
        self.begun.append((message.partition, message.body))
        if message.body == b"slow":
            self.may_end.wait(60)
        self.stored.append((message.partition, message.body))


def test_a_message_that_waits_holds_up_no_other_partition(broker: Settings) -> None:
    with Storing(broker, 2) as agent:
        agent.tell(0, b"slow", b"behind it")
        until(lambda: len(agent.begun) > 0, 60)
        agent.tell(1, b"of another")
        until(lambda: len(agent.stored) > 0)
        assert agent.stored == [(1, b"of another")]
        agent.may_end.set()
        until(lambda: len(agent.stored) == 3)
        assert agent.stored[1:] == [(0, b"slow"), (0, b"behind it")]


def test_all_partitions_are_stored_side_by_side(broker: Settings) -> None:
    # As many as there are threads for inserts on one processor.
    with Storing(broker, 5) as agent:
        for partition in range(5):
            agent.tell(partition, b"slow", b"behind it")
        until(lambda: len(agent.begun) == 5, 60)
        assert sorted(agent.begun) == [(partition, b"slow") for partition in range(5)]
        assert not agent.stored


def test_a_message_that_makes_no_sense_is_an_error_of_the_message(store: Store) -> None:
    with pytest.raises(WireError):
        StorageStage(store).captures(Received("captures", 0, 0, {}, b"{}"))
    with pytest.raises(WireError):
        StorageStage(store).packets(Received("packets", 0, 0, {}, b""))
