"""One declaration per column; Arrow schemas, ClickHouse tables and docs are derived from it."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        Name on the wire, in the store and in answers.
    arrow : pyarrow.DataType
        Type on the wire.
    clickhouse : str
        Type in the store.
    codec : str
        ClickHouse compression codec, without the word ``CODEC``; empty for the server's default.
    doc : str
        One sentence: meaning and unit.
    """

    name: str
    arrow: pa.DataType
    clickhouse: str
    codec: str
    doc: str

    @property
    def ddl(self) -> str:
        """The column's line in ``CREATE TABLE``."""
        codec = f" CODEC({self.codec})" if self.codec else ""
        return f"{self.name} {self.clickhouse}{codec}"


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """Return the Arrow schema of a table, nothing nullable unless its ClickHouse type is."""
    return pa.schema([pa.field(c.name, c.arrow, nullable=c.clickhouse.startswith("Nullable")) for c in columns])
