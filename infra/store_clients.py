"""How a ClickHouse client is made, kept and closed; nothing else here knows embedded from server."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError

from schemas.errors import StoreError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

DATABASE = "spanwatch"
"""Database inside the embedded store, and on a server when the address names none."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

for _name in ("urllib3.connectionpool", "clickhouse_connect.driver._backend.http_sync"):
    # What they warn of, they raise as well: whoever catches it tells of it once.
    logging.getLogger(_name).setLevel(logging.ERROR)

_CONNECT_TIMEOUT_S = 4
"""Of one attempt; the driver makes two."""

_FIRST_ANSWER_TIMEOUT_S = 6
"""Of a server that is asked for the first time, for its version: one that is silent is told of at the start."""

_ANSWER_TIMEOUT_S = 300

_SESSION: dict[str, str | int] = {
    "date_time_input_format": "best_effort",
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_compression_method": "none",
}
"""Settings of every client, on both kinds of store."""

INSERT_SETTINGS: dict[str, str | int] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # One insert is one block in the table and behind every view: a repeat then repeats exactly the same blocks.
    "min_insert_block_size_rows": 1_048_576,
    "min_insert_block_size_bytes": 1 << 30,
    "max_insert_block_size": 1_048_576,
    "max_insert_threads": 1,
    "max_threads": 1,
    "max_partitions_per_insert_block": 0,
}
"""Settings of an insert with a token."""

_MIB = 1 << 20

_UNDER_WAY = 16
"""Merges and deletions that may be under way at once."""

