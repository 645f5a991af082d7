from __future__ import annotations

from api.compute import new_capture_id
from infra.store import Store
from schemas.captures import LedgerRow
from schemas.enums import CaptureState, Hop
from tests.api.stack import (
    Running,
    balanced_ledger,
    capture_row,
    insert_captures,
    insert_ledger,
    insert_stored_capture,
)


def test_captures_are_listed_newest_first(stack: Running, store: Store) -> None:
    older = insert_stored_capture(store, started_ns=1)
    newer = insert_stored_capture(store, started_ns=2)
    listed = stack.http.get("/api/captures").json()
    assert [capture["capture_id"] for capture in listed["captures"]] == [newer, older]
    assert (listed["count"], listed["total"]) == (2, 2)
    page = stack.http.get("/api/captures", params={"limit": 1, "offset": 1}).json()
    assert [capture["capture_id"] for capture in page["captures"]] == [older]
    assert page["total"] == 2


def test_a_capture_is_complete_only_when_all_of_it_is_stored(stack: Running, store: Store) -> None:
    capture_id = new_capture_id()
    running = capture_row(capture_id, state=CaptureState.RUNNING, ended_ns=None, packets=10)
    insert_captures(store, running)
    body = stack.http.get(f"/api/captures/{capture_id}").json()
    assert (body["state"], body["is_complete"], body["ended_at"]) == ("running", False, None)

    insert_captures(store, capture_row(capture_id, version=2))
    ledger = balanced_ledger(capture_id)
    insert_ledger(store, [row for row in ledger if row.hop is not Hop.STORE or row.partition > 0])
    body = stack.http.get(f"/api/captures/{capture_id}").json()
    assert (body["state"], body["is_complete"]) == ("complete", False)

    insert_ledger(store, [row for row in ledger if row.hop is Hop.STORE and row.partition == 0])
    assert stack.http.get(f"/api/captures/{capture_id}").json()["is_complete"] is True


def test_a_ledger_shows_every_hop_in_order_and_balances(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    body = stack.http.get(f"/api/captures/{capture_id}/ledger").json()
    assert [hop["hop"] for hop in body["hops"]] == ["read", "decode", "produce", "windows", "merge", "store"]
    assert {(hop["packets_in"], hop["packets_out"], hop["difference"]) for hop in body["hops"]} == {(87, 87, 0)}
    assert body["undecodable"] == {"truncated_network": 3}
    assert (body["is_complete"], body["is_balanced"], body["difference"]) == (True, True, 0)


def test_a_ledger_names_the_hop_that_lost_a_packet(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    lost = LedgerRow(capture_id=capture_id, hop=Hop.STORE, partition=0, packets_in=22, packets_out=21, version=2)
    reason = LedgerRow(capture_id=capture_id, hop=Hop.STORE, partition=0, reason="refused", packets_in=1, packets_out=0)
    insert_ledger(store, [lost, reason])
    body = stack.http.get(f"/api/captures/{capture_id}/ledger").json()
    assert (body["is_balanced"], body["difference"]) == (False, 1)
    assert {hop["hop"]: hop["difference"] for hop in body["hops"] if hop["difference"]} == {"store": 1}
    assert body["hops"][-1]["lost"] == {"refused": 1}


def test_a_ledger_that_lacks_a_hop_is_not_balanced(stack: Running, store: Store) -> None:
    capture_id = new_capture_id()
    insert_captures(store, capture_row(capture_id))
    insert_ledger(store, [row for row in balanced_ledger(capture_id) if row.hop is not Hop.MERGE])
    body = stack.http.get(f"/api/captures/{capture_id}/ledger").json()
    assert (body["is_complete"], body["is_balanced"], body["difference"]) == (False, False, 0)


def test_an_unknown_capture_is_not_found(stack: Running) -> None:
    for path in ("/api/captures/nobody", "/api/captures/nobody/ledger"):
        answer = stack.http.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "Capture not found")
        assert answer.json()["capture_id"] == "nobody"


def test_what_cannot_be_a_capture_id_is_refused(stack: Running) -> None:
    assert stack.http.get("/api/captures/%20").status_code == 400
    assert stack.http.get(f"/api/captures/{'a' * 65}").status_code == 400
