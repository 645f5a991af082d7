"""What a table of the store is declared with, and the statement that makes it."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.columns import Column

DEDUPLICATION_WINDOW = 10_000
"""Insert tokens remembered per table: 10,000 batches of up to 65,536 packets, far more than Kafka can repeat."""


@dataclass(frozen=True)
class ComputedColumn:
    """A column that the store computes and no insert carries.

    Parameters
    ----------
    name : str
        Name in the store.
    clickhouse : str
        Type in the store.
    kind : str
        ``MATERIALIZED`` (computed at insertion, stored) or ``ALIAS`` (computed when read).
    expression : str
        What it is computed from.
    codec : str
        ClickHouse compression codec; empty for the default and for aliases.
    doc : str
        One sentence: meaning and unit.
    """

    name: str
    clickhouse: str
    kind: str
    expression: str
    codec: str
    doc: str

    @property
    def ddl(self) -> str:
        """The column's line in ``CREATE TABLE``."""
        codec = f" CODEC({self.codec})" if self.codec else ""
        return f"{self.name} {self.clickhouse} {self.kind} {self.expression}{codec}"


@dataclass(frozen=True)
class SkipIndex:
    """A data-skipping index: lets a query pass over granules that cannot match."""

    name: str
    expression: str
    kind: str
    doc: str

    @property
    def ddl(self) -> str:
        """The index's line in ``CREATE TABLE``."""
        return f"INDEX {self.name} {self.expression} TYPE {self.kind} GRANULARITY 1"


@dataclass(frozen=True)
class Table:
    """One table of the store.

    Parameters
    ----------
    name : str
        Name in the store's database.
    columns : tuple of Column
        What an insert carries, in order.
    engine : str
        Table engine with its arguments.
    order_by : tuple of str
        Sorting key, which is also the primary key.
    doc : str
        One sentence.
    computed : tuple of ComputedColumn
        What the store adds by itself.
    partition_by : str
        Partition key; empty for one partition.
    retention : str
        Placeholder of the retention in days (``packets_ttl_days``, ``windows_ttl_days``, …); empty keeps rows for ever.
    indexes : tuple of SkipIndex
        Data-skipping indexes.
    settings : tuple of (str, str)
        MergeTree settings besides the deduplication window.
    """

    name: str
    columns: tuple[Column, ...]
    engine: str
    order_by: tuple[str, ...]
    doc: str
    computed: tuple[ComputedColumn, ...] = ()
    partition_by: str = ""
    retention: str = ""
    indexes: tuple[SkipIndex, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    def create(self, name: str = "") -> str:
        """Return the ``CREATE TABLE`` statement, under another name when one is given.

        The retention stands in it as a placeholder in braces, as in the migration files.
        """
        lines = [c.ddl for c in self.columns] + [c.ddl for c in self.computed] + [i.ddl for i in self.indexes]
        settings = (("non_replicated_deduplication_window", str(DEDUPLICATION_WINDOW)), *self.settings)
        clauses = [
            f"CREATE TABLE IF NOT EXISTS {name or self.name}\n(\n    " + ",\n    ".join(lines) + "\n)",
            f"ENGINE = {self.engine}",
            *([f"PARTITION BY {self.partition_by}"] if self.partition_by else []),
            f"ORDER BY ({', '.join(self.order_by)})",
            *([f"TTL inserted_at + toIntervalDay({{{self.retention}}})"] if self.retention else []),
            "SETTINGS " + ", ".join(f"{key} = {value}" for key, value in settings),
        ]
        return "\n".join(clauses)


def columns_markdown(table: Table) -> str:
    """Return a table's columns as the Markdown table that ``docs/store.md`` shows."""
    lines = ["| column | type | codec | meaning |", "|---|---|---|---|"]
    lines += [f"| `{c.name}` | `{c.clickhouse}` | {c.codec or 'default'} | {c.doc} |" for c in table.columns]
    for column in table.computed:
        kind = "stored" if column.kind != "ALIAS" else "alias"
        lines.append(f"| `{column.name}` | `{column.clickhouse}` | {kind} | {column.doc} |")
    return "\n".join(lines)
