"""API keys: made and kept in a file of the state folder, read again whenever that file changes.

A key is ``sw_ID_SECRET``: 10 hexadecimal digits that find its record, and 256 random bits. The file holds the SHA-256
of the whole key. A slow hash (scrypt, Argon2) protects passwords, which can be guessed; nobody guesses 256 random bits
(NIST SP 800-63B, section 5.1.2.2, asks for one where a secret has less than 112 bits), and it would cost each
request some 50 ms.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.access import Scope
from infra.settings import Settings
from schemas.errors import SpanwatchError

logger = logging.getLogger(__name__)

NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$"
"""Names of keys: they stand in the audit and in logs."""

_PREFIX = "sw"
_SECRET_BYTES = 32


class KeyFileError(SpanwatchError):
    """The file of keys cannot be used, or there is no such key."""


class KeyRecord(BaseModel):
    """What is kept of a key.

    Parameters
    ----------
    key_id : str
        10 hexadecimal digits.
    name : str
        Whose it is or what it is for; a key that is being rotated shares it with its successor.
    scopes : frozenset of Scope
        What it allows.
    sha256 : str
        Of the whole key, hexadecimal.
    created_s, expires_s, revoked_s : float or None
        Seconds since the epoch; None for never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_id: Annotated[str, Field(pattern="^[0-9a-f]{10}$")]
    name: Annotated[str, Field(pattern=NAME)]
    scopes: frozenset[Scope]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    created_s: float
    expires_s: float | None = None
    revoked_s: float | None = None

    def is_valid(self, now_s: float) -> bool:
        """Whether it still counts."""
        return self.revoked_s is None and (self.expires_s is None or now_s < self.expires_s)


class KeyFile(BaseModel):
    """The file: every key there ever was, revoked ones included, so that the audit's ids can be looked up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=1, ge=1, le=1)
    keys: tuple[KeyRecord, ...] = ()


def key_path(settings: Settings) -> Path:
    """Return where the keys are kept."""
    return settings.state / "keys.json"


def hash_of(key: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key(name: str, scopes: frozenset[Scope], now_s: float, expires_s: float | None) -> tuple[str, KeyRecord]:
    """Return a new key and its record."""
    key_id = secrets.token_hex(5)
    key = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    record = KeyRecord(
        key_id=key_id, name=name, scopes=scopes, sha256=hash_of(key), created_s=now_s, expires_s=expires_s
    )
    return key, record


def read_keys(path: Path) -> KeyFile:
    """Read the file; without one there are no keys.

    Raises
    ------
    KeyFileError
        It cannot be read, or is none of ours.
    """
    try:
        return KeyFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return KeyFile()
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a file of keys"
        raise KeyFileError(f"The keys in {path} cannot be read: {why}.") from error


@contextmanager
def changing(path: Path) -> Iterator[list[KeyRecord]]:
    """Yield the records to change in place; afterwards the file is replaced as a whole, for its owner's eyes only.

    One at a time: a second caller waits.

    Raises
    ------
    KeyFileError
        The file cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("a") as lock:
            _give(lock.fileno(), path.parent)
            fcntl.flock(lock, fcntl.LOCK_EX)
            records = list(read_keys(path).keys)
            yield records
            _replace(path, KeyFile(keys=tuple(records)))
    except OSError as error:
        raise KeyFileError(f"The keys in {path} cannot be written: {error.strerror}.") from error


def _replace(path: Path, content: KeyFile) -> None:
    fresh = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content.model_dump_json(indent=1))
        file.flush()
        _give(descriptor, path.parent)
        os.fsync(descriptor)
    fresh.replace(path)


def _give(descriptor: int, folder: Path) -> None:
    """Let a file that root has made belong to whoever has its folder: the service may run as somebody else."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


_own: list[tuple[str, KeyRecord]] = []


def own_key() -> str:
    """Return a key that only this process knows: by it ``spanwatch up`` asks the API that it has started."""
    if not _own:
        _own.append(new_key("spanwatch up", frozenset({Scope.READ, Scope.CAPTURE}), time.time(), None))
    return _own[0][0]


class KeyRing:
    """The keys that count, as the file has them now.

    Parameters
    ----------
    path : Path
        The file. One that cannot be read holds no keys: nobody gets in, and the log says why.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._records: dict[str, KeyRecord] = {}

    def find(self, key: str) -> KeyRecord | None:
        """Return the record of a key that counts now, or None."""
        self._refresh()
        prefix, _, rest = key.partition("_")
        key_id = rest.partition("_")[0]
        record = self._records.get(key_id) or next((own for _, own in _own if own.key_id == key_id), None)
        # The id is no secret; what is compared in constant time is.
        if record is None or prefix != _PREFIX or not hmac.compare_digest(record.sha256, hash_of(key)):
            return None
        return record if record.is_valid(time.time()) else None

    def _refresh(self) -> None:
        """Read the file again when it is another one; one call to the kernel, 2 µs."""
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
        except OSError:
            seen = None
        if seen == self._seen:
            return
        try:
            records = read_keys(self._path).keys
        except KeyFileError as error:
            logger.error("%s Nobody gets in by a key.", error)  # noqa: TRY400 - the sentence says it all
            records = ()
        self._records = {record.key_id: record for record in records}
        self._seen = seen
