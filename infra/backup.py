"""A backup of the store as it was at one moment, made while everything runs.

Every table is first copied into a database of its own by links to its files, which takes milliseconds and no room; the
rows are read from there, however long that takes. Captures and their ledgers are copied first: what they say is in the
store is then in what is copied after them.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from itertools import chain
from pathlib import Path

from infra.backup_archive import Chunk, StateFile, write_archive
from infra.settings import Settings
from infra.store import Store
from infra.store_native import read_native
from schemas.backups import FORMAT, BackupHeader, TableBackup
from schemas.errors import BackupError, StoreError

STATE_FILES = ("keys.json",)
"""Files of the state folder that a backup has, too: access keys, of which the file holds hashes only."""

CHUNK_BYTES = 64 << 20
"""Rows are read in portions of about this many bytes: what a backup needs of memory is a few times that."""

LEFTOVER_S = 24 * 3600
"""On a server a copy that is older than this is of a backup that died; an embedded store has one owner, who knows."""

_RECORD = "schema_migrations"

TABLES = """
SELECT name FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != {record:String} AND total_rows > 0
ORDER BY indexOf(['ledger', 'captures'], name) DESC, name
"""
"""Tables that hold rows, but the record of migrations."""

_COLUMNS = """
SELECT table, groupArray(name) AS names FROM
(SELECT table, name FROM system.columns
 WHERE database = {database:String} AND default_kind NOT IN ('ALIAS', 'EPHEMERAL') ORDER BY table, position)
GROUP BY table
"""

_PARTS = """
SELECT name, rows, data_uncompressed_bytes AS bytes, has_lightweight_delete AS has_deleted_rows FROM system.parts
WHERE database = {database:String} AND table = {table:String} AND active
ORDER BY partition_id, min_block_number, name
"""


@dataclass(frozen=True)
class Snapshot:
    """The tables as they were at one moment.

    Parameters
    ----------
    store : Store
        Where they are.
    database : str
        Database of the copies.
    header : BackupHeader
        What they hold.
    """

    store: Store
    database: str
    header: BackupHeader

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows, table by table in the header's order."""
        for table in self.header.tables:
            columns = ", ".join(table.columns)
            place = {"database": self.database, "table": table.name}
            for part in self.store.query(_PARTS, place):
                yield from self._part(f"{self.database}.{table.name}", columns, part, table.name)

    def _part(self, copy: str, columns: str, part: Mapping[str, object], table: str) -> Iterator[Chunk]:
        """Yield the rows of a part; rows that were deleted are in it until it is merged, and are left out."""
        rows, size = int(str(part["rows"])), int(str(part["bytes"]))
        step = max(1, min(rows, rows * CHUNK_BYTES // max(size, 1)))
        where = "WHERE _part = {part:String} AND _part_offset >= {first:UInt64} AND _part_offset < {end:UInt64}"
        for first in range(0, rows, step):
            end = min(first + step, rows)
            values = {"part": part["name"], "first": first, "end": end}
            found = end - first
            if part["has_deleted_rows"]:
                found = _count(self.store, f"{copy} {where}", values)
            if found:
                sql = f"SELECT {columns} FROM {copy} {where} SETTINGS max_threads = 1"  # noqa: S608 - our own names
                yield Chunk(table, found, read_native(self.store, sql, values))


@contextmanager
def snapshot(store: Store, settings: Settings) -> Iterator[Snapshot]:
    """Yield the store's tables as they are now; what is written meanwhile does not show.

    Parameters
    ----------
    store : Store
        Opened; it need not be migrated.
    settings : Settings
        Name the machine, and whether the store is embedded.

    Raises
    ------
    BackupError
        The store has never been migrated: there is nothing in it.
    StoreError
        ClickHouse refuses a statement or cannot be reached.
    """
    checksums = _checksums(store)
    [here] = store.query("SELECT currentDatabase() AS name")
    prefix = f"{here['name']}_backup_"
    _drop_leftovers(store, prefix, older_than_s=0 if settings.has_embedded_store else LEFTOVER_S)
    database = f"{prefix}{int(time.time())}_{secrets.token_hex(3)}"
    store.command(f"CREATE DATABASE {database}")
    try:
        made_at = datetime.now(UTC)
        names = [str(row["name"]) for row in store.query(TABLES, {"record": _RECORD})]
        for name in names:
            copy_table(store, name, f"{database}.{name}")
        header = BackupHeader(
            format=FORMAT,
            program=metadata.version("spanwatch"),
            schema_version=max(checksums),
            checksums=checksums,
            made_at=made_at,
            sensor=settings.sensor,
            tables=_tables(store, database, names),
        )
        yield Snapshot(store, database, header)
    finally:
        store.command(f"DROP DATABASE IF EXISTS {database} SYNC")


def copy_table(store: Store, source: str, target: str) -> None:
    """Make a table of the same form with the same rows, by links to its files; it is never merged."""
    store.command(f"CREATE TABLE {target} AS {source}")
    # Merged parts have other names, and rows are read part by part.
    store.command(f"SYSTEM STOP MERGES {target}")
    store.command(f"ALTER TABLE {target} ATTACH PARTITION ALL FROM {source}")


def _checksums(store: Store) -> dict[int, str]:
    try:
        rows = store.query(f"SELECT version, checksum FROM {_RECORD} FINAL")  # noqa: S608 - our own name
    except StoreError:
        if store.query("SELECT 1 FROM system.tables WHERE database = currentDatabase() LIMIT 1"):
            raise
        rows = []
    if not rows:
        raise BackupError("The store is empty: there is nothing to back up.")
    return {int(str(row["version"])): str(row["checksum"]) for row in rows}


def _drop_leftovers(store: Store, prefix: str, older_than_s: int) -> None:
    """Remove copies of backups that died."""
    found = "SELECT name FROM system.databases WHERE startsWith(name, {prefix:String})"
    for row in store.query(found, {"prefix": prefix}):
        made_s, _, _ = str(row["name"]).removeprefix(prefix).partition("_")
        if made_s.isdigit() and time.time() - int(made_s) >= older_than_s:
            store.command(f"DROP DATABASE IF EXISTS {row['name']} SYNC")


def _tables(store: Store, database: str, names: list[str]) -> tuple[TableBackup, ...]:
    place = {"database": database}
    columns = {str(row["table"]): row["names"] for row in store.query(_COLUMNS, place)}
    return tuple(
        TableBackup.model_validate(
            {"name": name, "columns": columns[name], "rows": _count(store, f"{database}.{name}", {})}
        )
        for name in names
    )


def _count(store: Store, of: str, values: Mapping[str, object]) -> int:
    [row] = store.query(f"SELECT count() AS rows FROM {of}", values)  # noqa: S608 - our own names
    return int(str(row["rows"]))


def archive_of(store: Store, settings: Settings) -> Iterator[bytes]:
    """Yield an archive of the store and of the state folder's files; raises as ``snapshot``.

    The store's copies are removed when the iterator ends or is closed.
    """
    with snapshot(store, settings) as taken:
        yield from write_archive(taken.header, chain(taken.chunks(), state_files(settings.state)))


def file_name(sensor: str, made_at: datetime) -> str:
    """Return what an archive is called; names of one machine sort by time."""
    return f"spanwatch-{re.sub(r'[^A-Za-z0-9.-]', '_', sensor)}-{made_at:%Y%m%dT%H%M%SZ}.tar"


def state_files(state: Path) -> Iterator[StateFile]:
    """Yield the files of a state folder that a backup has."""
    for name in STATE_FILES:
        path = state / name
        if path.is_file():
            yield StateFile(name, path.read_bytes())
