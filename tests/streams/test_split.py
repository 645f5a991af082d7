"""Splitting packets over partitions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.packets import PACKET_SCHEMA
from streams.decode import NO_TIME_NS, decode
from streams.packets import Packets
from streams.split import MAX_PARTITIONS, partition_of, split
from tests.streams import builders as b

HOSTS = [f"192.0.2.{n}" for n in range(1, 9)]
packet = st.builds(
    lambda source, destination, ports, is_tcp, fragment: b.ethernet(
        b.ipv4(
            6 if is_tcp else 17,
            (b.tcp if is_tcp else b.udp)(source_port=ports[0], destination_port=ports[1]),
            source,
            destination,
            fragment=fragment,
        )
    ),
    st.sampled_from(HOSTS),
    st.sampled_from(HOSTS),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.booleans(),
    st.sampled_from([0, 0, 0, 0x2000, 0x0010]),
)


def packets_of(frames: list[bytes]) -> Packets:
    return decode(b.block_of(frames), NO_TIME_NS)


def whole_batch(packets: Packets) -> pa.RecordBatch:
    (batch,) = split(packets, 1)
    assert batch is not None
    return batch


@given(frames=st.lists(packet, min_size=1, max_size=200), partitions=st.integers(1, MAX_PARTITIONS))
def test_every_packet_is_in_exactly_one_partition_and_in_order(frames: list[bytes], partitions: int) -> None:
    packets = packets_of(frames)
    batches = split(packets, partitions)
    assert len(batches) == partitions
    tables = [pa.Table.from_batches([batch]) for batch in batches if batch is not None]
    assert all(table.num_rows and table.schema == PACKET_SCHEMA for table in tables)
    for table in tables:
        numbers = table["frame"].to_pylist()
        assert numbers == sorted(numbers)
    together = pa.concat_tables(tables).sort_by("frame")
    assert together.equals(pa.Table.from_batches([whole_batch(packets)]))


@given(frames=st.lists(packet, min_size=1, max_size=100), partitions=st.integers(2, 16))
def test_a_packet_goes_where_the_batch_says_and_not_its_neighbours(frames: list[bytes], partitions: int) -> None:
    together = partition_of(packets_of(frames), partitions)
    alone = [int(partition_of(packets_of([frame]), partitions)[0]) for frame in frames]
    assert together.tolist() == alone


@given(
    hosts=st.lists(st.sampled_from(HOSTS), min_size=2, max_size=2),
    ports=st.lists(st.integers(1, 65535), min_size=4, max_size=4),
    vlans=st.lists(st.integers(1, 4000), max_size=2),
)
def test_all_conversations_of_two_hosts_share_a_partition(hosts: list[str], ports: list[int], vlans: list[int]) -> None:
    there = b.ipv4(6, b.tcp(source_port=ports[0], destination_port=ports[1]), *hosts)
    back = b.ipv4(17, b.udp(source_port=ports[2], destination_port=ports[3]), *hosts[::-1])
    chosen = partition_of(packets_of([b.ethernet(there), b.ethernet(back, vlans=vlans)]), 64)
    assert chosen[0] == chosen[1]


def test_all_fragments_of_a_datagram_share_a_partition_with_its_conversation() -> None:
    first = b.ethernet(b.ipv4(17, b.udp(b"x" * 1000, length=3000), fragment=0x2000))
    later = [b.ethernet(b.ipv4(17, b"y" * 1000, fragment=offset)) for offset in (0x2000 | 126, 251)]
    whole = b.ethernet(b.ipv4(17, b.udp(b"z" * 10)))
    assert len(set(partition_of(packets_of([whole, first, *later]), MAX_PARTITIONS).tolist())) == 1


def test_hosts_are_spread_evenly() -> None:
    frames = [b.ethernet(b.ipv4(6, b.tcp(source_port=1024 + n), source=f"10.0.{n % 7}.{n % 251}")) for n in range(8000)]
    counts = np.bincount(partition_of(packets_of(frames), 4), minlength=4)
    assert counts.min() > 1800


def test_one_partition_refers_to_the_columns() -> None:
    packets = packets_of([b.ethernet(b.ipv4(6, b.tcp()))] * 10)
    column = whole_batch(packets).column("length_bytes")
    assert column.buffers()[1].address == packets.length_bytes.ctypes.data


def test_no_packets_are_no_batches() -> None:
    assert split(packets_of([]), 1) == [None]
    assert split(packets_of([]), 4) == [None] * 4


@pytest.mark.parametrize("partitions", [0, -1, MAX_PARTITIONS + 1])
def test_a_number_of_partitions_out_of_bounds_is_refused(partitions: int) -> None:
    with pytest.raises(ValueError, match="partitions"):
        split(packets_of([]), partitions)
