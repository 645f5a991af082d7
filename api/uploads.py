"""Capture files that are uploaded: taken in piece by piece, kept under a name made of what is in them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

from api.errors import failure
from api.files import NamedFile
from infra.settings import Settings

log = logging.getLogger(__name__)

_HASH_CHARACTERS = 16
_RESERVED_BYTES = 1_000_000_000
"""Disk that an upload leaves free: the store and the broker write to the same one."""

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
        Where it is, and how large a file may be.
    """

    def __init__(self, settings: Settings) -> None:
        self._state = settings.state
        self._folder = settings.uploads_folder
        self._most = settings.upload_max_bytes

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
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=".part-", dir=self._folder))
        try:
            digest = await self._write(folder / "file", body)
            path = self._folder / digest[:_HASH_CHARACTERS] / file_name(name)
            await asyncio.to_thread(_keep, folder / "file", path)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return NamedFile(path=path, name=str(path.relative_to(self._state)))

    def _check(self, length: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._check_length(length)
        if shutil.disk_usage(self._folder).free < length + _RESERVED_BYTES:
            raise failure(507, "There is no room on the disk for this file.")

    def _check_length(self, length: int) -> None:
        if length > self._most:
            sentence = f"A file may have {self._most} bytes at most (SPANWATCH_UPLOAD_MAX_BYTES)."
            raise failure(413, f"{sentence} Put a larger one into a data root and have it computed by name.")

    async def _write(self, path: Path, body: AsyncIterator[bytes]) -> str:
        """Write the body; return the hash of its content."""
        content, taken, begin = hashlib.sha256(), 0, b""
        with path.open("wb") as file:
            async for piece in body:
                taken += len(piece)
                self._check_length(taken)
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


def _keep(part: Path, path: Path) -> None:
    """Move a file to its place; one that is there stays, so that what was computed of it is found again."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        part.replace(path)
    log.info("a capture file was uploaded: %s", path.name)


def file_name(name: str) -> str:
    """Return a name that is safe in every file system, as close to its user's as can be."""
    last = PurePosixPath(name.replace("\\", "/")).name
    safe = _FORBIDDEN.sub("_", last).lstrip(".")[-_NAME_CHARACTERS:]
    return safe or "capture"
