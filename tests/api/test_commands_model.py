from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.commands_model import model_command
from api.compute import new_capture_id
from infra.model_runtime import Model
from infra.store import Store
from schemas.enums import ModelRole
from tests.api.models import insert_verdicts, stored_at_once
from tests.api.stack import running, settings_in
from tests.model_variants import doubtful, stubborn

FIRST, SECOND = (Model.from_bytes(bundle, "test").facts.fingerprint for bundle in (doubtful(), stubborn("Bot")))


@pytest.fixture(scope="module")
def port(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    settings = settings_in(tmp_path_factory.mktemp("models"))
    with running(settings, module_store, send_model=stored_at_once(module_store)) as stack:
        yield stack.settings.ports[0]


@pytest.fixture
def files(port: int, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two bundles; the commands talk to a server whose registry is empty."""
    monkeypatch.setenv("SPANWATCH_PORTS", str(port))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "first.pt").write_bytes(doubtful())
    (tmp_path / "second.pt").write_bytes(stubborn("Bot"))
    return tmp_path


def run(*arguments: str, status: int = 0) -> str:
    done = CliRunner().invoke(model_command, list(arguments))
    assert done.exit_code == status, done.output
    return done.output


def test_a_model_goes_from_its_file_to_champion_and_back(files: Path, store: Store) -> None:
    assert "spanwatch model add FILE" in run("list")
    assert FIRST in run("add", str(files / "first.pt"), "--note", "the [first]")
    run("add", str(files / "second.pt"))
    assert f"champion is {FIRST}." in run("champion", FIRST)
    assert f"shadow of {FIRST}" in run("challenger", SECOND)
    capture_id = new_capture_id()
    insert_verdicts(store, capture_id, ModelRole.CHAMPION, FIRST, ["BENIGN", "Bot", "Bot"])
    insert_verdicts(store, capture_id, ModelRole.CHALLENGER, SECOND, ["Bot", "Bot", "Bot"])
    assert "66.7% and on whether it is an attack of 66.7% of 3 flows" in " ".join(run("list").split())
    shown = run("show", SECOND)
    assert ["BENIGN", "Bot", "1"] in [line.split() for line in shown.splitlines()]
    assert "the [first]" in run("show", FIRST)
    assert f"before it was {FIRST}" in run("champion", SECOND, "--reason", "better")
    assert f"was {SECOND} already" in run("champion", SECOND)
    assert f"{FIRST} again" in run("rollback")
    assert "no champion before" in run("rollback", status=1)
    assert "was no challenger" in run("challenger", "--end")
    run("export", SECOND, str(files / "copy.pt"))
    assert (files / "copy.pt").read_bytes() == stubborn("Bot")


def test_the_first_digits_name_a_model_if_they_name_one(files: Path) -> None:
    run("add", str(files / "first.pt"))
    run("add", str(files / "second.pt"))
    different = next(n for n in range(12) if FIRST[n] != SECOND[n]) + 1
    assert FIRST in run("champion", FIRST[:different])
    if different > 1:
        assert "several models" in run("champion", FIRST[: different - 1], status=1)
    assert "no registered model" in run("champion", "nobody", status=1)


def test_what_cannot_be_done_is_a_sentence(files: Path) -> None:
    (files / "none.pt").write_bytes(b"nothing")
    assert "no model bundle" in run("add", str(files / "none.pt"), status=1)
    assert "cannot be read: No such file" in run("add", str(files / "nowhere.pt"), status=1)
    assert "No model 0123456789ab is registered" in run("show", "0123456789ab", status=1)
    assert "Name a model, or say --end" in run("challenger", status=2)
    run("add", str(files / "first.pt"))
    assert "cannot be written" in run("export", FIRST, str(files / "no" / "where.pt"), status=1)


def test_without_a_stack_it_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPANWATCH_PORTS", "9")
    assert "spanwatch up" in run("list", status=1)
