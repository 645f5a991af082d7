from __future__ import annotations

import json

from infra.audit import MAX_DETAILS, MAX_TEXT, write_audit
from infra.store import Store
from schemas.audit import AuditEntry


def test_a_row_is_what_was_said_and_never_longer_than_it_may_be(store: Store) -> None:
    write_audit(
        store,
        AuditEntry("a" * 2000, "target", "audit-test", details={"path": object()}, at_ns=1),
        AuditEntry("b", "target", "audit-test", details={"body": "x" * MAX_DETAILS}, at_ns=2),
    )
    write_audit(store)
    first, second = store.query("SELECT * FROM audit WHERE who = 'audit-test' ORDER BY at_ns")
    assert len(str(first["action"])) == MAX_TEXT
    assert "object" in json.loads(str(first["details"]))["path"]
    assert json.loads(str(second["details"]))["left_out_characters"] > MAX_DETAILS
    assert first["entry_id"] != second["entry_id"]
