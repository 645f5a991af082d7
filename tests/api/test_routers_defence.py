from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from infra.store import Store
from tests.api.flows import flow_values, insert_flows, mapped
from tests.api.stack import Running, insert_stored_capture, running, settings_in

BLOCK = "/active-defense/block"
ATTACKER = "203.0.113.7"


def post(stack: Running, ip: str, **query: Any) -> httpx.Response:
    return stack.http.post(f"{BLOCK}/{ip}", params=query)


def active(stack: Running) -> list[dict[str, Any]]:
    return list(stack.http.get(BLOCK).json()["blocks"])


def refused(answer: httpx.Response, status: int = 400) -> str:
    """Return why, from an answer in the documented form."""
    body = answer.json()
    assert (answer.status_code, body["status"]) == (status, "error")
    assert body["detail"] == body["message"]
    return str(body["message"])


def test_a_blocked_address_is_listed_and_let_go_again(stack: Running) -> None:
    answer = post(stack, ATTACKER, duration=600, reason="it scans")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["message"], body["is_new"]) == ("success", "IP blocked successfully", True)
    [block] = active(stack)
    assert block["block_id"] == body["block"]["block_id"]
    assert (block["ip"], block["state"], block["reason"], block["is_dry_run"]) == (ATTACKER, "active", "it scans", True)
    assert (block["blocked_by"], block["is_automatic"]) == ("127.0.0.1", False)
    assert 0 < block["remaining_s"] <= 600
    assert block["is_in_force"]

    gone = stack.http.delete(f"{BLOCK}/{ATTACKER}").json()
    assert (gone["status"], gone["message"], gone["was_blocked"]) == ("success", "IP unblocked successfully", True)
    assert active(stack) == []
    kept = stack.http.get(BLOCK, params={"state": "all"}).json()
    assert (kept["total"], kept["blocks"][0]["state"], kept["blocks"][0]["ended_by"]) == (1, "lifted", "127.0.0.1")
    assert stack.http.get(f"{BLOCK}/{ATTACKER}").json()["block"]["state"] == "lifted"


def test_to_block_twice_changes_nothing_but_the_end_and_that_only_to_a_later_one(stack: Running) -> None:
    first = post(stack, ATTACKER, duration=3600).json()
    second = post(stack, ATTACKER, duration=1).json()
    assert (second["status"], second["is_new"]) == ("success", False)
    assert second["block"]["expires_at"] == first["block"]["expires_at"]
    third = post(stack, ATTACKER, duration=7200).json()
    assert third["block"]["expires_at"] > first["block"]["expires_at"]
    assert [block["block_id"] for block in active(stack)] == [first["block"]["block_id"]]


def test_to_let_go_what_is_not_blocked_is_no_error(stack: Running) -> None:
    for _ in range(2):
        body = stack.http.delete(f"{BLOCK}/{ATTACKER}").json()
        assert (body["status"], body["was_blocked"]) == ("success", False)
    assert refused(stack.http.get(f"{BLOCK}/{ATTACKER}"), 404) == "This address was never blocked."


def test_what_is_never_blocked_is_refused_in_the_documented_words(stack: Running) -> None:
    for ip in ("127.0.0.1", "localhost", "::1", "127.8.9.1", "::ffff:127.0.0.1"):
        assert refused(post(stack, ip)) == "Cannot block localhost"
    for ip in ("300.1.1.1", "10.0.0", "attacker.example", "10.0.0.0/8", "fe80::1%25eth0", "٣.1.1.1"):
        assert refused(post(stack, ip))
    for duration in ("0", "-1", "nan", "soon", "1e400"):
        assert "duration" in refused(post(stack, ATTACKER, duration=duration))
    assert active(stack) == []


def test_the_forms_of_an_address_are_one_address(stack: Running) -> None:
    post(stack, f"::ffff:{ATTACKER}")
    post(stack, ATTACKER)
    post(stack, "2001:DB8::0:9")
    post(stack, "2001:db8::9")
    assert sorted(block["ip"] for block in active(stack)) == ["2001:db8::9", ATTACKER]
    stack.http.delete(f"{BLOCK}/::FFFF:{ATTACKER}")
    assert [block["ip"] for block in active(stack)] == ["2001:db8::9"]
    post(stack, ATTACKER)
    body = stack.http.delete(BLOCK).json()
    assert (body["status"], body["message"], len(body["blocks"])) == ("success", "2 blocks lifted", 2)
    assert active(stack) == []


@contextmanager
def stack_with(store: Store, folder: Path, **settings: Any) -> Iterator[Running]:
    with running(settings_in(folder, **settings), store) as stack:
        yield stack


