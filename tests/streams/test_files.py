"""Reading capture files of every form, whole, cut and damaged."""

from __future__ import annotations

import gzip
import lzma
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import CaptureError, CaptureFormatError, CaptureNotFoundError
from streams import sources
from streams.files import FrameBlock, open_capture
from streams.frames import TIME_LIMIT_NS
from streams.pcapng import ticks_to_ns
from tests.streams import builders as b

FRAMES = [bytes([n % 256]) * (14 + n % 50) for n in range(1, 300)]
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "xz": lzma.compress,
}


def read(path: Path, max_frames: int = 1000) -> tuple[list[FrameBlock], bool, str]:
    with open_capture(path) as capture:
        blocks = list(capture.blocks(max_frames))
        return blocks, capture.is_truncated, capture.reason


def frames_of(blocks: list[FrameBlock]) -> list[bytes]:
    return [
        block.data[start : start + size].tobytes()
        for block in blocks
        for start, size in zip(block.start.tolist(), block.captured_bytes.tolist(), strict=True)
    ]


def times_of(blocks: list[FrameBlock]) -> list[int]:
    return [ts_ns for block in blocks for ts_ns in block.ts_ns.tolist()]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write_file(content: bytes) -> Path:
        path = tmp_path / "a.capture"
        path.write_bytes(content)
        return path

    return write_file


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("magic", "extra", "tick_ns"),
    [(0xA1B2C3D4, b"", 1000), (0xA1B23C4D, b"", 1), (0xA1B2CD34, bytes(8), 1000)],
)
def test_pcap_of_every_magic_and_byte_order_is_read(
    write: Callable[[bytes], Path], order: str, magic: int, extra: bytes, tick_ns: int
) -> None:
    path = write(b.pcap_file(FRAMES, link_type=113, order=order, magic=magic, extra=extra))
    blocks, is_truncated, _ = read(path)
    assert frames_of(blocks) == FRAMES
    assert times_of(blocks) == [b.START_S * 10**9 + n * b.STEP_US * 1000 for n in range(len(FRAMES))]
    assert {int(t) for block in blocks for t in block.link_type} == {113}
    assert not is_truncated


def test_wire_length_and_captured_length_are_kept_apart(write: Callable[[bytes], Path]) -> None:
    blocks, _, _ = read(write(b.pcap_file([b"abcd"], lengths=[1500])))
    assert blocks[0].captured_bytes.tolist() == [4]
    assert blocks[0].length_bytes.tolist() == [1500]


def test_lengths_of_an_old_pcap_version_are_swapped_back(write: Callable[[bytes], Path]) -> None:
    content = bytearray(b.pcap_file([b"abcd"], lengths=[1500]))
    struct.pack_into("<H", content, 6, 2)
    content[32:40] = content[36:40] + content[32:36]
    blocks, _, _ = read(write(bytes(content)))
    assert (blocks[0].captured_bytes.tolist(), blocks[0].length_bytes.tolist()) == ([4], [1500])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(max_frames=st.integers(1, 400), packer=st.sampled_from(["", *PACKERS]))
def test_blocks_tile_the_file_whatever_their_size(tmp_path: Path, max_frames: int, packer: str) -> None:
    content = b.pcap_file(FRAMES)
    path = tmp_path / "tiled"
    path.write_bytes(PACKERS[packer](content) if packer else content)
    blocks, is_truncated, _ = read(path, max_frames)
    assert frames_of(blocks) == FRAMES
    assert all(len(block) <= max_frames for block in blocks)
    assert [block.first_frame for block in blocks] == [1 + max_frames * n for n in range(len(blocks))]
    ends = [24, *(block.last_offset for block in blocks)]
    assert [block.first_offset for block in blocks] == ends[:-1]
    assert ends[-1] == len(content)
    assert not is_truncated


@pytest.mark.parametrize("packer", PACKERS)
def test_a_packed_file_is_recognised_by_content(write: Callable[[bytes], Path], packer: str) -> None:
    with open_capture(write(PACKERS[packer](b.pcap_file(FRAMES)))) as capture:
        assert frames_of(list(capture.blocks(100))) == FRAMES
        assert (capture.format, capture.compression) == ("pcap", packer)
        assert capture.consumed_bytes == capture.file_bytes


def test_packed_twice_and_in_several_streams_is_unpacked(write: Callable[[bytes], Path]) -> None:
    content = b.pcap_file(FRAMES)
    halves = gzip.compress(content[:1000]) + gzip.compress(content[1000:])
    with open_capture(write(lzma.compress(halves))) as capture:
        assert frames_of(list(capture.blocks(100))) == FRAMES
        assert capture.compression == "xz+gzip"


