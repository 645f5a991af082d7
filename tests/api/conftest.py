from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.store import Store
from schemas.service_tables import SERVICE_TABLES
from schemas.tables import TABLES
from tests.api.stack import Running, running, settings_in


def empty(store: Store) -> None:
    for table in (*TABLES, *SERVICE_TABLES):
        store.command(f"TRUNCATE TABLE {table.name}")


@pytest.fixture(scope="module")
def module_store(session_store: Store) -> Store:
    """The store of the whole run, without what other tests left there."""
    empty(session_store)
    return session_store


@pytest.fixture
def store(module_store: Store) -> Iterator[Store]:
    yield module_store
    empty(module_store)


@pytest.fixture
def stack(store: Store, tmp_path: Path) -> Iterator[Running]:
    with running(settings_in(tmp_path), store) as stack:
        yield stack
