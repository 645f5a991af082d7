"""``spanwatch backup`` and ``spanwatch restore``: the store as one file, and back."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.app import store_of
from api.remote import RemoteStack
from infra.backup import archive_of, file_name
from infra.backup_archive import ArchiveReader, Chunk
from infra.backup_restore import Restored, restore, verified
from infra.command_errors import plainly
from infra.command_help import examples
from infra.settings import Settings, load_settings
from infra.terminal import console
from schemas.backups import BackupHeader
from schemas.errors import BackupError

out = console(highlight=False, soft_wrap=True)
notes = console(is_stderr=True)


def _with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand a command the settings, before its arguments; a file that cannot be used is told in a sentence."""

    @wraps(command)
    @plainly()
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            return command(load_settings(), *arguments, **options)
        except OSError as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}.") from error

    return run


@click.command("backup", epilog=examples("spanwatch backup night.tar", "spanwatch backup /srv/backups --keep 14"))
@click.argument("target", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(min=1), help="In a FOLDER: remove this machine's older archives but N.")
@_with_settings
def backup_command(settings: Settings, target: Path, keep: int | None) -> None:
    """Write all the store holds to an archive.

    It becomes FILE, or a file named by the time in FOLDER, and holds the store as it is at this moment.

    Works while the stack runs (through its API, with a key of scope admin where one is needed) and while it is stopped.
    The archive is read and checked as it is written; `spanwatch restore` makes a store of it again.
    """
    file = target / file_name(settings.sensor, datetime.now(UTC)) if target.is_dir() else target
    if file.exists():
        raise BackupError(f"{file} exists already.")
    if keep is not None and not target.is_dir():
        raise click.UsageError("--keep is for a folder.")
    with _parts(settings) as parts:
        header = save(parts, file)
    out.print(f"{file}: {file.stat().st_size:,} bytes")
    out.print(_summary(header))
    if keep is not None:
        _remove_older(target, settings.sensor, keep)


@contextmanager
def _parts(settings: Settings) -> Iterator[Iterator[bytes]]:
    """Yield the bytes of an archive: from the stack that runs, or else from the store itself."""
    with RemoteStack(settings) as stack:
        if settings.api_url or stack.is_up():
            with stack.download("/api/control/backup", method="POST") as answer:
                yield answer.iter_bytes()
            return
    if settings.has_embedded_store and not Path(settings.clickhouse.removeprefix("chdb://")).is_dir():
        raise BackupError(f"There is no store in {settings.state}, and no stack answers.")
    with store_of(settings) as store:
        parts = cast("Generator[bytes]", archive_of(store, settings))
        try:
            yield parts
        finally:
            parts.close()


class _Copied(io.RawIOBase):
    """What is read from it is written to a file on the way."""

    def __init__(self, parts: Iterator[bytes], file: BinaryIO) -> None:
        super().__init__()
        self._parts = parts
        self._file = file
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; return how much of it."""
        if not self._rest:
            part = next(self._parts, b"")
            self._file.write(part)
            self._rest = memoryview(part)
        taken = min(len(buffer), len(self._rest))
        buffer[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken


def save(parts: Iterator[bytes], file: Path) -> BackupHeader:
    """Write an archive to a file, checking it on the way; the file appears when it is whole.

    Raises
    ------
    BackupError
        What came is cut off or damaged; there is no file then.
    """
    partial = file.with_name(f"{file.name}.partial")
    try:
        with open(partial, "wb", opener=_private) as written:
            source = io.BufferedReader(_Copied(parts, written), 1 << 20)
            reader = ArchiveReader(source)
            with _progress(reader.header) as advance:
                for piece in reader.pieces(is_unpacked=False):
                    advance(piece.rows if isinstance(piece, Chunk) else 0)
            while source.read(1 << 20):
                pass
            written.flush()
            os.fsync(written.fileno())
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return reader.header


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def _progress(header: BackupHeader) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes) as progress:
        task = progress.add_task("rows", total=header.rows)
        yield lambda rows: progress.advance(task, rows)


def _remove_older(folder: Path, sensor: str, keep: int) -> None:
    """Remove a machine's archives but the newest."""
    pattern = file_name(sensor, datetime.now(UTC))[: -len("20260101T000000Z.tar")]
    found = sorted(file for file in folder.glob(f"{pattern}????????T??????Z.tar") if file.is_file())
    for file in found[:-keep]:
        file.unlink()
        out.print(f"{file}: removed")


@click.command("restore", epilog=examples("spanwatch restore night.tar", "spanwatch restore /srv/backups --check"))
@click.argument("source", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Only read it to its end and say what it holds.")
@click.option("--force", is_flag=True, help="Also when the store holds rows: it is set aside, not removed.")
@_with_settings
def restore_command(settings: Settings, source: Path, check: bool, force: bool) -> None:
    """Make an archive the store again.

    The archive is FILE, or the newest one in FOLDER. The stack must be stopped.

    An archive of an older version is brought up to date. The archive is checked to its end before anything is changed.
    """
    file = _newest(source) if source.is_dir() else source
    if check:
        with file.open("rb") as archive:
            out.print(f"{file} is whole. {_summary(verified(archive))}")
        return
    with RemoteStack(settings) as stack:
        if stack.is_up():
            raise BackupError(f"A stack answers at {stack.url}: stop it first.")
    with file.open("rb") as archive, _progress(verified(archive)) as advance:
        done = restore(file, settings, store_of, may_replace=force, progress=advance)
    out.print(f"Restored from {file}. {_summary(done.header)}")
    _say(done)


def _newest(folder: Path) -> Path:
    found = sorted(folder.glob("spanwatch-*.tar"), key=lambda file: file.name.rpartition("-")[2])
    if not found:
        raise BackupError(f"There is no spanwatch-….tar in {folder}.")
    return found[-1]


def _say(done: Restored) -> None:
    if done.migrations:
        out.print(f"Brought up to date: {', '.join(done.migrations)}.")
    if done.set_aside:
        out.print(f"The store that was there is now {done.set_aside}; remove it when it is no longer needed.")
    for name in done.files:
        out.print(f"{name} was written; a file that is there already stays as it is.")


def _summary(header: BackupHeader) -> str:
    """Return what an archive is of, in a few lines."""
    counts = {table.name: table.rows for table in header.tables}
    rows = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    made = header.made_at.strftime("%Y-%m-%d %H:%M:%SZ")
    head = (
        f"spanwatch {header.program} on {header.sensor}, {made}, schema {header.schema_version}: {header.rows:,} rows"
    )
    return f"{head}\n{rows}"
