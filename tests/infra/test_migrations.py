from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.store import Store
from infra.store_migrations import Migration, pending, read_migrations, split_statements
from schemas.errors import MigrationError
from tests.infra.store_rows import run_python

MIGRATIONS = read_migrations()


def test_a_migrated_store_needs_nothing_more(store: Store) -> None:
    assert store.migrate() == []
    recorded = store.query("SELECT version, name, checksum FROM schema_migrations ORDER BY version")
    assert recorded == [{"version": m.version, "name": m.name, "checksum": m.checksum} for m in MIGRATIONS]


def test_every_migration_may_run_again(store: Store) -> None:
    """What a crash between the last statement and the record would lead to."""
    values = {
        "packets_ttl_days": 7,
        "windows_ttl_days": 365,
        "flows_ttl_days": 30,
        "audit_ttl_days": 365,
        "honeypots_ttl_days": 90,
    }
    before = store.query("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()")
    for statement in (s for m in MIGRATIONS for s in m.statements(values)):
        store.command(statement)
    assert (
        store.query("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()") == before
    )


def test_a_changed_migration_is_refused_by_name() -> None:
    recorded = {m.version: m.checksum for m in MIGRATIONS} | {1: "0" * 64}
    with pytest.raises(MigrationError, match="0001_packet_logs was changed after this store had it") as refused:
        pending(MIGRATIONS, recorded)
    assert not refused.value.can_retry


def test_a_store_newer_than_the_program_is_refused() -> None:
    newest = len(MIGRATIONS)
    with pytest.raises(MigrationError, match=f"at schema version {newest + 1} and this program knows only {newest}"):
        pending(MIGRATIONS, {newest + 1: "0" * 64})


def test_only_what_a_store_has_not_had_is_pending() -> None:
    assert pending(MIGRATIONS, {}) == MIGRATIONS
    assert pending(MIGRATIONS, {1: MIGRATIONS[0].checksum}) == MIGRATIONS[1:]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["0001_a.sql", "0003_c.sql"], "not numbered"),
        (["0001_a.sql", "0001_b.sql"], "not numbered"),
        (["1-a.sql"], "not named like"),
    ],
)
def test_a_folder_of_badly_numbered_files_is_refused(tmp_path: Path, names: list[str], says: str) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(MigrationError, match=says):
        read_migrations(tmp_path)


def test_statements_are_split_only_where_a_semicolon_ends_one() -> None:
    text = "-- a; comment\nSELECT ';', 'it''s; \\'; x' /* ; */, `a;b`;\n\n;SELECT 2 -- the end;\n;"
    assert split_statements(text) == ["SELECT ';', 'it''s; \\'; x' , `a;b`", "SELECT 2"]


@given(st.lists(st.text(st.sampled_from("ab;'\\\"`-/* \n"), max_size=12), max_size=5))
def test_quoted_text_is_never_split_and_never_changed(values: list[str]) -> None:
    quoted = ["'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" for value in values]
    statements = [f"SELECT {literal}" for literal in quoted]
    assert split_statements(";\n-- next; one\n".join(statements)) == statements


def test_placeholders_become_the_settings_numbers() -> None:
    migration = Migration(1, "a", "ALTER TABLE t MODIFY TTL d + toIntervalDay({days});")
    assert migration.statements({"days": 3}) == ["ALTER TABLE t MODIFY TTL d + toIntervalDay(3)"]


def test_a_store_follows_a_changed_retention_and_a_half_applied_migration_is_finished(tmp_path: Path) -> None:
    said = run_python(
        """
        import sys
        from infra.store import Store
        from infra.store_migrations import read_migrations
        retention = "SELECT extract(engine_full, 'TTL (.*) SETTINGS') AS ttl FROM system.tables"
        retention += " WHERE name = 'packet_logs'"
        first = read_migrations()[0].statements({"packets_ttl_days": 7})[0]
        with Store.open(sys.argv[1]) as store:
            store.command(first)
            print(store.migrate())
            print(store.query(retention)[0]["ttl"])
        with Store.open(sys.argv[1], packets_ttl_days=30) as store:
            print(store.migrate())
            print(store.query(retention)[0]["ttl"])
        """,
        f"chdb://{tmp_path}",
    )
    names = [m.name for m in MIGRATIONS]
    assert said.splitlines() == [str(names), "inserted_at + toIntervalDay(7)", "[]", "inserted_at + toIntervalDay(30)"]


def test_a_store_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    said = run_python(
        """
        import sys
        import pyarrow as pa
        from infra.store import Store
        from schemas.errors import MigrationError
        with Store.open(sys.argv[1]) as store:
            store.migrate()
            row = {"version": 99, "name": "from_the_future", "checksum": "0"}
            store.insert("schema_migrations", pa.Table.from_pylist([row]), "future")
            try:
                store.migrate()
            except MigrationError as error:
                print(error)
        """,
        f"chdb://{tmp_path}",
    )
    assert "the store is at schema version 99" in said


