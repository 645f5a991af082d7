from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import CaptureError
from streams.files import open_capture
from streams.octets import Octets
from streams.packet_files import OutputFile, PacketRing
from streams.pcapng_writer import enhanced_packets, file_header

from .builders import block_of

HEADER = file_header(1, 0, "eth0")


def blocks(number: int, frames: int = 10) -> Octets:
    """Return some 1,300 bytes whose frames' first byte says where they come from."""
    return enhanced_packets(block_of([bytes([number]) * 100] * frames))


def numbers(path: Path) -> list[int]:
    with open_capture(path) as file:
        return [int(block.data[at]) for block in file.blocks(100) for at in block.start]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.pcapng"))


def test_a_segment_is_a_capture_of_its_own(tmp_path: Path) -> None:
    ring = PacketRing(tmp_path, "c", HEADER, 1 << 20, 4000)
    for number in range(6):
        ring.write(blocks(number))
    ring.close()
    assert [path.name for path in segments(tmp_path)] == ["000001.pcapng", "000002.pcapng", "000003.pcapng"]
    assert [number for path in segments(tmp_path) for number in numbers(path)] == [
        n for n in range(6) for _ in range(10)
    ]


def test_an_output_file_with_a_bound_keeps_the_first_packets_and_stays_a_capture(tmp_path: Path) -> None:
    file = OutputFile(tmp_path / "bounded.pcapng", HEADER, 20_000)
    for number in range(100):
        file.write(blocks(number))
    file.close()
    assert 20_000 - 2 * len(blocks(0)) < file.path.stat().st_size <= 20_000
    kept = numbers(file.path)
    assert kept == sorted(kept)
    assert kept[0] == 0
    assert len(kept) >= 100


def test_an_output_file_without_a_bound_keeps_everything(tmp_path: Path) -> None:
    file = OutputFile(tmp_path / "all.pcapng", HEADER)
    for number in range(100):
        file.write(blocks(number))
    file.close()
    assert numbers(file.path) == [n for n in range(100) for _ in range(10)]


def test_a_ring_keeps_the_newest_packets_within_its_bound(tmp_path: Path) -> None:
    ring = PacketRing(tmp_path, "c", HEADER, 20_000, 4000)
    for number in range(100):
        ring.write(blocks(number))
        assert sum(path.stat().st_size for path in segments(tmp_path)) <= 20_000
    ring.close()
    kept = [number for path in segments(tmp_path) for number in numbers(path)]
    assert kept == sorted(kept)
    assert kept[-1] == 99
    assert len(kept) >= 80


def test_what_an_ended_capture_left_goes_first(tmp_path: Path) -> None:
    old = PacketRing(tmp_path, "old", HEADER, 20_000, 4000)
    for number in range(6):
        old.write(blocks(number))
    old.close()
    for path in segments(tmp_path):
        os.utime(path, (1, 1))
    ring = PacketRing(tmp_path, "new", HEADER, 20_000, 4000)
    for number in range(30):
        ring.write(blocks(number))
    ring.close()
    assert {path.parent.name for path in segments(tmp_path)} == {"new"}
    assert not (tmp_path / "old").exists()


def test_a_small_ring_has_small_segments(tmp_path: Path) -> None:
    ring = PacketRing(tmp_path, "c", HEADER, 8000)
    for number in range(20):
        ring.write(blocks(number, frames=5))
    ring.close()
    assert len(segments(tmp_path)) >= 3


def test_an_output_file_holds_everything(tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    path.write_bytes(b"something older")
    file = OutputFile(path, HEADER)
    file.write(blocks(1))
    file.write(blocks(2))
    file.close()
    assert numbers(path) == [1] * 10 + [2] * 10


def test_an_output_file_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"output file .* cannot be written: No such file or directory\."):
        OutputFile(tmp_path / "nowhere" / "out.pcapng", HEADER)


def test_a_ring_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "captures").write_text("a file")
    with pytest.raises(CaptureError, match="cannot be made"):
        PacketRing(tmp_path / "captures", "c", HEADER, 1 << 20)


def test_what_is_written_may_be_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    file = OutputFile(path, b"")
    file.write(np.zeros(0, np.uint8))
    file.write(np.arange(256, dtype=np.uint8))
    file.close()
    assert path.read_bytes() == bytes(range(256))