def test_allow_listed_networks_and_durations_are_bounded_by_the_settings(store: Store, tmp_path: Path) -> None:
    bounds = {"defence_allow": "203.0.113.0/24", "defence_longest_s": 60, "defence_max_blocks": 2}
    with stack_with(store, tmp_path, **bounds) as stack:
        assert refused(post(stack, ATTACKER)) == "Cannot block an allow-listed address (203.0.113.0/24)"
        assert refused(post(stack, "198.51.100.1", duration=61)) == "A block may last 60 s at most."
        assert post(stack, "198.51.100.1").json()["block"]["remaining_s"] <= 60
        assert post(stack, "198.51.100.2").status_code == 200
        assert refused(post(stack, "198.51.100.3"), 409).startswith("2 addresses are blocked already")
        assert post(stack, "198.51.100.2").status_code == 200


def test_what_was_blocked_is_blocked_again_after_a_restart_for_the_time_that_is_left(
    store: Store, tmp_path: Path
) -> None:
    with stack_with(store, tmp_path) as stack:
        ends = post(stack, ATTACKER, duration=900).json()["block"]["expires_at"]
        post(stack, "198.51.100.1")
        stack.http.delete(f"{BLOCK}/198.51.100.1")
    with stack_with(store, tmp_path) as stack:
        [block] = active(stack)
        assert (block["ip"], block["expires_at"], block["is_in_force"]) == (ATTACKER, ends, True)
        assert block["remaining_s"] < 900
    with stack_with(store, tmp_path, sensor="another") as stack:
        assert active(stack) == []


def test_a_firewall_that_cannot_be_changed_is_said_in_plain_words(store: Store, tmp_path: Path) -> None:
    with stack_with(store, tmp_path, defence_firewall="nftables", defence_nft="no-such-program") as stack:
        said = refused(post(stack, ATTACKER), 503)
        assert said == "The program 'no-such-program' is not installed or not in PATH."
        assert active(stack) == []
        [block] = stack.http.get(BLOCK, params={"state": "all"}).json()["blocks"]
        assert (block["state"], block["error"], block["is_in_force"]) == ("failed", said, False)
        assert refused(stack.http.delete(f"{BLOCK}/{ATTACKER}"), 503) == said


def test_a_preview_says_who_would_be_cut_off(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store)
    insert_flows(
        store,
        flow_values(capture_id, 0),
        flow_values(capture_id, 1, src_port=40_000, end_reason="interim"),
        flow_values(capture_id, 2, src_ip=mapped(3), dst_ip=mapped(1), src_port=5, dst_port=22, fwd_bytes=9000),
        flow_values(capture_id, 3, src_ip=mapped(2), dst_ip=mapped(3)),
    )
    nothing = stack.http.get("/active-defense/preview/10.0.0.1").json()
    assert (nothing["total"]["flows"], nothing["hosts"], nothing["peers"]) == (0, 0, [])
    assert nothing["total"]["first_seen"] is None
    body = stack.http.get("/active-defense/preview/10.0.0.1", params={"capture": capture_id}).json()
    total = body["total"]
    assert (total["flows"], total["conversations"], total["open_flows"], body["hosts"]) == (3, 2, 1, 2)
    assert (total["packets"], total["bytes"]) == (15, 3000 + 9000 + 1200)
    assert [(peer["ip"], peer["services"]) for peer in body["peers"]] == [
        ("10.0.0.3", ["tcp/22"]),
        ("10.0.0.2", ["tcp/443"]),
    ]
    assert (body["refusal"], body["is_blocked"], body["is_dry_run"]) == ("", False, True)
    assert stack.http.get("/active-defense/preview/::1").json()["refusal"] == "Cannot block localhost"


def test_every_action_is_in_the_audit(stack: Running, store: Store) -> None:
    post(stack, ATTACKER, reason="it scans")
    post(stack, "127.0.0.1")
    stack.http.delete(f"{BLOCK}/{ATTACKER}")
    stack.http.delete(BLOCK)
    sql = "SELECT action, target, outcome FROM audit WHERE startsWith(action, 'block.') ORDER BY at_ns"
    assert [tuple(row.values()) for row in store.query(sql)] == [
        ("block.add", ATTACKER, "done"),
        ("block.add", "127.0.0.1", "refused"),
        ("block.remove", ATTACKER, "done"),
        ("block.clear", "dry-run", "done"),
    ]


def test_the_policy_says_its_rules(stack: Running) -> None:
    answer = stack.http.get("/active-defense/policy").json()
    assert (answer["state"], answer["severity"], answer["classes"]) == ("off", "high", [])
    assert (answer["default_block_s"], answer["longest_block_s"]) == (3600, 604_800)
