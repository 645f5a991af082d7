from __future__ import annotations

from functools import partial

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
    hops = ["read", "decode", "produce", "windows", "merge", "store", "analysis", "flows", "classifications"]
    assert [hop["hop"] for hop in body["hops"]] == hops
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
    assert {hop["hop"]: hop["lost"] for hop in body["hops"] if hop["lost"]} == {"store": {"refused": 1}}


def test_what_a_live_capture_declares_as_lost_or_left_out_is_balanced(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    row = partial(LedgerRow, capture_id=capture_id)
    insert_ledger(
        store,
        [
            row(hop=Hop.NIC, packets_in=120, packets_out=119),
            row(hop=Hop.NIC, reason="rx_dropped", packets_in=1, packets_out=0),
            row(hop=Hop.KERNEL, packets_in=110, packets_out=100, version=2),
            row(hop=Hop.KERNEL, reason="ring_full", packets_in=10, packets_out=0),
            row(hop=Hop.READ, packets_in=100, packets_out=100, version=2),
            row(hop=Hop.DECODE, packets_in=100, packets_out=100, version=2),
            row(hop=Hop.SAMPLE, packets_in=100, packets_out=87),
            row(hop=Hop.SAMPLE, reason="sampled_out", packets_in=13, packets_out=0),
        ],
    )
    body = stack.http.get(f"/api/captures/{capture_id}/ledger").json()
    assert (body["is_balanced"], body["difference"]) == (True, 0)
    hops = {hop["hop"]: hop for hop in body["hops"]}
    assert {name: hop["lost"] for name, hop in hops.items() if hop["lost"]} == {
        "nic": {"rx_dropped": 1},
        "kernel": {"ring_full": 10},
        "sample": {"sampled_out": 13},
    }
    upstream = {name: hop["upstream"] for name, hop in hops.items()}
    assert (upstream["produce"], upstream["read"], upstream["nic"]) == ("sample", "kernel", None)
    insert_ledger(store, [row(hop=Hop.KERNEL, packets_in=111, packets_out=100, version=3)])
    assert not stack.http.get(f"/api/captures/{capture_id}/ledger").json()["is_balanced"]


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