def test_captures_that_were_stored_before_there_were_flows_and_verdicts_stay_stored(tmp_path: Path) -> None:
    said = run_python(
        """
        import sys
        from infra.store import Store
        from infra.store_migrations import read_migrations
        from schemas.captures import CaptureRow, LedgerRow
        from schemas.enums import CaptureState, Hop
        from store_rows import captures, ledger
        days = {"packets_ttl_days": 7, "windows_ttl_days": 365}
        row = CaptureRow(
            capture_id="old", state=CaptureState.COMPLETE, source="pcap", name="a", fingerprint="", sensor="s",
            window_ns=1, partitions=2, started_ns=1,
        )
        hops = [(Hop.STORE, 0), (Hop.STORE, 1), (Hop.MERGE, -1), (Hop.ANALYSIS, -1)]
        rows = [LedgerRow(capture_id="old", hop=h, partition=p, packets_in=4, packets_out=4) for h, p in hops]
        is_stored = "SELECT is_stored FROM captures_now"
        with Store.open(sys.argv[1]) as store:
            for migration in read_migrations()[:9]:
                for statement in migration.statements(days):
                    store.command(statement)
            store.insert("captures", captures(row), "captures")
            store.insert("ledger", ledger(*rows), "ledger")
            print(store.query(is_stored)[0]["is_stored"])
            store.migrate()
            print(store.query(is_stored)[0]["is_stored"])
            for hop in ("flows", "classifications"):
                told = "SELECT partition, reason, packets_out FROM ledger WHERE hop = {hop:String} ORDER BY ALL"
                print(store.query(told, {"hop": hop}))
        """,
        f"chdb://{tmp_path}",
    )
    told = [
        [
            {"partition": partition, "reason": reason, "packets_out": 4}
            for partition in (0, 1)
            for reason in ("", f"before_{hop}")
        ]
        for hop in ("flows", "classifications")
    ]
    assert said.splitlines() == ["1", "1", *map(str, told)]


def test_rows_of_every_version_outlive_every_later_migration(tmp_path: Path) -> None:
    said = run_python(
        """
        import json, sys
        from infra.store import Store
        from infra.store_migrations import read_migrations
        from backups import columns_of, digest, fill
        with Store.open(sys.argv[1]) as store:
            known, before = {}, {}
            for migration in read_migrations():
                store.migrate(migration.version)
                now = digest(store, known)
                for name in (name for name in known if now[name] != before[name]):
                    print(migration.version, name, before[name]["rows"], now[name]["rows"])
                # Each table has rows as the version had them that made it.
                fill(store, seed=migration.version, but=known)
                known = columns_of(store)
                before = digest(store, known)
            print(len(known), min(table["rows"] for table in before.values()) > 0)
        """,
        f"chdb://{tmp_path}",
    )
    *changed, last = said.splitlines()
    tables, all_have_rows = last.split()
    assert int(tables) >= 24
    assert all_have_rows == "True"
    # Random captures: of each that was complete migrations 10 and 11 tell in the ledger what came before them.
    assert {line.split()[1] for line in changed} <= {"ledger"}


def test_what_the_first_versions_stored_is_read_through_todays_api(tmp_path: Path) -> None:
    said = run_python(
        """
        import sys
        from pathlib import Path
        import pyarrow as pa
        from infra.store import Store
        from schemas.enums import CaptureState
        from schemas.windows import WINDOW_SCHEMA
        from store_rows import captures, ledger, packets
        from tests.api.stack import balanced_ledger, blank_of, capture_row, running, settings_in, window_values

        with Store.open(sys.argv[1]) as store:
            store.migrate(1)
            store.insert("packet_logs", packets("old", 87), "packets")
            store.migrate(2)
            rows = {field.name: blank_of(field) for field in WINDOW_SCHEMA} | window_values("old")
            maps = [field.name for field in WINDOW_SCHEMA if pa.types.is_map(field.type)]
            rows |= {name: list(dict(rows[name]).items()) for name in maps}
            table = pa.Table.from_pylist([rows], schema=WINDOW_SCHEMA)
            then = {row["name"] for row in store.query("DESCRIBE TABLE windows")}
            store.insert("windows", table.select([name for name in table.column_names if name in then]), "window")
            store.migrate(3)
            columns = {row["name"] for row in store.query("DESCRIBE TABLE captures")}
            made = captures(capture_row("old"))
            store.insert("captures", made.select([name for name in made.column_names if name in columns]), "capture")
            hops = [row for row in balanced_ledger("old") if row.hop in ("read", "decode", "produce", "merge", "store")]
            store.insert("ledger", ledger(*hops), "ledger")
            store.migrate()
            with running(settings_in(Path(sys.argv[2])), store) as stack:
                def get(path):
                    answer = stack.http.get(path)
                    assert answer.status_code == 200, (path, answer.text)
                    return answer
                print(get("/api/captures/old").json()["packets"])
                print(get("/api/captures/old/ledger").json()["difference"])
                print(get("/api/metrics/?capture=old").json()["total"])
                print(get("/api/metrics/0?capture=old").json()["window_id"])
                print(get("/api/metrics/summary?capture=old").status_code)
                print(len(get("/api/export/packets?capture=old&format=jsonl").text.splitlines()))
                for what in ("anomalies/", "anomalies/incidents", "flows/", "classifications/"):
                    get(f"/api/{what}?capture=old")
                print(get("/api/stats").status_code)
        """,
        f"chdb://{tmp_path / 'store'}",
        tmp_path,
    )
    assert said.split() == ["87", "0", "1", "0", "200", "87", "200"]
