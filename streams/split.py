"""Splitting packets over partitions, so that everything between two hosts lands on the same one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.enums import Fragment
from schemas.packets import PACKET_SCHEMA, PARTITION_BITS
from streams.jit import kernel
from streams.packets import Packets, empty_packets

MAX_PARTITIONS = 1 << PARTITION_BITS
"""Partitions at most: a partition's number is part of the event id."""

_NO_FRAGMENT = Fragment.NONE.value


def split(packets: Packets, partitions: int) -> list[pa.RecordBatch | None]:
    """Return the packets of each partition as a record batch, None for a partition without any.

    Packets keep their order within a partition. With one partition nothing is copied: the batch refers to the
    columns.

    Parameters
    ----------
    packets : Packets
        Columns of shape (n_packets,).
    partitions : int
        Between 1 and ``MAX_PARTITIONS``.

    Returns
    -------
    list of pyarrow.RecordBatch or None
        One item per partition; the schema is ``PACKET_SCHEMA``.

    Raises
    ------
    ValueError
        When the number of partitions is out of bounds.

    Notes
    -----
    A packet's partition is a symmetric hash of its addresses (``pair_key``): all conversations of two hosts and all
    fragments between them meet. The VLAN does not count: the two directions of a conversation may be mirrored from
    different ones. Frames without IP hash alike unless they are ARP.
    """
    if not 1 <= partitions <= MAX_PARTITIONS:
        raise ValueError(f"{partitions} partitions, must be between 1 and {MAX_PARTITIONS}")
    count = len(packets.ts_ns)
    if partitions == 1:
        return [_batch(packets, 0, count) if count else None]
    order, ends = _order_by_partition(packets, partitions)
    gathered = gather(packets, order)
    begins = [0, *ends[:-1]]
    return [_batch(gathered, begin, end) if end > begin else None for begin, end in zip(begins, ends, strict=True)]


def partition_of(packets: Packets, partitions: int) -> npt.NDArray[np.uint8]:
    """Return the partition of each packet, shape (n_packets,)."""
    chosen = np.empty(len(packets.ts_ns), np.uint8)
    choose_partitions(packets.src_ip.view(np.uint64), packets.dst_ip.view(np.uint64), partitions, chosen)
    return chosen


def pairs_of(src_ip: npt.NDArray[np.uint64], dst_ip: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the hash of the two hosts of each row, shape (n_rows,); addresses are of shape (n_rows, 2)."""
    pairs = np.empty(len(src_ip), np.uint64)
    write_pairs(src_ip, dst_ip, pairs)
    return pairs


def _order_by_partition(packets: Packets, partitions: int) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Return the rows in order of their partition (stable), and where each partition ends."""
    chosen = partition_of(packets, partitions)
    order = np.empty(len(chosen), np.int64)
    ends = np.zeros(partitions, np.int64)
    counting_sort(chosen, order, ends)
    return order, ends.tolist()


def _columns(packets: Packets) -> tuple[npt.NDArray[Any], ...]:
    return tuple(packets)


def gather(packets: Packets, order: npt.NDArray[np.int64]) -> Packets:
    """Return the packets of some rows, in the order given; copied."""
    gathered = empty_packets(len(order))
    for source, target in zip(_columns(packets), _columns(gathered), strict=True):
        if source.ndim == 2:  # an address is taken as one value of 16 bytes
            source, target = source.view(np.complex128).reshape(-1), target.view(np.complex128).reshape(-1)
        source.take(order, out=target, mode="clip")  # every other mode copies through a buffer
    return gathered


def _batch(packets: Packets, begin: int, end: int) -> pa.RecordBatch:
    """Return rows ``begin`` to ``end`` as a record batch that refers to the columns' memory."""
    arrays = [
        pa.Array.from_buffers(field.type, end - begin, [None, pa.py_buffer(column[begin:end])])
        for field, column in zip(PACKET_SCHEMA, _columns(packets), strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=PACKET_SCHEMA)


@kernel
def mix(value: np.uint64) -> np.uint64:
    """Scramble 64 bits (the finaliser of SplitMix64, Steele et al., OOPSLA 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel
def flow_key(
    src_high: np.uint64,
    src_low: np.uint64,
    dst_high: np.uint64,
    dst_low: np.uint64,
    src_port: np.uint16,
    dst_port: np.uint16,
    protocol: np.uint8,
    fragment: np.uint8,
) -> np.uint64:
    """Return the hash of a packet's flow, the same in both directions; addresses come as two halves of 64 bits."""
    source, destination = np.uint64(0), np.uint64(0)
    if fragment == _NO_FRAGMENT:
        source, destination = np.uint64(src_port), np.uint64(dst_port)
    source = mix(mix(src_high + source) ^ src_low)
    destination = mix(mix(dst_high + destination) ^ dst_low)
    # A sum does not tell which side is which.
    return mix(source + destination + np.uint64(protocol))


@kernel
def pair_key(src_high: np.uint64, src_low: np.uint64, dst_high: np.uint64, dst_low: np.uint64) -> np.uint64:
    """Return the hash of two hosts, the same in both directions; addresses come as two halves of 64 bits."""
    # A sum does not tell which side is which.
    return mix(mix(mix(src_high) ^ src_low) + mix(mix(dst_high) ^ dst_low))


@kernel
def write_pairs(src_ip: npt.NDArray[np.uint64], dst_ip: npt.NDArray[np.uint64], pairs: npt.NDArray[np.uint64]) -> None:
    """Write the key of each row's two hosts; addresses are of shape (n_rows, 2)."""
    for row in range(len(pairs)):
        pairs[row] = pair_key(src_ip[row, 0], src_ip[row, 1], dst_ip[row, 0], dst_ip[row, 1])


@kernel
def choose_partitions(
    src_ip: npt.NDArray[np.uint64], dst_ip: npt.NDArray[np.uint64], partitions: int, chosen: npt.NDArray[np.uint8]
) -> None:
    """Write the partition of each packet; addresses are of shape (n_packets, 2)."""
    for row in range(len(chosen)):
        key = pair_key(src_ip[row, 0], src_ip[row, 1], dst_ip[row, 0], dst_ip[row, 1])
        chosen[row] = ((key >> np.uint64(32)) * np.uint64(partitions)) >> np.uint64(32)


@kernel
def counting_sort(keys: npt.NDArray[np.uint8], order: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> None:
    """Write the stable order of small keys, and where the run of each key ends; ``ends`` begins as zeros."""
    for row in range(len(keys)):
        ends[keys[row]] += 1
    total = 0
    for key in range(len(ends)):
        ends[key], total = total, total + ends[key]
    for row in range(len(keys)):
        order[ends[keys[row]]] = row
        ends[keys[row]] += 1