def test_frames_that_cross_the_end_of_the_buffer_are_whole(
    write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "BUFFER_BYTES", 256)
    monkeypatch.setattr(sources, "_STEP_BYTES", 37)
    frames = [*FRAMES, b"x" * 5000, *FRAMES]
    blocks, is_truncated, _ = read(write(b.pcap_file(frames)), 50)
    assert frames_of(blocks) == frames
    assert not is_truncated


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(cut=st.integers(25, len(b.pcap_file(FRAMES))), packer=st.sampled_from(["", "gzip"]))
def test_everything_before_a_cut_is_read(tmp_path: Path, cut: int, packer: str) -> None:
    whole = b.pcap_file(FRAMES)
    path = tmp_path / "cut"
    path.write_bytes(PACKERS[packer](whole[:cut]) if packer else whole[:cut])
    blocks, is_truncated, reason = read(path)
    ends = np.cumsum([24, *(16 + len(frame) for frame in FRAMES)])
    count = int((ends <= cut).sum()) - 1
    assert frames_of(blocks) == FRAMES[:count]
    assert is_truncated == (cut not in ends)
    assert bool(reason) == is_truncated


@pytest.mark.parametrize("packer", ["gzip", "xz"])
def test_a_cut_packed_file_is_read_up_to_the_cut(write: Callable[[bytes], Path], packer: str) -> None:
    frames = [os.urandom(200) for _ in range(3000)]
    packed = PACKERS[packer](b.pcap_file(frames))
    blocks, is_truncated, reason = read(write(packed[: len(packed) // 2]))
    found = frames_of(blocks)
    assert found == frames[: len(found)]
    assert len(found) > 1000
    assert is_truncated
    assert packer in reason


def test_a_damaged_gzip_checksum_costs_no_frame(write: Callable[[bytes], Path]) -> None:
    packed = bytearray(gzip.compress(b.pcap_file(FRAMES)))
    packed[-6] ^= 0xFF
    blocks, is_truncated, _ = read(write(bytes(packed)))
    assert frames_of(blocks) == FRAMES
    assert is_truncated


def test_reading_stops_at_a_corrupt_length(write: Callable[[bytes], Path]) -> None:
    content = bytearray(b.pcap_file([b"abcd", b"efgh", b"ijkl"]))
    struct.pack_into("<I", content, 24 + 20 + 8, 0x7FFFFFFF)
    blocks, is_truncated, reason = read(write(bytes(content)))
    assert frames_of(blocks) == [b"abcd"]
    assert is_truncated
    assert "offset 44" in reason


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_blocks_of_every_kind_are_read(write: Callable[[bytes], Path], order: str) -> None:
    content = (
        b.section(order)
        + b.interface(1, order, snap_bytes=6)
        + b.simple_packet(b"before", order=order)
        + b.interface(113, order, resolution=9)
        + b.enhanced_packet(b"enhanced", 5_000_000_001, 1, order)
        + b.pcapng_block(0x0BAD, b"custom and unknown", order)
        + b.obsolete_packet(b"obsolete", 7_000_000, 0, order)
        + b.simple_packet(b"simple", 6000, order)
    )
    blocks, is_truncated, _ = read(write(content))
    assert frames_of(blocks) == [b"before", b"enhanced", b"obsolete", b"simple"]
    assert times_of(blocks) == [0, 5_000_000_001, 7_000_000_000, 7_000_000_000]
    assert blocks[0].link_type.tolist() == [1, 113, 1, 1]
    assert blocks[0].length_bytes.tolist() == [6, 8, 8, 6000]
    assert not is_truncated


def test_each_pcapng_section_has_its_own_byte_order_and_interfaces(write: Callable[[bytes], Path]) -> None:
    first = b.section("<") + b.interface(1, "<") + b.enhanced_packet(b"one", 1_000_000)
    second = b.section(">") + b.interface(101, ">", resolution=3) + b.enhanced_packet(b"two", 2_000, 0, ">")
    blocks, _, _ = read(write(first + second))
    assert frames_of(blocks) == [b"one", b"two"]
    assert times_of(blocks) == [1_000_000_000, 2_000_000_000]
    assert blocks[0].link_type.tolist() == [1, 101]


@given(
    ticks=st.integers(0, 2**64 - 1),
    resolution=st.one_of(st.integers(0, 19), st.integers(0x80, 0x80 + 63)),
    offset_s=st.integers(-(2**33), 2**33),
)
def test_pcapng_times_are_exact_in_every_resolution(ticks: int, resolution: int, offset_s: int) -> None:
    per_second = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    exact_ns = ticks * 10**9 // per_second + offset_s * 10**9
    found_ns = ticks_to_ns(np.uint64(ticks), resolution, offset_s)
    assert found_ns == min(max(exact_ns, -TIME_LIMIT_NS), TIME_LIMIT_NS)


def test_a_pcapng_time_offset_is_added(write: Callable[[bytes], Path]) -> None:
    content = b.section() + b.interface(offset_s=1000) + b.enhanced_packet(b"a", 2_000_000)
    blocks, _, _ = read(write(content))
    assert times_of(blocks) == [1_002_000_000_000]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b.enhanced_packet(b"a", 0, number=7), "interface"),
        (struct.pack("<III", 6, 8, 8), "impossible length"),
        (b.enhanced_packet(b"abcd", 0)[:-4] + b"\1\2\3\4", "two lengths"),
        (b.pcapng_block(6, struct.pack("<IIIII", 0, 0, 0, 9999, 9999)), "longer than its block"),
    ],
)
def test_reading_stops_at_a_corrupt_pcapng_block(write: Callable[[bytes], Path], broken: bytes, reason: str) -> None:
    good = b.section() + b.interface() + b.enhanced_packet(b"good", 0)
    blocks, is_truncated, told = read(write(good + broken + b.enhanced_packet(b"lost", 0)))
    assert frames_of(blocks) == [b"good"]
    assert is_truncated
    assert reason in told


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    data=st.data(),
    content=st.sampled_from(
        [
            b.pcap_file(FRAMES[:20]),
            b.section() + b.interface(resolution=9) + b"".join(b.enhanced_packet(f, 7) for f in FRAMES[:9]),
        ]
    ),
)
def test_no_damage_makes_reading_crash_or_leave_the_file(tmp_path: Path, data: st.DataObject, content: bytes) -> None:
    damaged = bytearray(content)
    for at, value in data.draw(st.lists(st.tuples(st.integers(4, len(content) - 1), st.integers(0, 255)))):
        damaged[at] = value
    path = tmp_path / "damaged"
    path.write_bytes(bytes(damaged))
    try:
        blocks, _, _ = read(path, 7)
    except CaptureFormatError:
        return
    for block in blocks:
        begins, ends = block.start, block.start + block.captured_bytes
        assert (begins[1:] > ends[:-1]).all()
        assert block.first_offset < begins[0]
        assert ends[-1] <= block.last_offset <= len(damaged)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"hello, this is a text file", "text that begins with"),
        (b"BZh91AY&SY" + bytes(20), "bzip2"),
        (b"\x00\x01\x02\x03" * 10, "00 01 02 03"),
        (b.pcap_file([])[:10], "10 of 24 bytes"),
        (gzip.compress(b"", mtime=0), "holds nothing"),
        (gzip.compress(b.pcap_file(FRAMES), mtime=0)[:12], "ends early"),
        (b"\x1f\x8b\x08garbage", "damaged"),
        (struct.pack("<IHH", 0xA1B2C3D4, 9, 0) + bytes(16), "version 9.0"),
    ],
)
def test_what_is_no_capture_is_refused_with_its_name_and_what_it_is(
    write: Callable[[bytes], Path], content: bytes, sentence: str
) -> None:
    path = write(content)
    with pytest.raises(CaptureFormatError, match=sentence) as refused:
        open_capture(path)
    assert str(path) in str(refused.value)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CaptureNotFoundError, match="does not exist"):
        open_capture(tmp_path / "none.pcap")
    with pytest.raises(CaptureError, match="is a folder"):
        open_capture(tmp_path)


