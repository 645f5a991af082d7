from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.backup import file_name, state_files
from infra.backup_archive import StateFile
from infra.backup_restore import check
from infra.store_migrations import read_migrations
from schemas.backups import BackupHeader
from schemas.errors import BackupError
from tests.infra.store_rows import run_python

MIGRATIONS = read_migrations()

# A process has one engine at a time, and the tests' own is open all the time: everything happens in another process.
SCENARIO = """
import json, sys
from pathlib import Path
from infra.backup import archive_of
from infra.backup_restore import restore
from infra.settings import load_settings
from infra.store import Store
from schemas.errors import SpanwatchError
from backups import digest, fill
from store_rows import packets

def store_of(settings):
    return Store.open(settings.clickhouse)

folder, said = Path(sys.argv[1]), {}
settings = load_settings(state=folder / "state", kafka="")
(folder / "state").mkdir()
(folder / "state" / "keys.json").write_text('{"version": 1, "keys": []}')

def refused(file, **options):
    try:
        restore(file, settings, store_of, **{"may_replace": True, **options})
    except SpanwatchError as error:
        return str(error)

with store_of(settings) as store:
    said["empty"] = None
    try:
        next(archive_of(store, settings))
    except SpanwatchError as error:
        said["empty"] = str(error)
    store.migrate()
    fill(store)
    store.insert("packet_logs", packets("gone", 500), "gone")
    store.insert("packet_logs", packets("kept", 500), "kept")
    store.command("DELETE FROM packet_logs WHERE capture_id = 'gone'")
    said["before"] = digest(store)
    parts = archive_of(store, settings)
    with (folder / "a.tar").open("wb") as file:
        file.write(next(parts))
        # While the archive is written, the store goes on: rows come, parts are merged, and rows go.
        fill(store, seed=2)
        store.command("OPTIMIZE TABLE packet_logs FINAL")
        store.command("TRUNCATE TABLE audit")
        for part in parts:
            file.write(part)
    copies = "SELECT name FROM system.databases WHERE name LIKE '%backup%'"
    said["databases"] = [row["name"] for row in store.query(copies)]
    said["after"] = digest(store)

whole = (folder / "a.tar").read_bytes()
(folder / "short.tar").write_bytes(whole[: len(whole) // 2])
altered = bytearray(whole)
altered[whole.index(b"packet_logs/") + 700] ^= 1
(folder / "altered.tar").write_bytes(altered)
said["short"], said["altered"] = refused(folder / "short.tar"), refused(folder / "altered.tar")
said["not_empty"] = refused(folder / "a.tar", may_replace=False)
with store_of(settings) as store:
    said["untouched"] = digest(store)

(folder / "state" / "keys.json").unlink()
loaded = []
done = restore(folder / "a.tar", settings, store_of, may_replace=True, progress=loaded.append)
said["loaded"], said["rows"] = sum(loaded), done.header.rows
said["aside"], said["files"] = Path(done.set_aside).name, list(done.files)
said["mode"] = oct((folder / "state" / "keys.json").stat().st_mode & 0o777)
with store_of(settings) as store:
    said["restored"] = digest(store)
    said["migrated"] = store.migrate()
said["folders"] = [path.name for path in (folder / "state").iterdir()]
with store_of(settings.model_copy(update={"clickhouse": f"chdb://{done.set_aside}"})) as store:
    said["set_aside"] = digest(store)
print(json.dumps(said))
"""

