from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.store import Store
from tests.api.stack import Running, running, settings_in


@pytest.fixture(scope="module")
def module_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(f"chdb://{tmp_path_factory.mktemp('store')}") as store:
        store.migrate()
        yield store


@pytest.fixture
def store(module_store: Store) -> Iterator[Store]:
    yield module_store
    for table in ("captures", "ledger", "windows", "packet_logs"):
        module_store.command(f"TRUNCATE TABLE {table}")


@pytest.fixture
def stack(store: Store, tmp_path: Path) -> Iterator[Running]:
    with running(settings_in(tmp_path), store) as stack:
        yield stack
