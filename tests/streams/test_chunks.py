from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from schemas.enums import Align
from schemas.packets import PACKET_COLUMNS
from streams import chunks as cutting
from streams.chunks import CapturePlan, chunks
from streams.files import open_capture
from streams.frames import FrameBlock, HopCount
from streams.sampling import FlowSampling

from .builders import block_of, ethernet, ipv4, tcp

SAMPLE = next((Path(__file__).parents[2] / "samples").glob("mixed.pcap*"))


def plan(partitions: int = 2, speed: float = 0.0) -> CapturePlan:
    return CapturePlan("c", "sample", "", "probe", 10**10, partitions, speed)


def cut(partitions: int = 2, speed: float = 0.0) -> list[cutting.Chunk]:
    with open_capture(SAMPLE) as file:
        return list(chunks(file, plan(partitions, speed)))


def test_the_same_file_gives_the_same_chunks() -> None:
    first, second = cut(), cut()
    assert [chunk.header for chunk in first] == [chunk.header for chunk in second]
    for one, other in zip(first, second, strict=True):
        assert one.batches == other.batches


@pytest.mark.parametrize("chunk_packets", [1000, 5000])
def test_chunks_number_their_messages_and_cover_the_capture(
    chunk_packets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = np.concatenate([chunk.packets.frame for chunk in cut()])
    monkeypatch.setattr(cutting, "CHUNK_PACKETS", chunk_packets)
    found = cut()
    assert len(found) > 1
    assert [chunk.header.seq for chunk in found] == list(range(len(found)))
    assert all(len(chunk.packets.ts_ns) <= 2 * chunk_packets for chunk in found)
    np.testing.assert_array_equal(np.concatenate([chunk.packets.frame for chunk in found]), whole)
    for before, after in pairwise(found):
        assert after.header.first_frame == before.header.last_frame + 1
        assert after.header.clock_ns >= before.header.clock_ns


def test_lags_do_not_depend_on_where_chunks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate([chunk.packets.lag_ns for chunk in cut()])
    monkeypatch.setattr(cutting, "CHUNK_PACKETS", 777)
    np.testing.assert_array_equal(np.concatenate([chunk.packets.lag_ns for chunk in cut()]), whole)


def test_every_partition_gets_its_packets_and_nothing_else() -> None:
    (chunk, *_) = cut(partitions=3)
    rows = sum(batch.num_rows for batch in chunk.batches if batch is not None)
    assert rows == len(chunk.packets.ts_ns)
    for batch in chunk.batches:
        assert batch is None or batch.schema.names == [column.name for column in PACKET_COLUMNS]


def test_a_paced_capture_is_cut_by_time() -> None:
    paced = cut(speed=10)
    newest = [chunk.header.clock_ns for chunk in paced]
    interval = cutting.FLUSH_NS * 10
    assert len({time // interval for time in newest}) == len(newest)
    assert sum(len(chunk.packets.ts_ns) for chunk in paced) == sum(len(chunk.packets.ts_ns) for chunk in cut())


class Port:
    """A source of frames that is live, without an interface."""

    is_live = True
    interface = "port0"
    file_bytes = 0
    is_truncated = False
    fill = 0.0

    def __init__(self, blocks: list[FrameBlock]) -> None:
        self._blocks = blocks

    def blocks(self, max_frames: int) -> Iterator[FrameBlock]:
        yield from self._blocks

    def counts(self) -> list[HopCount]:
        return []


def seen(ts_ns: list[int], quiet_ns: int = 0) -> FrameBlock:
    frames = [ethernet(ipv4(6, tcp(source_port=1024 + number))) for number in range(len(ts_ns))]
    return replace(block_of(frames, ts_ns=ts_ns), quiet_ns=quiet_ns)


def live(blocks: list[FrameBlock], sampling: FlowSampling | None = None) -> list[cutting.Chunk]:
    return list(chunks(Port(blocks), plan(), sampling))


SECOND_NS = 10**9


def test_windows_of_a_port_begin_at_a_multiple_of_their_size() -> None:
    (chunk,) = live([seen([1_234_567_890 * SECOND_NS + 5])])
    assert chunk.header.origin_ns == 1_234_567_890 * SECOND_NS
    assert (chunk.header.is_live, chunk.header.interface) == (True, "port0")


@pytest.mark.parametrize("align", Align)
def test_windows_of_a_file_begin_where_they_are_told_to(align: Align) -> None:
    with open_capture(SAMPLE) as file:
        chunk = next(chunks(file, replace(plan(), align=align)))
    first_ns = int(chunk.packets.ts_ns[0])
    aligned_ns = first_ns // 10**10 * 10**10
    assert chunk.header.origin_ns == {Align.FIRST_PACKET: first_ns, Align.EPOCH: aligned_ns}[align]
    assert aligned_ns < first_ns


def test_the_clock_of_a_silent_port_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "TICK_S", 0.0)
    found = live([seen([], quiet_ns=quiet_s * SECOND_NS) for quiet_s in (11, 12, 25)])
    assert [chunk.header.clock_ns for chunk in found] == [11 * SECOND_NS, 12 * SECOND_NS, 25 * SECOND_NS]
    assert {chunk.header.origin_ns for chunk in found} == {10 * SECOND_NS}
    assert [chunk.header.seq for chunk in found] == [0, 1, 2]
    assert all(batch is None for chunk in found for batch in chunk.batches)


def test_the_clock_is_the_newest_packet_s_or_the_silence_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "TICK_S", 0.0)
    monkeypatch.setattr(cutting, "LIVE_FLUSH_S", 0.0)
    blocks = [seen([20 * SECOND_NS]), seen([], 19 * SECOND_NS), seen([], 21 * SECOND_NS), seen([20 * SECOND_NS + 1])]
    assert [chunk.header.clock_ns // SECOND_NS for chunk in live(blocks)] == [20, 20, 21, 21]


def test_packets_of_a_port_wait_for_one_another_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [seen([SECOND_NS + number]) for number in range(5)]
    monkeypatch.setattr(cutting, "LIVE_FLUSH_S", 60.0)
    assert [len(chunk.packets.ts_ns) for chunk in live(blocks)] == [5]
    monkeypatch.setattr(cutting, "LIVE_FLUSH_S", 0.0)
    assert [len(chunk.packets.ts_ns) for chunk in live(blocks)] == [1] * 5


def test_a_sampled_chunk_says_its_rate_and_keeps_count_of_all() -> None:
    sampling = FlowSampling()
    sampling.look(1.0, 0.0)
    (chunk,) = live([seen([SECOND_NS] * 500)], sampling)
    assert chunk.header.sampling_rate == 0.5
    assert len(chunk.packets.ts_ns) == 500
    assert chunk.kept == sum(batch.num_rows for batch in chunk.batches if batch is not None)
    assert 150 < chunk.kept < 350
    assert (chunk.header.first_frame, chunk.header.last_frame) == (1, 500)
