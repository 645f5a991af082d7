from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from infra.store import Store
from schemas.captures import CAPTURE_COLUMNS, LEDGER_COLUMNS
from schemas.columns import Column, arrow_schema
from schemas.packets import (
    MAX_BATCH_PACKETS,
    OFFSET_BITS,
    PACKET_SCHEMA,
    PARTITION_BITS,
    ROW_BITS,
    STORED_PACKET_COLUMNS,
    first_event_id,
)
from schemas.service_tables import SERVICE_TABLES
from schemas.table import Table, columns_markdown
from schemas.tables import TABLES
from schemas.windows import WINDOW_COLUMNS

DOCS = Path(__file__).resolve().parents[2] / "docs"
RETENTION = {
    "packets_ttl_days": 7,
    "windows_ttl_days": 365,
    "flows_ttl_days": 30,
    "audit_ttl_days": 365,
    "honeypots_ttl_days": 90,
}

COLUMNS = "SELECT name, type, compression_codec, default_kind, default_expression FROM system.columns"
# A setting that a migration changes stands behind those that the table was made with.
KEYS = """
SELECT replaceRegexpOne(replaceOne(engine_full, name, ''), ' SETTINGS .*', '') AS engine, sorting_key, partition_key,
       primary_key, arraySort(splitByString(', ', extract(engine_full, ' SETTINGS (.*)'))) AS settings
FROM system.tables
"""
INDEXES = "SELECT name, type_full, expr, granularity FROM system.data_skipping_indices"


@pytest.mark.parametrize("table", [*TABLES, *SERVICE_TABLES], ids=lambda table: table.name)
def test_the_migrations_build_exactly_what_is_declared(store: Store, table: Table) -> None:
    declared = f"declared_{table.name}"
    store.command(table.create(declared).format(**RETENTION))
    try:
        for sql, of in ((COLUMNS, "table"), (KEYS, "name"), (INDEXES, "table")):
            sql = f"{sql} WHERE database = currentDatabase() AND {of} = {{table:String}}"
            migrated = store.query(sql, {"table": table.name})
            assert migrated == store.query(sql, {"table": declared})
            assert migrated or sql.startswith(INDEXES)
    finally:
        store.command(f"DROP TABLE {declared} SYNC")


def test_every_table_of_the_store_is_declared(store: Store) -> None:
    sql = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    assert {str(row["name"]) for row in store.query(sql)} == {t.name for t in (*TABLES, *SERVICE_TABLES)} | {
        "schema_migrations"
    }


@pytest.mark.parametrize("columns", [STORED_PACKET_COLUMNS, WINDOW_COLUMNS, CAPTURE_COLUMNS, LEDGER_COLUMNS])
def test_every_column_is_declared_once_and_explained(columns: tuple[Column, ...]) -> None:
    names = [column.name for column in columns]
    assert len(set(names)) == len(names)
    assert all(column.doc.endswith(".") for column in columns)


def test_the_stored_packet_is_the_packet_on_the_wire_with_what_storage_adds() -> None:
    stored = arrow_schema(STORED_PACKET_COLUMNS)
    assert stored.names == ["capture_id", "event_id", *PACKET_SCHEMA.names]
    assert pa.schema(list(stored)[2:]) == PACKET_SCHEMA


def test_only_a_nullable_column_of_the_store_is_nullable_on_the_wire() -> None:
    schema = arrow_schema(CAPTURE_COLUMNS)
    assert {field.name for field in schema if field.nullable} == {"ended_ns", "first_ts_ns", "last_ts_ns"}


def test_event_ids_stay_exact_in_javascript_and_never_meet() -> None:
    last_row = 2**ROW_BITS - 1
    assert last_row >= MAX_BATCH_PACKETS - 1
    partitions, offsets = 1 << PARTITION_BITS, 1 << OFFSET_BITS
    assert first_event_id(partitions - 1, offsets - 1) + last_row == 2**53 - 1
    assert first_event_id(3, 7) + last_row < first_event_id(3, 8)
    for position in ((partitions, 0), (0, offsets), (-1, 0)):
        with pytest.raises(ValueError, match="do not fit"):
            first_event_id(*position)


@pytest.mark.parametrize("table", [*TABLES, *SERVICE_TABLES], ids=lambda table: table.name)
def test_the_store_page_shows_the_declared_columns(table: Table) -> None:
    page = (DOCS / "store.md").read_text(encoding="utf-8")
    assert columns_markdown(table) in page
