from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.enums import Hop
from streams import recording
from streams.files import open_capture
from streams.frames import FrameBlock, HopCount
from streams.octets import Octets
from streams.packet_files import OutputFile
from streams.pcapng_writer import file_header
from streams.recording import RecordedSource, Recorder

from .builders import block_of, pcap_file

FRAMES = [bytes([number]) * 60 for number in range(100)]


class BrokenDisk:
    """A file that takes so many writes, then none."""

    def __init__(self, writes: int) -> None:
        self.writes = writes
        self.is_closed = False

    def write(self, blocks: Octets) -> None:
        self.writes -= 1
        if self.writes < 0:
            raise OSError(28, "No space left on device")

    def close(self) -> None:
        self.is_closed = True


class SlowDisk:
    """A file that takes nothing before it is told to."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()

    def write(self, blocks: Octets) -> None:
        assert self.may_go_on.wait(30)

    def close(self) -> None:
        return


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "in.pcap"
    path.write_bytes(pcap_file(FRAMES))
    return path


def bytes_of(blocks: Iterator[FrameBlock]) -> list[tuple[bytes, int]]:
    return [
        (block.data[at : at + size].tobytes(), int(ts_ns))
        for block in blocks
        for at, size, ts_ns in zip(block.start, block.captured_bytes, block.ts_ns, strict=True)
    ]


def test_a_recorded_source_hands_everything_on_and_writes_it(capture: Path, tmp_path: Path) -> None:
    copy = tmp_path / "out.pcapng"
    with open_capture(capture) as file:
        source = RecordedSource(file, Recorder([OutputFile(copy, file_header(1, 0, "eth0"))]))
        handed_on = bytes_of(source.blocks(7))
        counts = source.counts()
    with open_capture(copy) as file:
        assert bytes_of(file.blocks(1000)) == handed_on
    assert [frame for frame, _ in handed_on] == FRAMES
    assert counts == [HopCount(Hop.RECORD, "", 100, 100)]


def test_a_disk_that_is_full_loses_frames_of_the_file_alone(capture: Path) -> None:
    disk = BrokenDisk(writes=3)
    with open_capture(capture) as file:
        source = RecordedSource(file, Recorder([disk]))
        assert len(bytes_of(source.blocks(10))) == 100
        assert source.counts() == [HopCount(Hop.RECORD, "", 100, 30), HopCount(Hop.RECORD, "not_written", 70, 0)]
    assert disk.is_closed


def test_frames_do_not_wait_for_a_disk_that_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_WAITING_BYTES", 1000)
    disk = SlowDisk()
    recorder = Recorder([disk])
    for _ in range(10):
        recorder.record(block_of(FRAMES[:10]))
    assert recorder.missed > 0
    disk.may_go_on.set()
    recorder.close()
    assert recorder.recorded == 100
    assert recorder.missed < 100