_ENGINE: dict[str, int] = {
    # Merging and deleting take the time that nobody else wants (nice(1)); an insert or a query does not wait for them.
    "os_threads_nice_value_merge_mutate": 15,
    # With a queue that is soon full, as few processors have by default (2), the engine pauses for tenths of a second
    # between two parts: a deletion that looks into 160 of them takes 25 s where 4 may be under way, and 5 s with 16.
    "background_merges_mutations_concurrency_ratio": max(2, _UNDER_WAY // (os.cpu_count() or 1)),
    # By default some 5 GB each: a process that is asked about more and more captures would grow for weeks.
    "mark_cache_size": 64 * _MIB,
    "index_mark_cache_size": 32 * _MIB,
    "primary_index_cache_size": 64 * _MIB,
    "query_condition_cache_size": 16 * _MIB,
}
"""Settings of the embedded engine as a whole; a server has its own."""

_UNAVAILABLE_CODES = frozenset({3, 159, 160, 164, 202, 209, 210, 241, 242, 243, 252, 279, 999})
"""ClickHouse error codes that another try can clear: time-outs, memory, disk space, too many parts or queries."""

_WRONG_PASSWORD_CODES = frozenset({192, 193, 194, 516})
"""ClickHouse error codes of a refused login."""


def refused(error: ClickHouseError, doing: str) -> StoreError:
    """Return the error to tell the user for one of the driver's, in one sentence."""
    text = str(error).partition("Stack trace")[0].strip().splitlines()[0]
    text = text.rpartition("DB::Exception: ")[2]
    code = getattr(error, "code", None)
    if code in _WRONG_PASSWORD_CODES:
        failure = StoreError("ClickHouse refuses this user and password; check SPANWATCH_CLICKHOUSE")
        failure.can_retry = False
        return failure
    if code is None and ("HTTP" in text or "Connection" in text):
        return StoreError(f"ClickHouse does not answer ({doing})")
    failure = StoreError(f"ClickHouse refused {doing}: {text}")
    failure.can_retry = code in _UNAVAILABLE_CODES
    return failure


def _embedded(folder: Path) -> Callable[[str], Client]:
    """Return what makes clients of the engine in this process, its data under ``folder``."""

    def connect(database: str) -> Client:
        return clickhouse_connect.get_client(
            interface="chdb", path=str(folder), database=database, settings=_SESSION, chdb_options=_ENGINE
        )

    return connect


def _server(dsn: str, answer_timeout_s: int) -> Callable[[str], Client]:
    """Return what makes clients of a server that wait so long for an answer."""
    url = urlsplit(dsn)
    tls = url.scheme == "https"

    def connect(database: str) -> Client:
        return clickhouse_connect.get_client(
            host=url.hostname or "localhost",
            port=url.port or (8443 if tls else 8123),
            username=unquote(url.username or "default"),
            password=unquote(url.password or ""),
            secure=tls,
            database=database,
            settings=_SESSION,
            connect_timeout=_CONNECT_TIMEOUT_S,
            send_receive_timeout=answer_timeout_s,
            autogenerate_session_id=False,
        )

    return connect


class Clients:
    """Clients of one store, each used by one thread at a time.

    A thread takes an idle client or a new one and gives it back, so there are as many as there were ever calls at the
    same time. All clients of an embedded store share the one engine of the process.

    Parameters
    ----------
    dsn : str
        ``chdb://FOLDER`` or ``http(s)://user:password@host:port/database``.

    Raises
    ------
    StoreError
        When the address makes no sense, or the store cannot be opened or reached.
    """

    def __init__(self, dsn: str) -> None:
        self._idle: list[Client] = []
        self._lock = threading.Lock()
        self._is_closed = False
        scheme, _, rest = dsn.partition("://")
        if scheme == "chdb" and rest:
            folder = Path(rest).expanduser().resolve()
            self.place = f"the folder {folder}"
            self.database = DATABASE
            self._connect = _embedded(folder)
            self._prepare_folder(folder)
        elif scheme in ("http", "https") and urlsplit(dsn).hostname:
            url = urlsplit(dsn)
            self.place = f"the server {url.hostname}:{url.port or (8443 if scheme == 'https' else 8123)}"
            self.database = url.path.strip("/") or DATABASE
            self._connect = _server(dsn, _FIRST_ANSWER_TIMEOUT_S)
        else:
            raise _final("SPANWATCH_CLICKHOUSE must be chdb://FOLDER or http(s)://user:password@host:port/database")
        if not _IDENTIFIER.fullmatch(self.database):
            raise _final(f"{self.database!r} is not a database name: letters, digits and _ only")
        if scheme != "chdb":
            self._open("default").close()
            self._connect = _server(dsn, _ANSWER_TIMEOUT_S)
        self._create_database()

    def _prepare_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _final(f"the store's folder {folder} cannot be made: {error.strerror}") from error

    def _create_database(self) -> None:
        first = self._open("default")
        try:
            first.command(f"CREATE DATABASE IF NOT EXISTS {self.database}")
        except ClickHouseError as error:
            raise refused(error, f"to make the database {self.database}") from error
        finally:
            # Opened before this one is closed: an engine without a handle stops, and starting it again takes longer.
            self._idle.append(self._open(self.database))
            first.close()

    def _open(self, database: str) -> Client:
        try:
            return self._connect(database)
        except ClickHouseError as error:
            raise self._cannot_open(error) from error

    def _cannot_open(self, error: ClickHouseError) -> StoreError:
        text = str(error)
        if "already initialized with path" in text:
            return _final("this process already has another embedded store open; close that one first")
        if "EmbeddedServer" in text:
            return StoreError(
                f"{self.place} cannot be opened: another process has it open (stop it, or give this one another "
                "SPANWATCH_STATE), or its files are not ours to write"
            )
        if getattr(error, "code", None) in _WRONG_PASSWORD_CODES:
            return _final(f"{self.place} refuses this user and password; check SPANWATCH_CLICKHOUSE")
        if getattr(error, "code", None) is not None:
            return refused(error, f"to open {self.place}")
        return StoreError(f"{self.place} does not answer; is ClickHouse running there?")

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Lend a client to the calling thread.

        Raises
        ------
        StoreError
            When the store is closed or cannot be reached.
        """
        with self._lock:
            if self._is_closed:
                raise _final("the store is closed")
            idle = self._idle.pop() if self._idle else None
        taken = idle or self._open(self.database)
        try:
            yield taken
        finally:
            with self._lock:
                is_kept = not self._is_closed
                if is_kept:
                    self._idle.append(taken)
            if not is_kept:
                taken.close()

    def close(self) -> None:
        """Close every idle client now and every lent one when it comes back; later calls fail."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for one in idle:
            one.close()


def _final(sentence: str) -> StoreError:
    """Return an error that another try does not clear."""
    failure = StoreError(sentence)
    failure.can_retry = False
    return failure
