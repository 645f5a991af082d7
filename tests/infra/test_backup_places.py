from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.backup import archive_of
from infra.backup_places import DatabasePlace, FolderPlace, place_of
from infra.backup_restore import restore
from infra.settings import Settings, load_settings
from infra.store import Store
from schemas.errors import BackupError
from tests.infra.backups import digest, fill


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
