from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.remote import RemoteStack
from api.report_answers import Concern, ReportAnswer
from api.report_outputs import FOUND, STDOUT, TABLES, Outputs
from infra.store import Store
from schemas.errors import SettingsError
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.stack import Running, insert_stored_capture, running, settings_in


@pytest.fixture(scope="module")
def served(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_in(tmp_path_factory.mktemp("outputs")), module_store) as stack:
        yield stack


@pytest.fixture(scope="module")
def remote(served: Running) -> Iterator[RemoteStack]:
    with RemoteStack(served.settings) as remote:
        yield remote


@pytest.fixture(scope="module")
def report(served: Running, module_store: Store) -> ReportAnswer:
    """The report on a capture with three windows and two anomalies."""
    capture_id = insert_stored_capture(module_store, windows=3)
    insert_anomalies(module_store, anomaly_values(capture_id, 0), anomaly_values(capture_id, 1))
    return ReportAnswer.model_validate(served.http.get(f"/api/captures/{capture_id}/report").json())


def written(outputs: Outputs, remote: RemoteStack, report: ReportAnswer) -> list[str]:
    outputs.check()
    return list(outputs.write(remote, report))


def test_json_holds_the_report_and_all_windows_and_anomalies(
    remote: RemoteStack, report: ReportAnswer, tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    [said] = written(Outputs(json_=path), remote, report)
    whole = json.loads(path.read_text())
    assert said == f"{path}: {path.stat().st_size:,} bytes"
    assert ReportAnswer.model_validate(whole) == report
    assert whole["windows"] == remote.windows(report.capture.capture_id)
    listed = remote.get("/api/anomalies/", capture=report.capture.capture_id, order="oldest")
    assert whole["anomalies"] == listed["anomalies"]
    assert len(whole["anomalies"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_folder_gets_a_file_for_each_table(remote: RemoteStack, report: ReportAnswer, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tables"
    said = written(Outputs(csv=folder), remote, report)
    assert sorted(path.stem for path in folder.iterdir()) == sorted(set(TABLES) - {"flows"})
    with (folder / "windows.csv").open() as file:
        assert [int(row["window_id"]) for row in csv.DictReader(file)] == [0, 1, 2]
    assert f"{folder / 'windows.csv'}: windows, 3 rows" in said


def test_a_file_gets_the_table_that_is_named(remote: RemoteStack, report: ReportAnswer, tmp_path: Path) -> None:
    path = tmp_path / "found.csv"
    written(Outputs(csv=path, tables=("anomalies",)), remote, report)
    with path.open() as file:
        assert [row["type"] for row in csv.DictReader(file)] == ["port_scan", "port_scan"]


def test_standard_output_gets_nothing_else(
    remote: RemoteStack, report: ReportAnswer, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    outputs = Outputs(csv=STDOUT)
    assert outputs.takes_stdout
    written(outputs, remote, report)
    assert capfdbinary.readouterr().out.splitlines()[0].startswith(b"capture_id,window_id,version,")


@pytest.mark.parametrize(
    ("outputs", "sentence"),
    [
        (Outputs(json_=STDOUT, csv=STDOUT), "Only one of --html, --json and --csv can go to standard output."),
        (Outputs(html=Path("a"), json_=Path("a")), "need a place each"),
        (Outputs(tables=("flows",)), "--table goes with --csv"),
        (Outputs(csv=Path("a.csv"), tables=("flows", "windows")), "One CSV file holds one table"),
        (Outputs(html=Path("no/such/folder/report.html")), "There is no folder no/such/folder"),
        (Outputs(json_=Path("/")), "/ is a folder; name a file"),
        (Outputs(csv=Path("/dev/null/tables")), "/dev/null is a file, not a folder"),
    ],
)
def test_what_cannot_be_written_is_refused_beforehand(outputs: Outputs, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        outputs.check()


def test_a_file_that_is_there_is_replaced_only_by_a_whole_one(
    remote: RemoteStack, report: ReportAnswer, tmp_path: Path
) -> None:
    path = tmp_path / "windows.csv"
    path.write_text("before")
    unknown = report.model_copy(deep=True)
    unknown.capture.capture_id = "nosuchcapture"
    with pytest.raises(Exception, match="Capture not found"):
        written(Outputs(csv=path), remote, unknown)
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["windows.csv"]


@pytest.mark.parametrize(
    ("fail_on", "worst", "status"),
    [
        (None, Concern.HIGH, 0),
        ("low", None, 0),
        ("low", Concern.LOW, FOUND),
        ("medium", Concern.LOW, 0),
        ("medium", Concern.HIGH, FOUND),
        ("high", Concern.MEDIUM, 0),
        ("high", Concern.HIGH, FOUND),
    ],
)
def test_the_exit_status_says_whether_something_so_serious_was_found(
    fail_on: str | None, worst: Concern | None, status: int
) -> None:
    assert Outputs(fail_on=fail_on).exit_status(worst) == status
