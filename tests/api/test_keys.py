from __future__ import annotations

import logging
import stat
import time
from pathlib import Path

import pytest

from api.access import Scope
from api.keys import KeyFileError, KeyRing, changing, new_key, own_key, read_keys

READ = frozenset({Scope.READ})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys.json"


def add(path: Path, name: str = "a", expires_s: float | None = None) -> str:
    key, record = new_key(name, READ, time.time(), expires_s)
    with changing(path) as records:
        records.append(record)
    return key


def test_a_key_is_found_as_soon_as_it_is_made_and_no_longer_once_it_is_revoked(path: Path) -> None:
    ring = KeyRing(path)
    assert ring.find("sw_0123456789_x") is None
    key = add(path)
    found = ring.find(key)
    assert found is not None
    assert (found.name, found.scopes) == ("a", READ)
    with changing(path) as records:
        records[0] = records[0].model_copy(update={"revoked_s": time.time()})
    assert ring.find(key) is None
    path.unlink()
    assert ring.find(add(path, "b")) is not None


def test_only_the_whole_key_counts(path: Path) -> None:
    ring, key = KeyRing(path), add(path)
    for wrong in ("", "sw", key[:-1], key + "x", key.replace("sw_", "xy_"), key.swapcase()):
        assert ring.find(wrong) is None, wrong


def test_a_key_ends_when_it_was_said_to(path: Path) -> None:
    assert KeyRing(path).find(add(path, expires_s=time.time() - 1)) is None
    assert KeyRing(path).find(add(path, expires_s=time.time() + 100)) is not None


def test_the_file_has_no_key_and_is_for_its_owner_only(path: Path) -> None:
    key = add(path)
    assert key.split("_", 2)[2] not in path.read_text()
    assert key not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {file.name for file in path.parent.iterdir()} == {"keys.json", "keys.lock"}


@pytest.mark.parametrize("content", ["nonsense", "[]", '{"version": 2, "keys": []}', '{"keys": [{"name": "a"}]}'])
def test_a_file_that_makes_no_sense_lets_nobody_in(path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    key = add(path)
    ring = KeyRing(path)
    assert ring.find(key) is not None
    path.write_text(content)
    with caplog.at_level(logging.ERROR):
        assert ring.find(key) is None
    assert "Nobody gets in" in caplog.text
    with pytest.raises(KeyFileError, match="not a file of keys"):
        read_keys(path)
    with pytest.raises(KeyFileError), changing(path):
        pass
    assert path.read_text() == content


def test_what_fails_while_the_file_is_changed_changes_nothing(path: Path) -> None:
    add(path)
    before = path.read_bytes()

    def change() -> None:
        with changing(path) as records:
            records.clear()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    assert path.read_bytes() == before


def test_a_process_knows_a_key_of_its_own(path: Path) -> None:
    found = KeyRing(path).find(own_key())
    assert found is not None
    assert found.name == "spanwatch up"
    assert own_key() == own_key()
    assert not path.exists()
