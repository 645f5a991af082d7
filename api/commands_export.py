"""``spanwatch export``: a list of a running stack as a file."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from api.export import Format
from api.queries_export import DATASETS
from api.remote import RemoteStack
from infra.command_errors import plainly
from infra.command_help import examples
from infra.settings import load_settings
from infra.terminal import console

notes = console(is_stderr=True)


@click.command(
    "export",
    epilog=examples(
        "spanwatch export windows --output windows.parquet",
        "spanwatch export anomalies --format jsonl | jq .message",
        "spanwatch export flows --capture 1m80tyfqanw8j0x --columns src_ip,dst_ip,fwd_bytes",
        "spanwatch export packets --from 2026-01-09T17:40:00 --output since-then.arrow",
    ),
)
@click.argument("what", type=click.Choice(list(DATASETS)))
@click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in Format]),
    help="By the file's name when absent, else csv.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else standard output.")
@click.option("--capture", help="Capture id; the newest when absent.")
@click.option("--from", "from_", help="Rows from this time on: seconds since the epoch, or ISO 8601.")
@click.option("--to", help="Rows before this time.")
@click.option("--columns", help="Columns wanted, with commas between them.")
def export_command(what: str, form: str | None, output: Path | None, **asked: str | None) -> None:
    """Write a list of the running stack to a file.

    WHAT is the list; it is of the newest capture unless --capture names another. Progress goes to standard error.
    """
    with plainly(), RemoteStack(load_settings()) as stack:
        _export(stack, what, _format(form, output), output, asked)


def _format(form: str | None, output: Path | None) -> Format:
    if form is not None:
        return Format(form)
    suffix = output.suffix.removeprefix(".") if output else ""
    return next((known for known in Format if known.suffix == suffix), Format.CSV)


def _export(stack: RemoteStack, what: str, form: Format, output: Path | None, asked: dict[str, str | None]) -> None:
    """Write what the stack sends; a file that could not be finished is removed."""
    wanted = {name.rstrip("_"): value for name, value in asked.items() if value is not None}
    with stack.download(f"/api/export/{what}", format=form.value, **wanted) as answer, _progress() as progress:
        rows = int(answer.headers["x-total-rows"])
        task = progress.add_task(f"{what}, {rows:,} rows", total=None)
        sink = output.open("wb") if output else sys.stdout.buffer
        try:
            for part in answer.iter_bytes():
                sink.write(part)
                progress.advance(task, len(part))
        except BaseException:
            if output:
                output.unlink(missing_ok=True)
            raise
        finally:
            if output:
                sink.close()


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=notes)
