"""Where a report goes besides the terminal: a page, JSON, CSV; looked at before anything is computed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import click

from api.remote import Answer, RemoteStack
from api.report_answers import Concern, ReportAnswer
from schemas.errors import SettingsError

STDOUT = Path("-")

TABLES = ("windows", "anomalies", "incidents", "classifications", "flows", "ledger", "captures")
"""Lists of a capture that become CSV; what they hold is what ``spanwatch export`` gives."""

FOUND = 3
"""Exit status when what --fail-on asks for was found; 1 and 2 are click's, for errors and for wrong use."""

_PAGE = 1000

_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)

_OPTIONS = (
    click.option("--html", type=_FILE, metavar="FILE", help="Write the report as one self-contained page."),
    click.option("--json", "json_", type=_FILE, metavar="FILE|-", help="Write it as JSON, with windows and anomalies."),
    click.option(
        "--csv",
        type=click.Path(path_type=Path, allow_dash=True),
        metavar="FOLDER|FILE|-",
        help="Write tables as CSV: each into a file of the folder; a single one into FILE.csv or to standard output.",
    ),
    click.option(
        "--table",
        "tables",
        type=click.Choice(TABLES),
        multiple=True,
        help="A table that --csv writes; may be repeated. Else all but flows, and windows where it is a single one.",
    ),
    click.option(
        "--fail-on",
        type=click.Choice([concern.value for concern in Concern]),
        help=f"Exit with {FOUND} when something at least so serious was found.",
    ),
)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a report's outputs to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Outputs:
    """What is wanted of a report.

    Parameters
    ----------
    html, json_, csv : Path or None
        Where each form goes; ``-`` is standard output. ``csv`` is a folder unless its name ends in ``.csv``.
    tables : tuple of str
        Tables that become CSV; empty for the usual ones.
    fail_on : str or None
        How serious a finding must be for the exit status to say so.
    """

    html: Path | None = None
    json_: Path | None = None
    csv: Path | None = None
    tables: tuple[str, ...] = ()
    fail_on: str | None = None

    @property
    def takes_stdout(self) -> bool:
        """Whether one of them is standard output, which then holds nothing else."""
        return STDOUT in (self.html, self.json_, self.csv)

    @property
    def wants_hash(self) -> bool:
        """Whether one of them says what file it is about."""
        return self.html is not None or self.json_ is not None

    @property
    def _is_single_csv(self) -> bool:
        return self.csv is not None and (self.csv == STDOUT or self.csv.suffix.lower() == ".csv")

    @property
    def csv_tables(self) -> tuple[str, ...]:
        """The tables that become CSV."""
        if self._is_single_csv:
            return self.tables or ("windows",)
        return self.tables or tuple(name for name in TABLES if name != "flows")

    def check(self) -> None:
        """See that everything can be written, before anything is computed.

        Raises
        ------
        SettingsError
            It cannot, or two of them would be written to the same place.
        """
        wanted = [path for path in (self.html, self.json_, self.csv) if path is not None]
        if wanted.count(STDOUT) > 1:
            raise SettingsError("Only one of --html, --json and --csv can go to standard output.")
        if len({path.absolute() for path in wanted}) < len(wanted):
            raise SettingsError("--html, --json and --csv need a place each.")
        if self.tables and self.csv is None:
            raise SettingsError("--table goes with --csv.")
        if self._is_single_csv and len(self.csv_tables) > 1:
            raise SettingsError("One CSV file holds one table: name a folder for --csv, or a single --table.")
        for path in wanted:
            if path == self.csv and not self._is_single_csv:
                _check_folder(path)
            elif path != STDOUT:
                _check_file(path)

    def exit_status(self, worst: Concern | None) -> int:
        """Return the exit status that goes with what was found."""
        if self.fail_on is None or worst is None:
            return 0
        return FOUND if worst.rank >= Concern(self.fail_on).rank else 0

    def write(self, stack: RemoteStack, report: ReportAnswer) -> Iterator[str]:
        """Write everything; yield a line about each.

        Raises
        ------
        SettingsError
            Something cannot be written after all.
        SpanwatchError
            The stack does not answer.
        """
        capture_id = report.capture.capture_id
        if self.html is not None:
            # Here and not above: a page brings Matplotlib along, which takes a second.
            from api.report_page import page_of

            yield from _put(self.html, page_of(report).encode())
        if self.json_ is not None:
            yield from _put(self.json_, json_of(stack, report))
        if self.csv is not None:
            if not self._is_single_csv:
                self.csv.mkdir(parents=True, exist_ok=True)
            for table in self.csv_tables:
                path = self.csv if self._is_single_csv else self.csv / f"{table}.csv"
                yield from _download(stack, path, table, capture_id)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise SettingsError(f"{path} is a folder; name a file.")
    if not path.parent.is_dir():
        raise SettingsError(f"There is no folder {path.parent} to write {path.name} into.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise SettingsError(f"{path} cannot be written: permission denied.")


def _check_folder(path: Path) -> None:
    there = path
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise SettingsError(f"{there} is a file, not a folder.")
    if not os.access(there, os.W_OK):
        raise SettingsError(f"{path} cannot be written: permission denied.")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Yield what to write to; a file is there under its name only when all of it is."""
    if path == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists() and not path.is_file():
        # A pipe, or a device: nothing to put aside.
        with path.open("wb") as device:
            yield device
        return
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)


def _put(path: Path, content: bytes) -> Iterator[str]:
    with _opened(path) as file:
        file.write(content)
    yield f"{_shown(path)}: {len(content):,} bytes"


def _download(stack: RemoteStack, path: Path, table: str, capture_id: str) -> Iterator[str]:
    with stack.download(f"/api/export/{table}", format="csv", capture=capture_id) as answer, _opened(path) as file:
        for part in answer.iter_bytes():
            file.write(part)
        yield f"{_shown(path)}: {table}, {int(answer.headers['x-total-rows']):,} rows"


def _shown(path: Path) -> str:
    return "standard output" if path == STDOUT else str(path)


def json_of(stack: RemoteStack, report: ReportAnswer) -> bytes:
    """Return a report as JSON, with all windows and anomalies as the API answers them."""
    capture_id = report.capture.capture_id
    whole = {
        **report.model_dump(mode="json"),
        "windows": stack.windows(capture_id),
        "anomalies": list(_anomalies(stack, capture_id)),
    }
    return json.dumps(whole, ensure_ascii=False).encode() + b"\n"


def _anomalies(stack: RemoteStack, capture_id: str) -> Iterator[Answer]:
    page = stack.get("/api/anomalies/", capture=capture_id, order="oldest", limit=_PAGE)
    while page["anomalies"]:
        yield from page["anomalies"]
        if len(page["anomalies"]) < _PAGE or page["next_cursor"] is None:
            return
        page = stack.get("/api/anomalies/", cursor=page["next_cursor"], order="oldest", limit=_PAGE)
