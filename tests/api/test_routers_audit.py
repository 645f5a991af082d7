from __future__ import annotations

from infra.audit import write_audit
from infra.store import Store
from schemas.audit import AuditEntry, AuditOutcome
from tests.api.stack import Running

S = 10**9


def write(store: Store) -> None:
    write_audit(
        store,
        AuditEntry("block.add", "10.0.0.9", "policy", at_ns=10 * S, details={"seconds": 600}),
        AuditEntry("block.remove", "10.0.0.9", "night shift", key_id="1f3a9c2e07", at_ns=20 * S, status=200),
        AuditEntry("capture.start", "eth0", "10.0.0.7", AuditOutcome.REFUSED, at_ns=20 * S, status=401),
        AuditEntry("blockade", "Everything", "10.0.0.7", AuditOutcome.FAILED, at_ns=30 * S, status=500),
    )


def test_the_audit_is_listed_newest_first_and_narrowed_down(stack: Running, store: Store) -> None:
    write(store)
    for asked, found in {
        "": ["blockade", "block.remove", "capture.start", "block.add"],
        "who=policy": ["block.add"],
        "action=block": ["block.remove", "block.add"],
        "target=everyTHING": ["blockade"],
        "outcome=refused": ["capture.start"],
        "from=20&to=30": ["block.remove", "capture.start"],
        "limit=1&offset=3": ["block.add"],
        "who=nobody": [],
    }.items():
        answer = stack.http.get(f"/api/audit?{asked}").json()
        # Two of the same time are in the order of their random ids.
        assert sorted(entry["action"] for entry in answer["entries"]) == sorted(found), asked
        assert [entry["at"] for entry in answer["entries"]] == sorted(
            (entry["at"] for entry in answer["entries"]), reverse=True
        )
    [first] = stack.http.get("/api/audit?who=policy").json()["entries"]
    assert first["details"] == {"seconds": 600}
    assert (first["at"], first["status"], first["outcome"]) == (10.0, 0, "done")


def test_pages_follow_one_another_while_rows_come_in(stack: Running, store: Store) -> None:
    write(store)
    first = stack.http.get("/api/audit?limit=2").json()
    write_audit(store, AuditEntry("late", "x", "policy"))
    second = stack.http.get(f"/api/audit?limit=2&cursor={first['next_cursor']}").json()
    assert second["next_cursor"] is None
    seen = [entry["entry_id"] for page in (first, second) for entry in page["entries"]]
    assert len(set(seen)) == 4


def test_what_makes_no_sense_is_a_400(stack: Running) -> None:
    for asked in ("outcome=maybe", "cursor=x", "limit=0", "from=2&to=1", f"who={'x' * 257}"):
        assert stack.http.get(f"/api/audit?{asked}").status_code == 400, asked
