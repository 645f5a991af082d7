"""The part of the front door that says what a capture was like: `analyze` and `report`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any

import click

from api.compute import new_capture_id
from api.remote import NoAnswerError, RemoteStack
from api.report import report_text
from api.report_answers import ReportAnswer
from api.report_data import sha256_of
from api.report_outputs import FOUND, Outputs, output_options
from infra.broker import bootstrap_servers
from infra.command_errors import plainly
from infra.processes import spawn, stop_process
from infra.settings import Settings, load_settings
from infra.terminal import console
from schemas.errors import SettingsError, SpanwatchError
from spanwatch_capture import ALIGN, SPEED, WINDOW, notes, send_file
from streams.files import open_capture

out = console()

START_S = 180.0
"""How long a stack that lives may take to answer: seconds on a quiet machine, minutes on a very busy one."""

STOP_S = 20.0
"""How long it may take to stop: one that is killed instead leaves a broker that is slow to start again."""

_EXIT = f"""Exit status: 0 all went well, and nothing that --fail-on asks for was found; 1 an error; 2 wrong use;
{FOUND} something at least as serious as --fail-on was found.

\b
Concerns:
  high    an incident of severity high, flows named an attack with a threat
          score of 80 or more, or a loss ledger that does not balance
  medium  an incident of severity medium, or other flows named an attack
  low     uncertain verdicts that lean to an attack, packets that the
          capture lacks
"""

_ANALYZE = f"""Compute a capture file and print a report.

FILE is pcap or pcapng; plain, gzip, zstd or xz; - for stdin. A stack that runs already is used and keeps the
capture; else one is started, and stopped again.

\b
Examples:
  spanwatch analyze odd.pcapng
  spanwatch analyze odd.pcapng --html report.html       a page to hand on
  spanwatch analyze odd.pcapng --json - | jq .findings  for scripts
  spanwatch analyze odd.pcapng --csv tables/            a CSV file a table
  spanwatch analyze nightly.pcap --fail-on high || page-somebody

{_EXIT}"""

_REPORT = f"""Print the report of a capture that the stack has.

CAPTURE is an id as `spanwatch status` shows it; without one it is the newest capture, live ones included.

\b
Examples:
  spanwatch report
  spanwatch report 1m80tyfqanw8j0x --html report.html
  spanwatch report --json - | jq .worst

{_EXIT}"""


def _exits_with_it(command: Callable[..., int]) -> Callable[..., None]:
    """Exit with the status that a command returns: what was found."""

    @wraps(command)
    @plainly()
    def run(*arguments: Any, **options: Any) -> None:
        sys.exit(command(*arguments, **options))

    return run


def _outputs(
    html: Path | None,
    json_: Path | None,
    csv: Path | None,
    tables: tuple[str, ...],
    fail_on: str | None,
) -> Outputs:
    outputs = Outputs(html, json_, csv, tables, fail_on)
    outputs.check()
    return outputs


@click.command("analyze", help=_ANALYZE)
@click.argument("file", type=click.Path(allow_dash=True))
@SPEED
@WINDOW
@ALIGN
@output_options
@_exits_with_it
def analyze_command(file: str, speed: float, window_s: float | None, align: str, **wanted: Any) -> int:
    """Compute a file and report; see ``_ANALYZE``."""
    outputs = _outputs(**wanted)
    settings = load_settings(window_s=window_s)
    if file != "-":
        _check_capture(Path(file))
    with _running_stack(settings) as stack, ThreadPoolExecutor(1) as beside:
        digest = beside.submit(sha256_of, Path(file)) if outputs.wants_hash and file != "-" else None
        capture_id = new_capture_id()
        send_file(file, settings, capture_id, speed, align)
        now = None
        with notes.status("computing"):
            for now in stack.until_stored(capture_id):  # noqa: B007 - the last one is the result
                pass
        if now is None or now["state"] == "failed":
            raise SpanwatchError(f"The capture failed: {now['error'] if now else 'unknown'}")
        return _tell(stack, _report_of(stack, capture_id, digest), outputs)


def _check_capture(path: Path) -> None:
    """Refuse what is no capture before a stack is started for it."""
    if not path.is_file():
        raise SettingsError(f"There is no capture file {path}.")
    open_capture(path).close()


@click.command("report", help=_REPORT)
@click.argument("capture", required=False)
@output_options
@_exits_with_it
def report_command(capture: str | None, **wanted: Any) -> int:
    """Report on a capture that is there; see ``_REPORT``."""
    outputs = _outputs(**wanted)
    with RemoteStack(load_settings()) as stack:
        newest = stack.get("/api/captures", limit=1)["captures"]
        if capture is None and not newest:
            raise SpanwatchError("There is no capture yet: `spanwatch capture FILE`.")
        return _tell(stack, _report_of(stack, capture or newest[0]["capture_id"], None), outputs)


def _report_of(stack: RemoteStack, capture_id: str, digest: Future[str] | None) -> ReportAnswer:
    report = ReportAnswer.model_validate(stack.get(f"/api/captures/{capture_id}/report"))
    if report.file.sha256 is None and digest is not None:
        with suppress(OSError):
            report.file.sha256 = digest.result()
    return report


def _tell(stack: RemoteStack, report: ReportAnswer, outputs: Outputs) -> int:
    """Print and write a report; return the exit status."""
    for said in outputs.write(stack, report):
        notes.print(said, highlight=False, soft_wrap=True)
    if not outputs.takes_stdout:
        out.print(report_text(report))
    return outputs.exit_status(report.worst)


@contextmanager
def _running_stack(settings: Settings) -> Iterator[RemoteStack]:
    """Yield the stack that answers, or one started for as long as it is needed."""
    with RemoteStack(settings) as stack:
        if stack.is_up():
            bootstrap_servers(settings)
            yield stack
            return
        settings.logs_folder.mkdir(parents=True, exist_ok=True)
        process = spawn(
            [sys.executable, "-m", "spanwatch", "up"],
            output=settings.logs_folder / "up.out",
            environment={"SPANWATCH_STATE": str(settings.state)},
            death_signal=signal.SIGTERM,
        )
        try:
            with notes.status("starting broker, store and workers"):
                _until_up(stack, process.poll, settings.logs_folder / "up.out")
            yield stack
        finally:
            with notes.status("stopping"):
                stop_process(process, STOP_S)


def _until_up(stack: RemoteStack, poll: Callable[[], int | None], said: Path) -> None:
    end_s = time.monotonic() + START_S
    while not stack.is_up():
        is_over = poll() is not None
        if is_over or time.monotonic() > end_s:
            last = said.read_text(errors="replace").strip().splitlines()[-3:]
            why = "ended" if is_over else f"has not answered within {START_S:g} s"
            raise NoAnswerError(f"The stack did not start: it {why}. {' / '.join(last) or f'{said} is empty.'}")
        time.sleep(0.1)
