from __future__ import annotations

import gzip
import lzma
import os
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import CaptureError
from schemas.honeypots import DEAD_LETTER_BYTES, MAX_LINE_BYTES
from streams import honeypot_files
from streams.honeypot_blocks import LogBlock
from streams.honeypot_files import FollowedLog, LineSplitter, LogFile

TEXT = b"".join(b"line %d\n" % number for number in range(20_000))


def lines_of(blocks: Iterable[LogBlock]) -> list[tuple[int, bytes]]:
    """Return the lines of blocks with their numbers."""
    return [(block.first_line + place, line) for block in blocks for place, line in enumerate(block.lines)]


def texts_of(blocks: Iterable[LogBlock]) -> list[bytes]:
    return [line for _, line in lines_of(blocks)]


@given(st.lists(st.binary(max_size=40).map(lambda piece: piece.replace(b"x", b"\n")), max_size=12))
def test_lines_do_not_depend_on_the_pieces_they_come_in(pieces: list[bytes]) -> None:
    whole = b"#" + b"".join(pieces)
    splitter = LineSplitter("a")
    blocks = [block for piece in (b"#", *pieces) for block in splitter.feed(piece)]
    expected = whole.split(b"\n")
    found = lines_of([*blocks, *splitter.finish()])
    assert [line for _, line in found] == (expected if expected[-1] else expected[:-1])
    assert [number for number, _ in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("piece_bytes", [700, 5_000, 3 * MAX_LINE_BYTES])
def test_a_huge_line_is_not_gathered_but_measured(piece_bytes: int) -> None:
    huge = 2 * MAX_LINE_BYTES + 77
    text = b"first\n" + b"h" * huge + b"\nlast\n"
    splitter = LineSplitter("a")
    blocks: list[LogBlock] = []
    for begin in range(0, len(text), piece_bytes):
        blocks += splitter.feed(text[begin : begin + piece_bytes])
        assert len(splitter._rest) <= MAX_LINE_BYTES
    assert texts_of(blocks) == [b"first", b"h" * DEAD_LETTER_BYTES, b"last"]
    lengths = {block.first_line + place: length for block in blocks for place, length in block.lengths.items()}
    assert lengths == {2: huge}


def test_a_huge_line_without_an_end_is_measured_too() -> None:
    splitter = LineSplitter("a")
    blocks = [*splitter.feed(b"h" * (MAX_LINE_BYTES + 1)), *splitter.feed(b"h" * 9), *splitter.finish()]
    [block] = blocks
    assert (len(block.lines[0]), block.lengths) == (DEAD_LETTER_BYTES, {0: MAX_LINE_BYTES + 10})


def test_a_block_has_a_bounded_number_of_lines() -> None:
    blocks = list(LineSplitter("a").feed(b"\n" * 40_000))
    assert [len(block.lines) for block in blocks] == [16_384, 16_384, 7_232]
    assert [block.first_line for block in blocks] == [1, 16_385, 32_769]


@pytest.mark.parametrize(
    "packed",
    [TEXT, gzip.compress(TEXT), lzma.compress(TEXT), zstandard.compress(TEXT), b"\xef\xbb\xbf" + TEXT],
    ids=["plain", "gzip", "xz", "zstd", "with a mark"],
)
def test_a_file_is_read_whole_packed_or_not(tmp_path: Path, packed: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(packed)
    log = LogFile(str(path))
    assert log.file_bytes == len(packed)
    found = lines_of(log.blocks())
    assert [line for _, line in found] == TEXT.splitlines()
    assert log.consumed_bytes == len(packed)


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(TEXT + b"unfinished",))
    writer.start()
    log = LogFile(str(pipe))
    assert log.file_bytes == 0
    assert texts_of(log.blocks()) == [*TEXT.splitlines(), b"unfinished"]
    writer.join()


@pytest.mark.parametrize(
    ("content", "says"),
    [("a\n".encode("utf-16"), "UTF-16"), (gzip.compress(TEXT)[:500], "damaged or cut")],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=says):
        list(LogFile(str(path)).blocks())
    with pytest.raises(CaptureError, match="cannot be read: Is a directory"):
        LogFile(str(tmp_path))


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def test_a_followed_file_gives_what_is_appended_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"one\ntw")
    log = FollowedLog(str(path))
    assert lines_of(log.poll()) == [(1, b"one")]
    assert list(log.poll()) == []
    append(path, b"o\nthree\nfo")
    assert lines_of(log.poll()) == [(2, b"two"), (3, b"three")]
    assert texts_of(log.finish()) == [b"fo"]


def test_a_followed_file_may_come_later(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    log = FollowedLog(str(path))
    assert list(log.poll()) == []
    path.write_bytes(b"one\n")
    assert texts_of(log.poll()) == [b"one"]
    log.close()


def test_what_was_there_may_be_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old\n")
    log = FollowedLog(str(path), from_end=True)
    append(path, b"new\n")
    assert texts_of(log.poll()) == [b"new"]
    log.close()


def test_a_rotation_loses_no_line_of_either_file(tmp_path: Path) -> None:
    """Renamed, written to a little longer, and then a new file: as logrotate and Cowrie itself do."""
    path, old = tmp_path / "a.json", tmp_path / "a.json.1"
    path.write_bytes(b"one\n")
    log = FollowedLog(str(path))
    seen = texts_of(log.poll())
    path.rename(old)
    append(old, b"two\n")
    seen += texts_of(log.poll())
    path.write_bytes(b"four\n")
    append(old, b"three")
    for _ in range(4):
        seen += texts_of(log.poll())
    append(path, b"five\n")
    seen += texts_of(log.poll())
    assert seen == [b"one", b"two", b"three", b"four", b"five"]
    log.close()


def test_a_file_that_was_emptied_in_place_is_read_from_its_beginning(tmp_path: Path) -> None:
    """What logrotate does with copytruncate."""
    path = tmp_path / "a.json"
    path.write_bytes(b"one\ntwo\n")
    log = FollowedLog(str(path))
    assert len(texts_of(log.poll())) == 2
    path.write_bytes(b"x\n")
    assert lines_of(log.poll()) == [(1, b"x")]
    log.close()


def test_blocks_stay_small_however_large_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(honeypot_files, "BLOCK_BYTES", 1000)
    path = tmp_path / "a.json"
    path.write_bytes(TEXT)
    blocks = list(LogFile(str(path)).blocks())
    assert max(sum(map(len, block.lines)) for block in blocks) <= 1000
    assert texts_of(blocks) == TEXT.splitlines()
