from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.files import open_capture
from streams.pcapng_writer import enhanced_packets, file_header
from tests.tshark import is_tshark_missing, read_fields, write_profile

from .builders import block_of, ethernet, ipv4, tcp, udp

Frame = tuple[bytes, int, int]


def written(folder: Path, frames: list[Frame], link_type: int = 1) -> Path:
    """Return a file with frames: bytes, length on the wire, event time."""
    block = block_of([f for f, _, _ in frames], link_type, [n for _, n, _ in frames], [t for _, _, t in frames], b"--")
    path = folder / "out.pcapng"
    path.write_bytes(file_header(link_type, 0, "eth0") + enhanced_packets(block).tobytes())
    return path


def read_back(path: Path) -> list[Frame]:
    with open_capture(path) as file:
        found = [
            (block.data[at : at + captured].tobytes(), int(length), int(ts_ns))
            for block in file.blocks(1000)
            for at, captured, length, ts_ns in zip(
                block.start, block.captured_bytes, block.length_bytes, block.ts_ns, strict=True
            )
        ]
        assert not file.is_truncated
    return found


@settings(max_examples=100)
@given(st.lists(st.tuples(st.binary(max_size=70), st.integers(0, 2**32 - 1), st.integers(0, 2**62)), max_size=20))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, frames: list[Frame]) -> None:
    assert read_back(written(tmp_path_factory.mktemp("pcapng"), frames)) == frames


def test_a_time_before_1970_becomes_0(tmp_path: Path) -> None:
    assert [ts_ns for *_, ts_ns in read_back(written(tmp_path, [(b"x" * 60, 60, -5), (b"y" * 60, 60, 5)]))] == [0, 5]


def test_the_link_type_is_kept(tmp_path: Path) -> None:
    with open_capture(written(tmp_path, [(ipv4(17, udp()), 28, 1)], link_type=101)) as file:
        (block,) = file.blocks(10)
    assert block.link_type.tolist() == [101]


def test_blocks_refer_to_nothing_of_the_frames() -> None:
    memory = np.frombuffer(bytearray(b"a" * 64), np.uint8)
    block = replace(block_of([b"a" * 64]), data=memory)
    laid_out = enhanced_packets(block)
    before = laid_out.tobytes()
    memory[:] = 0
    assert laid_out.tobytes() == before


@pytest.mark.skipif(is_tshark_missing(), reason="tshark is not installed")
def test_tshark_reads_the_same_frames_and_times(tmp_path: Path) -> None:
    frames: list[Frame] = [
        (ethernet(ipv4(6, tcp(b"x" * n))), 54 + n, 1_700_000_000_123_456_789 + 7 * n) for n in range(50)
    ]
    frames.append((ethernet(ipv4(17, udp(b"cut")))[:40], 1000, 1_800_000_000_000_000_001))
    path = written(tmp_path, frames)
    fields = ["frame.time_epoch", "frame.len", "frame.cap_len"]
    rows, _ = read_fields(path, fields, write_profile(tmp_path))
    expected = [[f"{ts_ns // 10**9}.{ts_ns % 10**9:09d}", str(n), str(len(frame))] for frame, n, ts_ns in frames]
    assert [[value for field in fields for value in row[field]] for row in rows] == expected
