"""A store that keeps the plans of what it is asked."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from infra.store import Store


class Listening:
    """The store, and the statements that were sent to it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.plans: list[str] = []

    def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, object]]:
        plan = self._store.query("EXPLAIN indexes = 1, actions = 1 " + sql, parameters)
        self.plans.append("\n".join(str(row["explain"]) for row in plan))
        return self._store.query(sql, parameters)

    def query_arrow(self, sql: str, parameters: dict[str, Any] | None = None) -> pa.Table:
        self.query(sql, parameters)
        return self._store.query_arrow(sql, parameters)


def plans_of(listening: Listening, table: str) -> list[str]:
    return [plan for plan in listening.plans if f".{table})" in plan]
