"""The form of a backup: a tar archive that is written and read in one pass, member by member.

::

    backup.json                       what it is of: versions, tables, columns, rows (schemas.backups.BackupHeader)
    captures/000001.3.native.zst      3 rows of the table captures in ClickHouse's Native format, packed with zstd
    …
    state/keys.json                   files of the state folder
    manifest.SHA256.json              length and SHA-256 of every member before it; its own is in its name

Nothing is known in advance of what is packed, so the manifest stands last: an archive without it was cut off. The sums
find damage; they are no signature, for whoever can change an archive can change them, too.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import zstandard
from pydantic import BaseModel, ValidationError

from schemas.backups import FORMAT, BackupHeader, BackupManifest, BackupMember
from schemas.errors import BackupError

Model = TypeVar("Model", bound=BaseModel)

HEADER = "backup.json"

LEVEL = 3
"""Of zstd: packets become about 2 bytes each here, faster than a disk writes them."""

MAX_CHUNK_BYTES = 1 << 30
"""Longest member, packed or not: what claims more is not ours."""

_CHUNK = re.compile(r"([a-z][a-z0-9_]*)/(\d{6,})\.(\d+)\.native\.zst")
_FILE = re.compile(r"state/([a-z_]+\.json)")
_MANIFEST = re.compile(r"manifest\.([0-9a-f]{64})\.json")


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table.

    Parameters
    ----------
    table : str
        The table.
    rows : int
        How many.
    native : bytes
        The rows in ClickHouse's Native format, with the columns that the header names.
    """

    table: str
    rows: int
    native: bytes


@dataclass(frozen=True)
class StateFile:
    """A small file of the state folder."""

    name: str
    content: bytes


