"""Where a store can stand, and how another one takes its place: a folder, or a database of a server."""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from infra.backup import TABLES, copy_table
from infra.settings import Settings
from infra.store import Store
from infra.store_clients import DATABASE
from schemas.errors import StoreError

log = logging.getLogger(__name__)

OpenStore = Callable[[Settings], Store]
"""Opens the store of settings, without migrating it."""

_ROWS = """
SELECT sum(total_rows) AS rows FROM system.tables
WHERE database = currentDatabase() AND name != 'schema_migrations' AND engine LIKE '%MergeTree'
"""

_MAYBE_NO_KEYS = "Files of the state folder (keys.json) were not restored yet: the next restore writes them."

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""Arguments of renameat2(2)."""


class Place(ABC):
    """Where a store stands.

    Parameters
    ----------
    settings : Settings
        Name it.
    beside : str
        Address of the fresh store that is to take its place.
    open_store : callable
        Opens the store of settings.
    """

    def __init__(self, settings: Settings, beside: str, open_store: OpenStore) -> None:
        self._settings = settings
        self._fresh_settings = settings.model_copy(update={"clickhouse": beside})
        self._open = open_store

    @abstractmethod
    def recover(self) -> None:
        """Put right, and log, what a restore left that died as it replaced the store; nothing may have that open.

        Raises
        ------
        StoreError
            It cannot be put right.
        """

    def holds_rows(self) -> bool:
        """Whether there is a store with rows; raises ``StoreError`` when it cannot be looked at."""
        with self._open(self._settings) as store:
            return bool(store.query(_ROWS)[0]["rows"])

    @contextmanager
    def fresh(self) -> Iterator[Store]:
        """Open an empty store beside it; it is removed when something fails."""
        self._drop_fresh()
        try:
            with self._open(self._fresh_settings) as store:
                yield store
        except BaseException:
            self._drop_fresh()
            raise

    @abstractmethod
    def _drop_fresh(self) -> None:
        """Remove the fresh store, where there is one."""

    @abstractmethod
    def replace(self, *, keep: bool) -> str:
        """Put the fresh store in its place; return where the rows are now that were there, when they are kept."""


def place_of(settings: Settings, open_store: OpenStore) -> Place:
    """Return where the store of settings stands."""
    kind = FolderPlace if settings.has_embedded_store else DatabasePlace
    return kind(settings, open_store)


def _now() -> str:
    # To the microsecond: two in the same second are two.
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S_%f}"


class FolderPlace(Place):
    """The folder of an embedded store; it is replaced at once, by renaming.

    Both folders lie side by side as they are exchanged, and the name of the one beside holds the inode of the fresh
    one: whoever finds it later knows by that which of the two it is.
    """

    def __init__(self, settings: Settings, open_store: OpenStore) -> None:
        self._folder = Path(settings.clickhouse.removeprefix("chdb://")).expanduser().resolve()
        self._fresh = self._folder.with_name(f"{self._folder.name}.restoring")
        self._moving = f"{self._folder.name}.replacing-"
        super().__init__(settings, f"chdb://{self._fresh}", open_store)

    def __str__(self) -> str:
        """Return its path."""
        return str(self._folder)

    def holds_rows(self) -> bool:
        """Whether there is a store with rows; raises ``StoreError`` when another process has it."""
        return self._folder.is_dir() and any(self._folder.iterdir()) and super().holds_rows()

    def _drop_fresh(self) -> None:
        shutil.rmtree(self._fresh, ignore_errors=True)

    def _aside(self) -> Path:
        return self._folder.with_name(f"{self._folder.name}.before-{_now()}")

    def recover(self) -> None:
        """Put right what a restore left that died as it replaced the store; see ``Place``."""
        beside = self._folder.parent
        try:
            found = [path for path in beside.iterdir() if path.name.startswith(self._moving)] if beside.is_dir() else []
            for moving in found:
                log.warning("A restore was interrupted as it replaced the store. %s", self._put_right(moving))
        except OSError as error:
            raise StoreError(
                f"What a restore left that was interrupted cannot be put right: {error.filename}: {error.strerror}"
            ) from error

    def _put_right(self, moving: Path) -> str:
        """Give one of the two folders the name that it should have; return what is so now."""
        if moving.name != f"{self._moving}{moving.stat().st_ino}":
            aside = self._aside()
            moving.rename(aside)
            return f"What was restored is the store; the one that was there is now {aside}. {_MAYBE_NO_KEYS}"
        if not self._folder.exists():
            moving.rename(self._folder)
            return f"What was restored is the store; the one that was there is beside it (.before-…). {_MAYBE_NO_KEYS}"
        self._drop_fresh()
        moving.rename(self._fresh)
        return f"The store is as it was: restore it again, or remove {self._fresh}."

    def replace(self, *, keep: bool) -> str:
        """Put the fresh folder in its place; return where the other one is now, when it is kept."""
        if not self._folder.exists():
            self._fresh.rename(self._folder)
            return ""
        aside = self._aside()
        moving = self._folder.with_name(f"{self._moving}{self._fresh.stat().st_ino}")
        self._fresh.rename(moving)
        if _exchange(moving, self._folder):
            moving.rename(aside)
        else:
            # A file system that cannot exchange two folders: for a moment there is none.
            self._folder.rename(aside)
            moving.rename(self._folder)
        if keep:
            return str(aside)
        shutil.rmtree(aside)
        return ""


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders at once; whether the file system can."""
    done: int = ctypes.CDLL(None).renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    )
    return done == 0


class DatabasePlace(Place):
    """A database of a server.

    Views name the database they are in, so that no database can take another one's name: the rows are moved instead,
    table by table, by links to their files. A restore that dies meanwhile is done again.
    """

    def __init__(self, settings: Settings, open_store: OpenStore) -> None:
        url = urlsplit(settings.clickhouse)
        self._name = url.path.strip("/") or DATABASE
        self._fresh = f"{self._name}_restoring"
        super().__init__(settings, url._replace(path=f"/{self._fresh}").geturl(), open_store)

    def __str__(self) -> str:
        """Return what it is."""
        return f"the database {self._name}"

    def recover(self) -> None:
        """Do nothing: what a restore left is removed by the next one, and rows set aside stay."""

    def _drop_fresh(self) -> None:
        with self._open(self._settings) as store:
            store.command(f"DROP DATABASE IF EXISTS {self._fresh} SYNC")

    def replace(self, *, keep: bool) -> str:
        """Put the fresh database's rows in its place; return the database with the other rows, when they are kept."""
        aside = f"{self._name}_before_{_now()}" if keep else ""
        with self._open(self._settings) as store:
            if keep:
                store.command(f"CREATE DATABASE {aside}")
                for name in _tables(store):
                    copy_table(store, name, f"{aside}.{name}")
            store.command(f"DROP DATABASE {self._name} SYNC")
        with self._open(self._fresh_settings) as store:
            names = _tables(store)
        with self._open(self._settings) as store:
            store.migrate()
            for name in names:
                store.command(f"ALTER TABLE {name} ATTACH PARTITION ALL FROM {self._fresh}.{name}")
        self._drop_fresh()
        return aside and f"the database {aside}"


def _tables(store: Store) -> list[str]:
    """Return the tables of a store's database that hold rows."""
    return [str(row["name"]) for row in store.query(TABLES, {"record": "schema_migrations"})]
