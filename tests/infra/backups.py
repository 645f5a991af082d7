"""Rows in every table of a store, of whatever schema version, and what two stores with the same rows have in common."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from infra.store import Store

ROWS = 40

_TABLES = """
SELECT name, engine FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'schema_migrations' ORDER BY name
"""

_COLUMNS = """
SELECT name, type, default_kind AS kind FROM system.columns
WHERE database = currentDatabase() AND table = {table:String} AND default_kind != 'ALIAS' ORDER BY position
"""

_ADDED_UP = re.compile(r"(?:Simple)?AggregateFunction\((\w+), (.*)\)")


def fill(store: Store, seed: int = 1, but: Collection[str] = ()) -> list[str]:
    """Put random rows into every table but some; return the tables."""
    tables = [str(row["name"]) for row in store.query(_TABLES) if row["name"] not in but]
    for name in tables:
        columns = [row for row in store.query(_COLUMNS, {"table": name}) if not row["kind"]]
        names = ", ".join(str(column["name"]) for column in columns)
        # The engine makes no random values of a type that adds up, but of what is added up.
        types = [_ADDED_UP.sub(r"\2", str(column["type"])) for column in columns]
        form = ", ".join(f"{column['name']} {kind}" for column, kind in zip(columns, types, strict=True))
        values = ", ".join(_value(str(column["name"]), str(column["type"])) for column in columns)
        store.command(
            f"INSERT INTO {name} ({names}) SELECT {values} "
            f"FROM generateRandom({{form:String}}, {seed}, 8, 3) LIMIT {ROWS}",
            {"form": form},
        )
    return tables


def _value(name: str, kind: str) -> str:
    """Return what becomes the state of an aggregate function, and anything else as it is."""
    state = re.fullmatch(r"AggregateFunction\((\w+), .*\)", kind)
    return f"initializeAggregation('{state[1]}State', {name})" if state else name


def columns_of(store: Store) -> dict[str, list[str]]:
    """Return the stored columns of every table."""
    return {
        str(table["name"]): [str(row["name"]) for row in store.query(_COLUMNS, {"table": table["name"]})]
        for table in store.query(_TABLES)
    }


def digest(store: Store, columns: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """Return rows and an order-independent hash of every table, as readers see it whatever was merged.

    With ``columns``, of these tables and columns only.
    """
    found: dict[str, Any] = {}
    engines = {str(table["name"]): table["engine"] for table in store.query(_TABLES)}
    for name, wanted in (columns or columns_of(store)).items():
        final = "" if engines[name] == "MergeTree" else " FINAL"
        [row] = store.query(
            f"SELECT count() AS rows, toString(sum(cityHash64({', '.join(wanted)}))) AS hash FROM {name}{final}"
        )
        found[name] = row
    return found
