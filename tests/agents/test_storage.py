from __future__ import annotations

from uuid import uuid4

import pytest

from agents.app import Received
from agents.storage import StorageStage, stored_batch
from infra.store import Store
from schemas.captures import CaptureEvent, CaptureRow, LedgerRow
from schemas.enums import BatchKind, CaptureState, Hop
from schemas.errors import WireError
from schemas.packets import first_event_id
from streams.split import split
from streams.wire import BatchHeader
from tests.agents.messages import body
from tests.streams.traffic import packets, row


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


def test_a_message_that_makes_no_sense_is_an_error_of_the_message(store: Store) -> None:
    with pytest.raises(WireError):
        StorageStage(store).captures(Received("captures", 0, 0, {}, b"{}"))
    with pytest.raises(WireError):
        StorageStage(store).packets(Received("packets", 0, 0, {}, b""))
