from __future__ import annotations

import io

from api.access import Scope
from infra.backup_archive import ArchiveReader, Chunk
from infra.store import Store
from tests.api.keys import bearer, make_key
from tests.api.stack import Running, insert_stored_capture, until

ROUTE = "/api/control/backup"


def test_a_backup_is_sent_as_it_is_made_and_is_whole(stack: Running, store: Store) -> None:
    capture_id = insert_stored_capture(store, windows=3)
    answer = stack.http.post(ROUTE)
    assert answer.headers["content-type"] == "application/x-tar"
    assert answer.headers["content-disposition"].endswith('Z.tar"')
    reader = ArchiveReader(io.BytesIO(answer.content))
    pieces = list(reader.pieces())
    assert {table.name: table.rows for table in reader.header.tables}["windows"] == 3
    [captures] = [piece for piece in pieces if isinstance(piece, Chunk) and piece.table == "captures"]
    assert capture_id.encode() in captures.native


def test_it_is_written_down_who_had_it(stack: Running, store: Store) -> None:
    insert_stored_capture(store)
    stack.http.post(ROUTE)
    [row] = store.query("SELECT action, target, toString(outcome) AS outcome FROM audit WHERE action = 'backup'")
    assert str(row["target"]).startswith("spanwatch-")
    assert row["outcome"] == "done"


def test_it_takes_a_key_of_scope_admin(stack: Running) -> None:
    key = make_key(stack.settings, Scope.CAPTURE, Scope.READ)
    answer = stack.http.post(ROUTE, headers={**bearer(key), "X-Forwarded-For": "203.0.113.7"})
    assert answer.status_code == 403


def test_there_is_one_backup_at_a_time_and_one_that_is_left_makes_room(stack: Running, store: Store) -> None:
    # More than the buffers of a connection take, and nothing that could be packed: it waits for who reads it.
    store.command("INSERT INTO audit (details) SELECT randomString(1000) FROM numbers(40000)")
    with stack.http.stream("POST", ROUTE) as first:
        assert first.status_code == 200
        second = stack.http.post(ROUTE)
        assert second.status_code == 409
        assert "being made already" in second.json()["message"]
    until(lambda: stack.http.post(ROUTE).status_code == 200)
    copies = "SELECT name FROM system.databases WHERE name LIKE '%backup%'"
    until(lambda: store.query(copies) == [])
