from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from api.commands_backup import backup_command, restore_command
from infra.store import Store
from tests.api.stack import Running, insert_stored_capture


@pytest.fixture
def folder(stack: Running, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for archives, beside a running stack with three windows."""
    insert_stored_capture(store, windows=3)
    monkeypatch.setenv("SPANWATCH_PORTS", str(stack.settings.ports[0]))
    monkeypatch.setenv("SPANWATCH_SENSOR", "probe")
    monkeypatch.setenv("COLUMNS", "200")
    made = tmp_path / "archives"
    made.mkdir()
    return made


def backup(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(backup_command, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    return done.output


def restore(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(restore_command, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    return done.output


def test_a_running_stack_is_backed_up_into_a_folder_and_says_what_is_in_it(folder: Path) -> None:
    assert "windows 3" in backup(folder)
    [made] = folder.iterdir()
    assert made.name.startswith("spanwatch-probe-")
    assert made.stat().st_mode & 0o777 == 0o600
    said = restore(folder, "--check")
    assert f"{made} is whole." in said
    assert "windows 3" in said


def test_only_the_newest_are_kept(folder: Path) -> None:
    others = [folder / f"spanwatch-probe-2020010{day}T000000Z.tar" for day in range(1, 4)]
    foreign = folder / "spanwatch-other-20200101T000000Z.tar"
    for file in (*others, foreign):
        file.write_bytes(b"x")
    backup(folder, "--keep", 2)
    left = sorted(folder.iterdir())
    assert others[2] in left
    assert foreign in left
    assert len(left) == 3


def test_a_file_that_is_there_is_not_replaced(folder: Path) -> None:
    (folder / "a.tar").write_bytes(b"x")
    assert "exists already" in backup(folder / "a.tar", status=1)
    assert (folder / "a.tar").read_bytes() == b"x"


def test_a_file_that_cannot_be_written_is_a_sentence(folder: Path) -> None:
    assert "No such file or directory" in backup(folder / "none" / "a.tar", status=1)


def test_nothing_is_restored_under_a_running_stack(folder: Path) -> None:
    backup(folder)
    assert "stop it first" in restore(folder, "--force", status=1)


def test_a_damaged_archive_is_a_sentence(folder: Path) -> None:
    backup(folder / "a.tar")
    (folder / "a.tar").write_bytes((folder / "a.tar").read_bytes()[:5000])
    assert "cut off" in restore(folder / "a.tar", "--check", status=1)


def test_a_folder_without_archives_and_a_file_that_is_not_there_are_sentences(folder: Path) -> None:
    assert "There is no spanwatch-….tar in" in restore(folder, status=1)
    assert "No such file or directory" in restore(folder / "a.tar", "--check", status=1)


def test_without_a_stack_and_without_a_store_there_is_nothing_to_back_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPANWATCH_PORTS", "9")
    monkeypatch.setenv("SPANWATCH_STATE", str(tmp_path / "state"))
    assert "There is no store in" in backup(tmp_path / "a.tar", status=1)
    assert list(tmp_path.iterdir()) == []
