"""Capture files that are uploaded: taken in piece by piece, kept for a time under a name made of what is in them."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path, PurePosixPath

from api.errors import failure
from api.files import NamedFile
from infra.settings import Settings

log = logging.getLogger(__name__)

_HASH_CHARACTERS = 16
_RESERVED_BYTES = 1_000_000_000
"""Disk that an upload leaves free: the store and the broker write to the same one."""

_LOOK_BYTES = 16_000_000
"""Pieces of an upload after which the room on the disk is looked at again."""

_PART = ".part-"
"""What the folder of an unfinished upload begins with; the process that writes into it holds a lock on it."""

_KEPT = re.compile(rf"[0-9a-f]{{{_HASH_CHARACTERS}}}")

_DAY_S = 86_400
_TIDY_S = 3600.0

_FORBIDDEN = re.compile(r"[^\w.+()@-]+", re.ASCII)
_NAME_CHARACTERS = 120

_MAGICS = (
    *(b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1"),
    b"\x0a\x0d\x0d\x0a",
    b"\x1f\x8b",
)
"""What captures begin with: pcap with µs and ns in both byte orders, pcapng, and either of them packed by gzip."""


class Uploads:
    """The folder of uploaded files.

    Parameters
    ----------
    settings : Settings
        Where it is, how large a file may be, and how long it is kept.
    """

    def __init__(self, settings: Settings) -> None:
        self._state = settings.state
        self._folder = settings.uploads_folder
        self._most = settings.upload_max_bytes
        self._kept_s = settings.uploads_ttl_days * _DAY_S

    async def take(self, name: str, length: int | None, body: AsyncIterator[bytes]) -> NamedFile:
        """Store a body as a file; the same content under the same name is the file that is there already.

        Parameters
        ----------
        name : str
            As its user calls it; folders in it are left out.
        length : int or None
            Bytes that the request says it has.
        body : async iterator of bytes
            The file.

        Raises
        ------
        Refusal
            400 when it is no capture, 413 when it is too long, 507 when there is no room for it.
        """
        await asyncio.to_thread(self._check, length or 0)
        part, lock = await asyncio.to_thread(self._make_part)
        try:
            digest = await self._write(part / "file", body)
            path = self._folder / digest[:_HASH_CHARACTERS] / file_name(name)
            await asyncio.to_thread(self._keep, part / "file", path)
        finally:
            try:
                await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
            finally:
                os.close(lock)
        return NamedFile(path=path, name=str(path.relative_to(self._state)))

    def tidy(self) -> None:
        """Remove what unfinished uploads of processes that are gone have left, and files that were kept long enough."""
        if not self._folder.is_dir():
            return
        for part in self._folder.glob(f"{_PART}*"):
            with _locked(part, fcntl.LOCK_EX | fcntl.LOCK_NB) as is_ours:
                if is_ours:
                    shutil.rmtree(part, ignore_errors=True)
                    log.info("an upload that nobody goes on with was removed: %s", part.name)
        oldest_s = time.time() - self._kept_s
        for kept in self._folder.iterdir():
            if _KEPT.fullmatch(kept.name) and kept.is_dir() and not kept.is_symlink():
                with _locked(self._folder, fcntl.LOCK_EX):
                    if kept.stat().st_mtime < oldest_s:
                        shutil.rmtree(kept, ignore_errors=True)
                        log.info("an uploaded file was kept long enough and removed: %s", kept.name)

    def _make_part(self) -> tuple[Path, int]:
        """Return a folder to write into, and the lock that says so, which the kernel takes back when we end."""
        while True:
            part = Path(tempfile.mkdtemp(prefix=_PART, dir=self._folder))
            with suppress(FileNotFoundError):
                lock = os.open(part, os.O_RDONLY | os.O_DIRECTORY)
                fcntl.flock(lock, fcntl.LOCK_EX)
                if part.exists():
                    return part, lock
                # Somebody tidied between the two.
                os.close(lock)

    def _keep(self, part: Path, path: Path) -> None:
        """Move a file to its place; one that is there stays, so that what was computed of it is found again."""
        with _locked(self._folder, fcntl.LOCK_EX):
            path.parent.mkdir(exist_ok=True)
            if not path.exists():
                part.replace(path)
            os.utime(path.parent)
        log.info("a capture file was uploaded: %s", path.name)

    def _check(self, length: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._check_length(length)
        self._check_room(length)

    def _check_room(self, length: int) -> None:
        if shutil.disk_usage(self._folder).free < length + _RESERVED_BYTES:
            raise failure(507, "There is no room on the disk for this file.")

    def _check_length(self, length: int) -> None:
        if length > self._most:
            sentence = f"A file may have {self._most} bytes at most (SPANWATCH_UPLOAD_MAX_BYTES)."
            raise failure(413, f"{sentence} Put a larger one into a data root and have it computed by name.")

    async def _write(self, path: Path, body: AsyncIterator[bytes]) -> str:
        """Write the body; return the hash of its content."""
        content, taken, begin, looked = hashlib.sha256(), 0, b"", 0
        with path.open("wb") as file:
            async for piece in body:
                taken += len(piece)
                self._check_length(taken)
                if taken - looked >= _LOOK_BYTES:
                    # Others write to the same disk, and a body need not say how long it is.
                    looked = taken
                    await asyncio.to_thread(self._check_room, 0)
                if len(begin) < max(map(len, _MAGICS)):
                    begin += piece[:4]
                    _check_begin(begin)
                content.update(piece)
                await asyncio.to_thread(file.write, piece)
        if not begin.startswith(_MAGICS):
            raise _no_capture()
        return content.hexdigest()


def _check_begin(begin: bytes) -> None:
    """Refuse what cannot be a capture as soon as that is known, not after gigabytes of it."""
    if not any(begin.startswith(magic) or magic.startswith(begin) for magic in _MAGICS):
        raise _no_capture()


def _no_capture() -> Exception:
    return failure(400, "This is not a capture file: neither pcap nor pcapng, nor one of them packed by gzip.")


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[bool]:
    """Hold a lock on a folder (flock(2)); yield whether it could be had."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@asynccontextmanager
async def tidied(settings: Settings) -> AsyncIterator[None]:
    """Keep the folder of uploads tidy, now and every hour, as long as the context is open."""
    task = asyncio.create_task(_tidy(Uploads(settings)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def _tidy(uploads: Uploads) -> None:
    while True:
        try:
            await asyncio.to_thread(uploads.tidy)
        except OSError as error:
            log.warning("the uploads cannot be tidied: %s", error)
        await asyncio.sleep(_TIDY_S)


def file_name(name: str) -> str:
    """Return a name that is safe in every file system, as close to its user's as can be."""
    last = PurePosixPath(name.replace("\\", "/")).name
    safe = _FORBIDDEN.sub("_", last).lstrip(".")[-_NAME_CHARACTERS:]
    return safe or "capture"
