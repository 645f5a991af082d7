from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from schemas.packets import PACKET_COLUMNS
from streams import capture
from streams.capture import CapturePlan, chunks
from streams.files import open_capture

SAMPLE = next((Path(__file__).parents[2] / "samples").glob("mixed.pcap*"))


def plan(partitions: int = 2, speed: float = 0.0) -> CapturePlan:
    return CapturePlan("c", "sample", "", "probe", 10**10, partitions, speed)


def cut(partitions: int = 2, speed: float = 0.0) -> list[capture.Chunk]:
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
    monkeypatch.setattr(capture, "CHUNK_PACKETS", chunk_packets)
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
    monkeypatch.setattr(capture, "CHUNK_PACKETS", 777)
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
    interval = capture.FLUSH_NS * 10
    assert len({time // interval for time in newest}) == len(newest)
    assert sum(len(chunk.packets.ts_ns) for chunk in paced) == sum(len(chunk.packets.ts_ns) for chunk in cut())
