from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.backup import archive_of
from infra.backup_places import DatabasePlace, FolderPlace, place_of
from infra.backup_restore import restore
from infra.settings import Settings, load_settings
from infra.store import Store
from schemas.errors import BackupError
from tests.infra.backups import digest, fill
from tests.infra.store_rows import ROOT, run_python, start_python

Rows = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a ClickHouse that is another process, without a database."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("clickhouse_http.py")),
        str(tmp_path_factory.mktemp("engine")),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield f"http://user:secret@127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


def opened(settings: Settings) -> Store:
    return Store.open(settings.clickhouse)


def archive(store: Store, settings: Settings, file: Path) -> Path:
    with file.open("wb") as written:
        for part in archive_of(store, settings):
            written.write(part)
    return file


def test_a_database_of_a_server_is_restored_and_the_rows_before_are_set_aside(server: str, tmp_path: Path) -> None:
    settings = load_settings(state=tmp_path / "state", kafka="", clickhouse=f"{server}/watch")
    with opened(settings) as store:
        store.migrate()
        fill(store)
        before = digest(store)
        file = archive(store, settings, tmp_path / "a.tar")
        store.command("TRUNCATE TABLE audit")
        after = digest(store)
        databases = "SELECT name FROM system.databases WHERE name LIKE 'watch%' ORDER BY name"

        (tmp_path / "short.tar").write_bytes(file.read_bytes()[:-4000])
        with pytest.raises(BackupError, match="cut off"):
            restore(tmp_path / "short.tar", settings, opened, may_replace=True)
        with pytest.raises(BackupError, match="the database watch is not empty: --force sets it aside"):
            restore(file, settings, opened, may_replace=False)
        assert digest(store) == after
        assert store.query(databases) == [{"name": "watch"}]

    done = restore(file, settings, opened, may_replace=True)
    aside = done.set_aside.removeprefix("the database ")
    with opened(settings) as store:
        assert digest(store) == before
        assert store.query(databases) == [{"name": "watch"}, {"name": aside}]
    with opened(settings.model_copy(update={"clickhouse": f"{server}/{aside}"})) as store:
        # A table without rows is not set aside.
        assert digest(store) == {name: table for name, table in after.items() if table["rows"]}


def test_the_address_says_what_kind_of_place_it_is(tmp_path: Path) -> None:
    embedded = place_of(load_settings(state=tmp_path, clickhouse=""), opened)
    assert isinstance(embedded, FolderPlace)
    assert str(embedded) == str(tmp_path / "clickhouse")
    on_a_server = place_of(load_settings(clickhouse="http://u:p@host:8123"), opened)
    assert isinstance(on_a_server, DatabasePlace)
    assert str(on_a_server) == "the database spanwatch"


def test_a_folder_takes_the_place_of_another_one_at_once(tmp_path: Path) -> None:
    place = FolderPlace(load_settings(state=tmp_path, clickhouse=""), opened)
    fresh, folder = tmp_path / "clickhouse.restoring", tmp_path / "clickhouse"
    for made in (fresh, folder):
        made.mkdir()
        (made / "is").write_text(made.name)
    aside = Path(place.replace(keep=True))
    assert (folder / "is").read_text() == "clickhouse.restoring"
    assert (aside / "is").read_text() == "clickhouse"
    assert not fresh.exists()
    fresh.mkdir()
    assert place.replace(keep=False) == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clickhouse", aside.name]


BEFORE = """
import json, sys
from pathlib import Path
from infra.backup import archive_of
from infra.settings import load_settings
from infra.store import Store
from backups import digest, fill

settings = load_settings(state=Path(sys.argv[1]) / "state", kafka="")
with Store.open(settings.clickhouse) as store:
    store.migrate()
    fill(store)
    archived = digest(store)
    with (Path(sys.argv[1]) / "a.tar").open("wb") as file:
        for part in archive_of(store, settings):
            file.write(part)
    fill(store, seed=2)
    print(json.dumps([archived, digest(store)]))
"""

# What a service does when it starts, or a restore, and then the rows of every store there is.
AFTER = """
import json, sys
from pathlib import Path
from api.app import opened_store, store_of
from infra.backup_restore import restore
from infra.settings import load_settings
from infra.store import Store
from backups import digest

state, archive, what = sys.argv[1:]
settings = load_settings(state=Path(state), kafka="")
if what == "restore":
    restore(Path(archive), settings, store_of, may_replace=True)
opened_store(settings).close()
found = {}
for folder in Path(state).glob("clickhouse*"):
    with Store.open(f"chdb://{folder}") as store:
        found[folder.name] = digest(store)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Rows, Rows]:
    """A folder with an archive and a state folder; the rows of the archive and those of the store."""
    folder = tmp_path_factory.mktemp("archived")
    of_archive, of_store = json.loads(run_python(BEFORE, folder).splitlines()[-1])
    assert of_archive != of_store
    return folder, of_archive, of_store


@pytest.mark.parametrize("next_is", ["start", "restore"])
@pytest.mark.parametrize("point", ["exchange", "exchanged", "between"])
def test_a_restore_that_is_killed_as_it_takes_the_place_loses_nothing(
    archived: tuple[Path, Rows, Rows], tmp_path: Path, point: str, next_is: str
) -> None:
    folder, of_archive, of_store = archived
    state, archive = tmp_path / "state", folder / "a.tar"
    shutil.copytree(folder / "state", state, symlinks=True)
    command = [sys.executable, "-m", "tests.infra.killed_restore", state, archive, point]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL

    with start_python(AFTER, state, archive, next_is, complaints=subprocess.PIPE) as process:
        said, complaint = process.communicate(timeout=240)
    assert process.returncode == 0, complaint
    found = json.loads(said.splitlines()[-1])
    is_restored = next_is == "restore" or point != "exchange"
    assert found.pop("clickhouse") == (of_archive if is_restored else of_store)
    set_aside = [rows for name, rows in found.items() if name.startswith("clickhouse.before-")]
    # The restore set the restored store aside as well, where it was in place already.
    assert (of_store in set_aside) is is_restored
    assert set_aside.count(of_archive) == (next_is == "restore" and point != "exchange")
    assert [name for name in found if "before-" not in name] == ([] if is_restored else ["clickhouse.restoring"])
    assert "A restore was interrupted" in complaint