OLDER = """
import json, sys
from pathlib import Path
from infra.backup import archive_of
from infra.backup_restore import restore
from infra.settings import load_settings
from infra.store import Store
from backups import columns_of, digest, fill

def store_of(settings):
    return Store.open(settings.clickhouse)

told = {}
for version in map(int, sys.argv[2:]):
    folder = Path(sys.argv[1]) / str(version)
    settings = load_settings(state=folder / "old", kafka="")
    with store_of(settings) as store:
        store.migrate(version)
        fill(store)
        known = columns_of(store)
        before = digest(store, known)
        with (folder / "old.tar").open("wb") as file:
            for part in archive_of(store, settings):
                file.write(part)
    settings = load_settings(state=folder / "new", kafka="")
    done = restore(folder / "old.tar", settings, store_of, may_replace=False)
    with store_of(settings) as store:
        told[version] = {"migrations": done.migrations, "before": before, "after": digest(store, known)}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return dict(json.loads(run_python(SCENARIO, tmp_path_factory.mktemp("backup")).splitlines()[-1]))


def test_every_table_is_restored_row_by_row_as_it_was_when_the_backup_began(said: dict[str, Any]) -> None:
    assert said["restored"] == said["before"]
    assert said["restored"] != said["after"], "the store has changed meanwhile, so the check can fail"
    assert len(said["restored"]) >= 20
    assert said["migrated"] == []


def test_rows_that_were_deleted_are_not_in_the_backup(said: dict[str, Any]) -> None:
    assert said["restored"]["packet_logs"]["rows"] == 40 + 500
    assert said["loaded"] == said["rows"] >= sum(table["rows"] for table in said["restored"].values())


def test_nothing_of_the_copies_stays_in_the_store(said: dict[str, Any]) -> None:
    assert said["databases"] == []


def test_a_store_that_holds_rows_is_set_aside_and_only_when_asked(said: dict[str, Any]) -> None:
    assert said["not_empty"].endswith("is not empty: --force sets it aside and restores.")
    assert said["aside"].startswith("clickhouse.before-")
    assert said["set_aside"] == said["after"]
    assert sorted(said["folders"]) == ["clickhouse", said["aside"], "keys.json"]


def test_a_damaged_archive_changes_nothing(said: dict[str, Any]) -> None:
    assert said["short"].startswith("The archive is cut off")
    assert said["altered"].startswith("The archive is damaged: packet_logs/")
    assert said["untouched"] == said["after"]


def test_the_hashes_of_the_keys_come_back_where_there_are_none(said: dict[str, Any]) -> None:
    assert said["files"] == ["keys.json"]
    assert said["mode"] == "0o600"


def test_an_empty_store_has_nothing_to_back_up(said: dict[str, Any]) -> None:
    assert said["empty"] == "The store is empty: there is nothing to back up."


def test_a_backup_of_an_older_schema_is_restored_and_brought_up_to_date(tmp_path: Path) -> None:
    said = json.loads(run_python(OLDER, tmp_path, 1, 9).splitlines()[-1])
    for version, told in said.items():
        assert told["migrations"] == [migration.name for migration in MIGRATIONS[int(version) :]]
        # Migration 10 writes into the ledger of captures that were there before it.
        for name in told["before"].keys() - {"ledger"}:
            assert told["after"][name] == told["before"][name], (version, name)
        assert told["before"]["packet_logs"]["rows"] == 40


def header(**changed: object) -> BackupHeader:
    values: dict[str, object] = {
        "format": 1,
        "program": "9.9",
        "schema_version": len(MIGRATIONS),
        "checksums": {migration.version: migration.checksum for migration in MIGRATIONS},
        "made_at": datetime(2026, 1, 1, tzinfo=UTC),
        "sensor": "probe",
        "tables": (),
    }
    return BackupHeader.model_validate({**values, **changed})


def test_a_backup_of_a_newer_schema_is_refused_with_both_versions() -> None:
    newest = len(MIGRATIONS)
    check(header())
    with pytest.raises(BackupError, match=rf"schema version {newest + 1} \(spanwatch 9.9\) .* knows only {newest}"):
        check(header(schema_version=newest + 1))


def test_a_backup_of_other_tables_is_refused_by_the_migration() -> None:
    other = {migration.version: migration.checksum for migration in MIGRATIONS} | {1: "0" * 64}
    with pytest.raises(BackupError, match="another migration 0001_packet_logs than"):
        check(header(checksums=other))


def test_names_of_archives_sort_by_time_and_have_no_odd_characters() -> None:
    first, second = (file_name("a/b c", datetime(2026, 1, day, tzinfo=UTC)) for day in (9, 10))
    assert first == "spanwatch-a_b_c-20260109T000000Z.tar"
    assert first < second


def test_of_the_state_folder_only_the_keys_are_kept(tmp_path: Path) -> None:
    for name in ("keys.json", "notifications.json", "keys.json.lock"):
        (tmp_path / name).write_text(name)
    assert list(state_files(tmp_path)) == [StateFile("keys.json", b"keys.json")]


COMMANDS = """
import os, sys
from pathlib import Path
from click.testing import CliRunner
from api.commands_backup import backup_command, restore_command
from infra.store import Store
from backups import digest, fill

folder = Path(sys.argv[1])
# Nothing answers there.
os.environ |= {"SPANWATCH_PORTS": "9", "COLUMNS": "200", "SPANWATCH_STATE": str(folder / "one")}

def run(command, *arguments):
    done = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output

with Store.open(f"chdb://{folder / 'one' / 'clickhouse'}") as store:
    store.migrate()
    fill(store)
    before = digest(store)
said = run(backup_command, folder / "a.tar")
os.environ["SPANWATCH_STATE"] = str(folder / "two")
for again in ([], ["--force"]):
    said += run(restore_command, folder / "a.tar", *again)
    with Store.open(f"chdb://{folder / 'two' / 'clickhouse'}") as store:
        assert digest(store) == before
print(said)
"""


def test_the_commands_work_without_a_stack_too(tmp_path: Path) -> None:
    said = run_python(COMMANDS, tmp_path)
    assert f"{tmp_path / 'a.tar'}: " in said
    assert said.count("Restored from") == 2
    assert said.count("The store that was there is now") == 1
