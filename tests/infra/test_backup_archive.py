from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.backup_archive import ArchiveReader, Chunk, StateFile, write_archive
from schemas.backups import BackupHeader, TableBackup
from schemas.errors import BackupError

PIECES = (
    Chunk("captures", 2, b"two captures" * 50),
    Chunk("packet_logs", 1000, b"\0\1\2\3" * 9000),
    Chunk("packet_logs", 1, b"the last"),
    StateFile("keys.json", b"{}"),
)


def header(**changed: object) -> BackupHeader:
    values: dict[str, object] = {
        "format": 1,
        "program": "0.1.0",
        "schema_version": 1,
        "checksums": {1: "0" * 64},
        "made_at": datetime(2026, 1, 1, tzinfo=UTC),
        "sensor": "probe",
        "tables": (
            TableBackup(name="captures", columns=("capture_id",), rows=2),
            TableBackup(name="packet_logs", columns=("capture_id", "ts_ns"), rows=1001),
        ),
    }
    return BackupHeader.model_validate({**values, **changed})


def archive(head: BackupHeader | None = None, pieces: tuple[Chunk | StateFile, ...] = PIECES) -> bytes:
    return b"".join(write_archive(head or header(), pieces))


WHOLE = archive()


def read(content: bytes) -> tuple[BackupHeader, list[Chunk | StateFile]]:
    reader = ArchiveReader(io.BytesIO(content))
    return reader.header, list(reader.pieces())


def test_what_is_written_is_read_again() -> None:
    assert read(WHOLE) == (header(), list(PIECES))


@given(st.lists(st.tuples(st.sampled_from(("captures", "packet_logs")), st.integers(1, 9), st.binary(max_size=2000))))
def test_any_rows_come_back_as_they_were(rows: list[tuple[str, int, bytes]]) -> None:
    chunks = tuple(Chunk(*row) for row in rows)
    names = ("captures", "packet_logs")
    counts = {name: sum(chunk.rows for chunk in chunks if chunk.table == name) for name in names}
    head = header(tables=tuple(TableBackup(name=name, columns=("a",), rows=counts[name]) for name in names))
    assert read(archive(head, chunks)) == (head, list(chunks))


@given(st.integers(0, WHOLE.rindex(b"}")))
def test_an_archive_that_is_cut_off_anywhere_is_refused(length: int) -> None:
    """Behind the manifest there are zeros only: its own padding, and tar's end."""
    with pytest.raises(BackupError, match=r"cut off|no backup of spanwatch"):
        read(WHOLE[:length])


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found_or_changes_nothing(place: int, change: int) -> None:
    altered = bytearray(WHOLE)
    altered[place] ^= change
    try:
        assert read(bytes(altered)) == (header(), list(PIECES))
    except BackupError as error:
        assert str(error).endswith(".")  # noqa: PT017 - either is right


def test_a_changed_byte_of_the_rows_is_found_without_unpacking_them() -> None:
    altered = bytearray(WHOLE)
    altered[WHOLE.index(b"packet_logs/000002") + 512 + 20] ^= 1
    reader = ArchiveReader(io.BytesIO(altered))
    with pytest.raises(BackupError, match=r"packet_logs/000002.1000.native.zst is not what was written"):
        list(reader.pieces(is_unpacked=False))


def test_a_member_that_is_missing_is_found() -> None:
    first, last = WHOLE.index(b"packet_logs/000003"), WHOLE.index(b"state/keys.json")
    with pytest.raises(BackupError, match=r"damaged: packet_logs/000003.1.native.zst is not what was written"):
        read(WHOLE[:first] + WHOLE[last:])


def test_fewer_rows_than_announced_are_found() -> None:
    with pytest.raises(BackupError, match=r"1,000 of 1,001 rows of packet_logs"):
        read(archive(header(), (*PIECES[:2], PIECES[3])))


def test_rows_of_a_table_that_is_not_announced_are_refused() -> None:
    with pytest.raises(BackupError, match="rows of audit, which it does not announce"):
        read(archive(header(), (Chunk("audit", 1, b"x"),)))


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\0" * 2048, b"x" * 4096])
def test_any_other_file_is_no_backup(content: bytes) -> None:
    with pytest.raises(BackupError, match="no backup of spanwatch"):
        read(content)


def test_an_archive_of_a_newer_form_names_the_version_that_can_read_it() -> None:
    with pytest.raises(BackupError, match=r"written by spanwatch 9\.0, which is newer"):
        read(archive(header(format=2, program="9.0")))


def test_names_that_could_be_more_than_names_are_refused() -> None:
    text = header().model_dump_json().replace("ts_ns", "1); DROP TABLE captures; --")
    with pytest.raises(ValueError, match="pattern"):
        BackupHeader.model_validate_json(text)


def test_an_archive_is_read_from_what_cannot_be_rewound() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self, parts: Iterator[bytes]) -> None:
            super().__init__()
            self._rest = b"".join(parts)

        def read(self, size: int = -1) -> bytes:
            taken, self._rest = self._rest[: min(size, 7)], self._rest[min(size, 7) :]
            return taken

    pipe = Pipe(write_archive(header(), PIECES))
    assert list(ArchiveReader(pipe).pieces()) == list(PIECES)  # type: ignore[arg-type]
