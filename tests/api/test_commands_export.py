from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from api.commands_export import export_command
from infra.store import Store
from tests.api.stack import Running, insert_stored_capture


@pytest.fixture
def export(stack: Running, store: Store, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A runner of the command against a stack with three windows."""
    insert_stored_capture(store, windows=3)
    monkeypatch.setenv("SPANWATCH_PORTS", str(stack.settings.ports[0]))
    return CliRunner()


def run(runner: CliRunner, *arguments: str) -> Result:
    return runner.invoke(export_command, list(arguments))


def test_a_list_becomes_a_file_in_the_format_of_its_name(export: CliRunner, tmp_path: Path) -> None:
    out = tmp_path / "windows.parquet"
    done = run(export, "windows", "--output", str(out))
    assert done.exit_code == 0, done.output
    assert "windows, 3 rows" in done.stderr
    assert pq.read_table(out).column("window_id").to_pylist() == [0, 1, 2]


def test_without_a_file_it_goes_to_standard_output(export: CliRunner) -> None:
    done = run(export, "windows", "--format", "csv", "--columns", "window_id,bytes")
    assert done.stdout == "window_id,bytes\n0,9900\n1,9900\n2,9900\n"


def test_a_refusal_is_a_sentence_and_leaves_no_file(export: CliRunner, tmp_path: Path) -> None:
    out = tmp_path / "ledger.csv"
    done = run(export, "ledger", "--from", "1", "--output", str(out))
    assert (done.exit_code, out.exists()) == (1, False)
    assert "ledger has no time to choose by" in done.output


def test_without_a_stack_it_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPANWATCH_PORTS", "9")
    done = run(CliRunner(), "windows")
    assert done.exit_code == 1
    assert "spanwatch up" in done.output
