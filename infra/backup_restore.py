"""A backup becomes a store again: beside the one there is, checked to its end, and only then in its place."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from infra.backup import STATE_FILES
from infra.backup_archive import ArchiveReader, Chunk, StateFile
from infra.backup_places import OpenStore, place_of
from infra.settings import Settings
from infra.store import Store
from infra.store_migrations import read_migrations
from infra.store_native import write_native
from schemas.backups import BackupHeader, TableBackup
from schemas.errors import BackupError

_KINDS = """
SELECT name, default_kind AS kind FROM system.columns WHERE database = currentDatabase() AND table = {table:String}
"""

Progress = Callable[[int], None]
"""Is told how many more rows were loaded."""


@dataclass(frozen=True)
class Restored:
    """What a restore did.

    Parameters
    ----------
    header : BackupHeader
        What was restored.
    migrations : tuple of str
        Migrations that the restored rows were brought up to date with.
    set_aside : str
        Where the rows are now that were there before; empty when there were none.
    files : tuple of str
        Files of the state folder that were written.
    """

    header: BackupHeader
    migrations: tuple[str, ...]
    set_aside: str
    files: tuple[str, ...]


def restore(
    archive: Path,
    settings: Settings,
    open_store: OpenStore,
    *,
    may_replace: bool,
    progress: Progress = lambda _: None,
) -> Restored:
    """Make an archive the store.

    It is loaded into a new store beside the one there is, which it replaces when all of it was good; until then
    nothing is changed. No engine may be open in this process, and nothing else may use the store.

    Parameters
    ----------
    archive : Path
        The archive.
    settings : Settings
        Say where the store is.
    open_store : callable
        Opens the store of settings, without migrating it.
    may_replace : bool
        Whether a store that holds rows may be set aside.
    progress : callable
        Told of every portion of rows.

    Raises
    ------
    BackupError
        The archive cannot be used, or the store holds rows and ``may_replace`` does not say so.
    StoreError
        Another process has the store open, or ClickHouse refuses.
    """
    place = place_of(settings, open_store)
    place.recover()
    with archive.open("rb") as file:
        verified(file)
        holds_rows = place.holds_rows()
        if holds_rows and not may_replace:
            raise BackupError(f"The store in {place} is not empty: --force sets it aside and restores.")
        file.seek(0)
        reader = ArchiveReader(file)
        with place.fresh() as store:
            migrations, files = load(reader, store, progress)
    aside = place.replace(keep=holds_rows)
    return Restored(reader.header, tuple(migrations), aside, _write_files(settings.state, files))


def verified(file: BinaryIO) -> BackupHeader:
    """Read an archive to its end and return what it is of.

    Raises
    ------
    BackupError
        It is cut off, damaged, or not for this program.
    """
    reader = ArchiveReader(file)
    for _ in reader.pieces(is_unpacked=False):
        pass
    check(reader.header)
    return reader.header


def check(header: BackupHeader) -> None:
    """Refuse what this program cannot make a store of.

    Raises
    ------
    BackupError
        The archive is of a newer schema, or of one that is none of ours.
    """
    known = read_migrations()
    if header.schema_version > len(known):
        raise BackupError(
            f"The archive is of schema version {header.schema_version} (spanwatch {header.program}) and this program "
            f"knows only {len(known)}: restore it with a newer spanwatch."
        )
    for migration in known[: header.schema_version]:
        if header.checksums.get(migration.version) != migration.checksum:
            raise BackupError(
                f"The archive's tables were made by another migration {migration.version:04d}_{migration.name} than "
                "this program's: restore it with the version that wrote it."
            )


def load(reader: ArchiveReader, store: Store, progress: Progress) -> tuple[list[str], list[StateFile]]:
    """Fill an empty store with an archive, then bring it up to date.

    Parameters
    ----------
    reader : ArchiveReader
        At the archive's beginning.
    store : Store
        Without tables.
    progress : callable
        Told of every portion.

    Returns
    -------
    list of str
        Names of the migrations that were applied to the rows.
    list of StateFile
        Files of the state folder.

    Raises
    ------
    BackupError
        The archive is cut off, damaged, or not for this program; what is in the store by then is of no use.
    StoreError
        ClickHouse refuses the rows.
    """
    check(reader.header)
    store.migrate(reader.header.schema_version)
    tables = {table.name: table for table in reader.header.tables}
    files: list[StateFile] = []
    [here] = store.query("SELECT currentDatabase() AS name")
    loading = f"{here['name']}_loading"
    store.command(f"DROP DATABASE IF EXISTS {loading} SYNC")
    store.command(f"CREATE DATABASE {loading}")
    for table in tables.values():
        _prepare(store, table, loading)
    for piece in reader.pieces():
        if isinstance(piece, Chunk):
            _insert(store, piece, tables[piece.table], loading)
            progress(piece.rows)
        else:
            files.append(piece)
    for name in tables:
        # Attached and not inserted: the views that fill rollups see nothing of it.
        store.command(f"ALTER TABLE {name} ATTACH PARTITION ALL FROM {loading}.{name}")
    store.command(f"DROP DATABASE {loading} SYNC")
    return store.migrate(), files


def _prepare(store: Store, table: TableBackup, loading: str) -> None:
    """Make a table to load into: as the one it is for, but nothing is computed, and no view follows it."""
    known = store.query(_KINDS, {"table": table.name})
    kinds = {str(row["name"]): str(row["kind"]) for row in known}
    if unknown := [column for column in table.columns if column not in kinds]:
        what = f"column {unknown[0]} of {table.name}" if kinds else f"table {table.name}"
        raise BackupError(f"The archive has a {what} that its schema version does not have.")
    store.command(f"CREATE TABLE {loading}.{table.name} AS {table.name}")
    store.command(f"SYSTEM STOP MERGES {loading}.{table.name}")
    for column in table.columns:
        if kinds[column] == "MATERIALIZED":
            # When a row was stored is a fact to keep: retention counts from it.
            store.command(f"ALTER TABLE {loading}.{table.name} MODIFY COLUMN {column} REMOVE MATERIALIZED")


def _insert(store: Store, chunk: Chunk, table: TableBackup, loading: str) -> None:
    taken = write_native(store, f"{loading}.{chunk.table}", table.columns, chunk.native)
    if taken != chunk.rows:
        raise BackupError(f"The archive is damaged: {taken:,} rows of {chunk.table} for {chunk.rows:,} announced.")


def _write_files(state: Path, files: list[StateFile]) -> tuple[str, ...]:
    """Write files of the state folder that are not there; those that are there are newer and stay."""
    written = []
    state.mkdir(parents=True, exist_ok=True)
    for file in files:
        if file.name in STATE_FILES:
            with suppress(FileExistsError), open(state / file.name, "xb", opener=_private) as target:
                target.write(file.content)
                written.append(file.name)
    return tuple(written)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
