from __future__ import annotations

import pyarrow as pa
import pytest

from infra.counters import REGISTRY
from infra.store import Store
from schemas.errors import StoreError
from tests.infra.store_rows import packets


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_calls_of_the_store_are_counted_and_timed_by_what_they_do(store: Store) -> None:
    names = {"query": "query", "insert": "insert", "command": "command"}
    before = {name: value("spanwatch_store_call_duration_seconds_count", operation=name) for name in names}
    rows = value("spanwatch_store_inserted_rows_total", table="packet_logs")
    store.query("SELECT 1")
    store.query_arrow("SELECT 1")
    store.command("SELECT 1")
    store.insert("packet_logs", packets("counted", 25), "counted:1")
    after = {name: value("spanwatch_store_call_duration_seconds_count", operation=name) for name in names}
    assert {name: after[name] - before[name] for name in names} == {"query": 2, "insert": 1, "command": 1}
    assert value("spanwatch_store_inserted_rows_total", table="packet_logs") == rows + 25


def test_what_the_store_refuses_is_counted_as_an_error_and_not_as_rows(store: Store) -> None:
    before = value("spanwatch_store_errors_total", operation="insert")
    rows = value("spanwatch_store_inserted_rows_total", table="windows")
    with pytest.raises(StoreError):
        store.insert("windows", pa.table({"no_such_column": [1]}), "counted:2")
    assert value("spanwatch_store_errors_total", operation="insert") == before + 1
    assert value("spanwatch_store_inserted_rows_total", table="windows") == rows
