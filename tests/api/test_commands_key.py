from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.access import Scope
from api.commands_key import key_command
from api.keys import KeyRing, read_keys


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPANWATCH_STATE", str(tmp_path))
    return tmp_path / "keys.json"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(key_command, arguments)


def made(*arguments: str) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def test_a_key_is_printed_once_and_counts(path: Path) -> None:
    key = made("create", "night shift", "--scope", "read", "--scope", "capture", "--expires", "90d")
    found = KeyRing(path).find(key)
    assert found is not None
    assert found.scopes == {Scope.READ, Scope.CAPTURE}
    assert found.expires_s is not None
    assert round(found.expires_s - found.created_s) == 90 * 86_400
    listed = run("list").output
    assert "night shift" in listed
    assert "read, capture" in listed
    assert key.split("_", 2)[2] not in listed


def test_a_rotated_key_ends_now_or_when_it_is_said(path: Path) -> None:
    ring = KeyRing(path)
    first = made("create", "ci", "--scope", "predict")
    second = made("rotate", "ci", "--keep", "1h")
    assert ring.find(first) is not None
    third = made("rotate", "ci")
    assert [ring.find(key) is None for key in (first, second, third)] == [True, True, False]
    assert {record.scopes for record in read_keys(path).keys} == {frozenset({Scope.PREDICT})}


def test_a_revoked_key_ends_at_once_by_name_or_id(path: Path) -> None:
    ring = KeyRing(path)
    for which in (lambda key: "ci", lambda key: key.split("_")[1]):
        key = made("create", "ci", "--scope", "read")
        made("revoke", which(key))
        assert ring.find(key) is None
    assert "ci" not in run("list").output
    assert run("list", "--all").output.count("revoked") == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "ci"), "--scope"),
        (("create", "ci", "--scope", "everything"), "everything"),
        (("create", "a\nb", "--scope", "read"), "letters, digits"),
        (("create", "ci", "--scope", "read", "--expires", "soon"), "90d"),
        (("create", "ci", "--scope", "read", "--expires", "2001-01-01"), "passed already"),
        (("create", "there", "--scope", "read"), "rotate"),
        (("revoke", "nobody"), "no key nobody"),
        (("rotate", "nobody"), "no key nobody"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(path: Path, arguments: tuple[str, ...], says: str) -> None:
    made("create", "there", "--scope", "read")
    before = path.read_bytes()
    done = run(*arguments)
    assert done.exit_code != 0
    assert says in done.output
    assert path.read_bytes() == before
