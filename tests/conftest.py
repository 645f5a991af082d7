"""Things with a lifetime that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from infra.store import Store

# The first example of a test may compile a kernel, and a busy machine be slow at any.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the one embedded store of this test run."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def session_store(store_folder: Path) -> Iterator[Store]:
    """A migrated embedded store.

    A process has one engine on one folder, so there is one store for the whole run: tests keep apart by using
    capture ids of their own. What needs another folder, a crash or a reopening runs in a process of its own.
    """
    with Store.open(f"chdb://{store_folder}") as opened:
        opened.migrate()
        yield opened


@pytest.fixture(scope="session")
def store(session_store: Store) -> Store:
    """The store, for tests that use capture ids of their own."""
    return session_store
