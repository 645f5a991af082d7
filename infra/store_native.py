"""Rows of the store as ClickHouse's own bytes, neither looked at nor changed on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clickhouse_connect.driver.exceptions import ClickHouseError

from infra.store import Store
from infra.store_clients import refused


def read_native(store: Store, sql: str, parameters: Mapping[str, object] | None = None) -> bytes:
    """Return the rows of a SELECT in ClickHouse's Native format.

    Raises
    ------
    StoreError
        When ClickHouse refuses the statement or cannot be reached.
    """
    with store.lend() as client:
        try:
            return client.raw_query(sql, parameters=dict(parameters or {}), fmt="Native")
        except ClickHouseError as error:
            raise refused(error, "a query") from error


def write_native(store: Store, table: str, columns: Sequence[str], native: bytes) -> int:
    """Insert rows in ClickHouse's Native format; return how many it took.

    Parameters
    ----------
    table : str
        The table, with its database when that is another one.
    columns : sequence of str
        Columns of the rows, in their order.
    native : bytes
        The rows.

    Raises
    ------
    StoreError
        When ClickHouse refuses the rows or cannot be reached.
    """
    with store.lend() as client:
        try:
            said = client.raw_insert(table, list(columns), native, settings={"async_insert": 0}, fmt="Native")
        except ClickHouseError as error:
            raise refused(error, f"an insert into {table}") from error
    return int(said.summary.get("written_rows", 0))
