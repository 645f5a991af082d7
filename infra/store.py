"""The store: one ClickHouse, embedded in this process or on a server, behind the same few calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError

from infra import store_migrations
from infra.arrow import encode_table, read_table
from infra.counters import STORE_ERRORS, STORE_ROWS, STORE_SECONDS
from infra.native import encode_native, has_native_form
from infra.store_clients import INSERT_SETTINGS, Clients, refused
from schemas.service_tables import SERVICE_TABLES
from schemas.tables import TABLES

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Parameters = Mapping[str, object]

PACKETS_TTL_DAYS = 7
"""Days that packets are kept after they were stored, when the settings say nothing."""

WINDOWS_TTL_DAYS = 365
"""Days that windows and rollups are kept, when the settings say nothing."""

FLOWS_TTL_DAYS = 30
"""Days that flows are kept, when the settings say nothing."""

AUDIT_TTL_DAYS = 365
"""Days that the audit is kept, when the settings say nothing."""

HONEYPOTS_TTL_DAYS = 90
"""Days that honeypots' logs are kept, when the settings say nothing."""

_WAIT_FOR_DELETION = "lightweight_deletes_sync = 2"
_NOTE_DELETION = "lightweight_deletes_sync = 0"


class Store:
    """Everything that is kept, in one ClickHouse database.

    Thread-safe: every call takes a client of its own. Embedded and server stores run the same statements; only the
    making of a client differs. An embedded folder belongs to one process at a time.

    Examples
    --------
    >>> with Store.open("chdb:///var/lib/spanwatch/store") as store:  # doctest: +SKIP
    ...     store.migrate()
    ...     store.query("SELECT count() AS packets FROM packet_logs WHERE capture_id = {id:String}", {"id": "a"})
    [{'packets': 0}]
    """

    def __init__(self, clients: Clients, retention_days: Mapping[str, int]) -> None:
        self._clients = clients
        self._retention_days = retention_days

    @classmethod
    def open(
        cls,
        clickhouse_dsn: str,
        *,
        packets_ttl_days: int = PACKETS_TTL_DAYS,
        windows_ttl_days: int = WINDOWS_TTL_DAYS,
        flows_ttl_days: int = FLOWS_TTL_DAYS,
        audit_ttl_days: int = AUDIT_TTL_DAYS,
        honeypots_ttl_days: int = HONEYPOTS_TTL_DAYS,
    ) -> Self:
        """Open a store, making its database when there is none.

        Parameters
        ----------
        clickhouse_dsn : str
            ``chdb://FOLDER`` (embedded) or ``http(s)://user:password@host:port/database``.
        packets_ttl_days : int
            Days that packets are kept, counted from when they were stored.
        windows_ttl_days : int
            Days that windows and rollups are kept, counted from when they were stored or last added to.
        flows_ttl_days : int
            Days that flows are kept, counted from when they were stored.
        audit_ttl_days : int
            Days that the audit is kept, counted from when it was written.
        honeypots_ttl_days : int
            Days that honeypots' logs are kept, counted from when they were stored.

        Raises
        ------
        StoreError
            When the address makes no sense, another process has the folder, or the server does not answer or
            refuses the login.
        """
        retention_days = {
            "packets_ttl_days": packets_ttl_days,
            "windows_ttl_days": windows_ttl_days,
            "flows_ttl_days": flows_ttl_days,
            "audit_ttl_days": audit_ttl_days,
            "honeypots_ttl_days": honeypots_ttl_days,
        }
        return cls(Clients(clickhouse_dsn), retention_days)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Close the store; calls still running finish, later ones fail. The embedded engine stops with the last."""
        self._clients.close()

    def lend(self) -> AbstractContextManager[Client]:
        """Return what lends a client of the driver, for what the calls below do not do; raises as they do."""
        return self._clients.client()

    @staticmethod
    @contextmanager
    def _timed(operation: str) -> Iterator[None]:
        """Count a call, how long it took and whether it failed."""
        with STORE_SECONDS.labels(operation).time(), STORE_ERRORS.labels(operation).count_exceptions():
            yield

    def query(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, object]]:
        """Return the rows of a SELECT, one dict per row.

        Parameters
        ----------
        sql : str
            The statement; values stand in it as ``{name:Type}``, never as text.
        parameters : mapping, optional
            The values by name.

        Raises
        ------
        StoreError
            When ClickHouse refuses the statement or cannot be reached.
        """
        with self._timed("query"), self._clients.client() as client:
            try:
                result = client.query(sql, parameters=dict(parameters or {}))
            except ClickHouseError as error:
                raise refused(error, "a query") from error
            return [dict(row) for row in result.named_results()]

    def query_arrow(self, sql: str, parameters: Parameters | None = None) -> pa.Table:
        """Return the rows of a SELECT as an Arrow table; see `query`.

        Raises
        ------
        StoreError
            When ClickHouse refuses the statement or cannot be reached.
        """
        with self._timed("query"), self._clients.client() as client:
            try:
                answer = client.raw_query(sql, parameters=dict(parameters or {}), fmt="ArrowStream")
            except ClickHouseError as error:
                raise refused(error, "a query") from error
        return read_table(answer)

    def command(self, sql: str, parameters: Parameters | None = None) -> None:
        """Run a statement that answers nothing; values as in `query`.

        Raises
        ------
        StoreError
            When ClickHouse refuses the statement or cannot be reached.
        """
        with self._timed("command"), self._clients.client() as client:
            try:
                client.command(sql, parameters=dict(parameters or {}))
            except ClickHouseError as error:
                raise refused(error, f"the statement {' '.join(sql.split()[:4])} …") from error

    def insert(self, table: str, rows: pa.Table | pa.RecordBatch, token: str) -> None:
        """Insert rows exactly once: a second insert with the same token into the same table changes nothing.

        That holds for the table and for every rollup behind it, also when the first try died halfway, and also
        after the store was closed and opened again (for the last 10,000 inserts of a table).

        Parameters
        ----------
        table : str
            Name of the table.
        rows : pyarrow.Table or pyarrow.RecordBatch
            The rows; columns by name, missing ones get their default.
        token : str
            Names these rows: the same token always comes with the same rows.

        Raises
        ------
        StoreError
            When ClickHouse refuses the rows or cannot be reached.
        """
        if rows.num_rows == 0:
            return
        is_native = isinstance(rows, pa.RecordBatch) and has_native_form(rows.schema)
        body, form = (
            (encode_native(rows), "Native") if is_native else (encode_table(rows, compress=False), "ArrowStream")
        )
        with self._timed("insert"), self._clients.client() as client:
            try:
                client.raw_insert(
                    table,
                    rows.schema.names,
                    body,
                    settings={**INSERT_SETTINGS, "insert_deduplication_token": token},
                    fmt=form,
                )
            except ClickHouseError as error:
                raise refused(error, f"an insert into {table}") from error
        STORE_ROWS.labels(table).inc(rows.num_rows)

    def migrate(self, version: int | None = None) -> list[str]:
        """Bring the store's tables up to what this version needs, and its retention to the settings.

        Parameters
        ----------
        version : int or None
            Where to stop, for the tables as an older version had them; None for the newest.

        Returns
        -------
        list of str
            Names of the migrations applied now; empty when there was nothing to do.

        Raises
        ------
        MigrationError
            When the store is newer than this program or a migration it has had was changed.
        StoreError
            When ClickHouse refuses a statement or cannot be reached.
        """
        self.command(store_migrations.CREATE_RECORD)
        rows = self.query("SELECT version, checksum FROM schema_migrations FINAL")
        recorded = {int(str(row["version"])): str(row["checksum"]) for row in rows}
        todo = store_migrations.pending(store_migrations.read_migrations()[:version], recorded)
        for migration in todo:
            store_migrations.apply(migration, self._retention_days, self.command, self._record)
        if version is None:
            self._apply_retention()
        return [migration.name for migration in todo]

    def _record(self, migration: store_migrations.Migration) -> None:
        row = {"version": migration.version, "name": migration.name, "checksum": migration.checksum}
        self.insert("schema_migrations", pa.Table.from_pylist([row]), f"{migration.version}:{migration.checksum}")

    def _apply_retention(self) -> None:
        """Change the TTL of tables whose retention in the settings is no longer the one they were made with."""
        rows = self.query("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()")
        engines = {str(row["name"]): str(row["engine_full"]) for row in rows}
        for table in (*TABLES, *SERVICE_TABLES):
            if table.retention:
                ttl = f"inserted_at + toIntervalDay({self._retention_days[table.retention]})"
                if f"TTL {ttl} " not in engines.get(table.name, ""):
                    self.command(f"ALTER TABLE {table.name} MODIFY TTL {ttl}")

    def delete_captures(self, capture_ids: Sequence[str], *, wait: bool = True) -> None:
        """Remove every row of some captures, rollups included.

        Their insert tokens stay known: rows sent again under the same capture id are taken for repeats, so a
        deleted id is never used again.

        Parameters
        ----------
        capture_ids : sequence of str
            All of them go with one statement for each table.
        wait : bool
            Whether to return only when the rows are gone. Otherwise the store has noted on disk what to remove, and
            does so by itself, also after a crash.

        Raises
        ------
        StoreError
            When ClickHouse refuses a statement or cannot be reached; calling again continues.
        """
        if not capture_ids:
            return
        sync = _WAIT_FOR_DELETION if wait else _NOTE_DELETION
        values = {"ids": list(capture_ids)}
        for name in deletion_order():
            # The names are ours; the ids travel as values.
            rows = f"FROM {name} WHERE capture_id IN {{ids:Array(String)}}"
            # A deletion looks into every part of a table, of which there may be hundreds; a SELECT asks the key.
            if self.query(f"SELECT 1 AS found {rows} LIMIT 1", values):
                self.command(f"DELETE {rows} SETTINGS {sync}", values)


def deletion_order() -> Sequence[str]:
    """Return the tables a capture is removed from.

    ``captures`` is last, so that one whose removal was broken off is still listed. Removals that are only noted are
    done table by table, in any order.
    """
    return sorted((table.name for table in TABLES), key=lambda name: name == "captures")