def write_archive(header: BackupHeader, pieces: Iterable[Chunk | StateFile]) -> Iterator[bytes]:
    """Yield an archive, piece by piece; see the module for its form.

    Parameters
    ----------
    header : BackupHeader
        What it is of.
    pieces : iterable of Chunk or StateFile
        What it holds, the chunks in the order of the header's tables.
    """
    made_s = int(header.made_at.timestamp())
    packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    members: list[BackupMember] = []
    number = 0

    def member(name: str, content: bytes) -> bytes:
        members.append(BackupMember(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
        return _packed(name, content, made_s)

    yield member(HEADER, header.model_dump_json(indent=1).encode())
    for piece in pieces:
        if isinstance(piece, StateFile):
            yield member(f"state/{piece.name}", piece.content)
            continue
        number += 1
        yield member(f"{piece.table}/{number:06d}.{piece.rows}.native.zst", packer.compress(piece.native))
    manifest = BackupManifest(members=tuple(members)).model_dump_json(indent=1).encode()
    yield _packed(f"manifest.{hashlib.sha256(manifest).hexdigest()}.json", manifest, int(time.time()))
    # The end of a tar archive: two blocks of zeros (POSIX.1-2017, pax, "ustar Interchange Format").
    yield bytes(2 * tarfile.BLOCKSIZE)


def _packed(name: str, content: bytes, made_s: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(content), made_s, 0o600
    padding = -len(content) % tarfile.BLOCKSIZE
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(padding)


class ArchiveReader:
    """Reads an archive in one pass and refuses it when it is damaged.

    A damaged chunk may be handed out before the manifest is reached: what is made of it does not count until
    ``pieces`` has come to its end.

    Parameters
    ----------
    file : binary file
        The archive, at its beginning; it need not be seekable.

    Raises
    ------
    BackupError
        It is none of ours, or was written by a newer program.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._seen: list[BackupMember] = []
        try:
            self._tar = tarfile.open(fileobj=file, mode="r|")  # noqa: SIM115 - closed with the file
        except tarfile.TarError as error:
            raise _foreign() from error
        self._members = self._read()
        name, content = next(self._members, ("", b""))
        if name != HEADER:
            raise _foreign()
        self.header = _parsed(BackupHeader, content)
        if self.header.format > FORMAT:
            raise BackupError(
                f"The archive was written by spanwatch {self.header.program}, which is newer than this one: "
                "restore it with that version."
            )

    def pieces(self, *, is_unpacked: bool = True) -> Iterator[Chunk | StateFile]:
        """Yield what the archive holds, then check it against its manifest.

        Parameters
        ----------
        is_unpacked : bool
            Whether chunks are wanted with their rows; without, reading is as fast as hashing.

        Raises
        ------
        BackupError
            It is cut off or damaged.
        """
        unpacker = zstandard.ZstdDecompressor()
        rows = dict.fromkeys((table.name for table in self.header.tables), 0)
        for name, content in self._members:
            if manifest := _MANIFEST.fullmatch(name):
                self._check(manifest[1], content, rows)
                return
            if chunk := _CHUNK.fullmatch(name):
                if chunk[1] not in rows:
                    raise BackupError(f"The archive is damaged: it has rows of {chunk[1]}, which it does not announce.")
                rows[chunk[1]] += int(chunk[3])
                yield Chunk(chunk[1], int(chunk[3]), _unpacked(unpacker, name, content) if is_unpacked else b"")
            elif file := _FILE.fullmatch(name):
                yield StateFile(file[1], content)
            else:
                raise BackupError(f"The archive is damaged: it has a member {name[:80]!r}.")
        raise BackupError("The archive is cut off: its end is missing. Nothing of it was restored.")

    def _read(self) -> Iterator[tuple[str, bytes]]:
        """Yield names and contents of the members, noting them."""
        try:
            for info in self._tar:
                if not info.isreg() or not 0 <= info.size <= MAX_CHUNK_BYTES:
                    raise BackupError(f"The archive is damaged: its member {info.name[:80]!r} is none of ours.")
                source = self._tar.extractfile(info)
                content = source.read() if source else b""
                # A tar file keeps what it has seen; a large archive has many members.
                self._tar.members = []  # type: ignore[attr-defined]
                digest = hashlib.sha256(content).hexdigest()
                self._seen.append(BackupMember(name=info.name, bytes=len(content), sha256=digest))
                yield info.name, content
        except (tarfile.TarError, EOFError, ValueError, UnicodeError) as error:
            raise BackupError("The archive is cut off or damaged: it cannot be read to its end.") from error

    def _check(self, sha256: str, content: bytes, rows: dict[str, int]) -> None:
        """Compare what was read with the manifest."""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BackupError("The archive is damaged: its manifest is not the one that was written.")
        seen = self._seen[:-1]
        for told, found in zip(_parsed(BackupManifest, content).members, seen, strict=False):
            if told != found:
                raise BackupError(f"The archive is damaged: {told.name} is not what was written.")
        if len(_parsed(BackupManifest, content).members) != len(seen):
            raise BackupError("The archive is damaged: it has not the members that were written.")
        for table in self.header.tables:
            if rows[table.name] != table.rows:
                raise BackupError(
                    f"The archive is damaged: {rows[table.name]:,} of {table.rows:,} rows of {table.name}."
                )


def _unpacked(unpacker: zstandard.ZstdDecompressor, name: str, content: bytes) -> bytes:
    try:
        with unpacker.stream_reader(io.BytesIO(content)) as reader:
            native = reader.read(MAX_CHUNK_BYTES + 1)
    except zstandard.ZstdError as error:
        raise BackupError(f"The archive is damaged: {name} cannot be unpacked.") from error
    if len(native) > MAX_CHUNK_BYTES:
        raise BackupError(f"The archive is damaged: {name} unpacks to more than {MAX_CHUNK_BYTES:,} bytes.")
    return native


def _parsed(model: type[Model], content: bytes) -> Model:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise BackupError("The archive is damaged: it does not say what it holds.") from error


def _foreign() -> BackupError:
    return BackupError("This is no backup of spanwatch, or its beginning is damaged.")