def test_a_capture_without_frames_has_no_blocks(write: Callable[[bytes], Path]) -> None:
    assert read(write(b.pcap_file([]))) == ([], False, "")


def test_max_frames_must_be_positive(write: Callable[[bytes], Path]) -> None:
    with open_capture(write(b.pcap_file(FRAMES))) as capture, pytest.raises(ValueError, match="positive"):
        next(capture.blocks(0))


@pytest.mark.parametrize("packer", ["", "gzip"])
def test_a_pipe_yields_its_frames_before_it_is_closed(tmp_path: Path, packer: str) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    may_close = threading.Event()
    content = b.pcap_file(FRAMES)
    packed = PACKERS[packer](content) if packer else content

    def feed() -> None:
        with path.open("wb", buffering=0) as pipe:
            pipe.write(packed)
            may_close.wait(60)

    feeder = threading.Thread(target=feed)
    feeder.start()
    with open_capture(path) as capture:
        blocks = capture.blocks(1000)
        first = next(blocks)
        may_close.set()
        assert frames_of([first, *blocks]) == FRAMES
        assert capture.file_bytes == 0
        assert not capture.is_truncated
    feeder.join()


def test_standard_input_is_read(write: Callable[[bytes], Path]) -> None:
    script = (
        "from streams.files import open_capture\n"
        "with open_capture(None) as c: print(sum(len(b) for b in c.blocks(10)), c.is_truncated)"
    )
    with write(gzip.compress(b.pcap_file(FRAMES))).open("rb") as content:
        done = subprocess.run([sys.executable, "-c", script], stdin=content, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(FRAMES)), "False"]
