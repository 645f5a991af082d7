from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.frames import FrameColumns
from streams.ring_blocks import BLOCK_HEADER_BYTES, VLAN_TPID_VALID, VLAN_VALID, walk_blocks

BLOCK_BYTES = 8192
MAC_AT = 86
"""Where the kernel puts an Ethernet frame behind its header: room for an address and a VLAN tag is before it."""


class Seen(NamedTuple):
    """A frame as the kernel saw it; ``tag`` was taken off it."""

    frame: bytes
    length: int
    second: int
    nanosecond: int
    tag: tuple[int, int] | None


def ring_block(frames: list[Seen]) -> bytes:
    """Return a block as the kernel lays it out."""
    body, at = b"", BLOCK_HEADER_BYTES
    for number, seen in enumerate(frames):
        size = -(-(MAC_AT + len(seen.frame)) // 16) * 16
        tpid, tci = seen.tag or (0, 0)
        status = 1 | (VLAN_VALID if seen.tag else 0) | (VLAN_TPID_VALID if tpid else 0)
        following = 0 if number == len(frames) - 1 else size
        head = struct.pack("<6IHH", following, seen.second, seen.nanosecond, len(seen.frame), seen.length, status, 0, 0)
        head = head[:24] + struct.pack("<HHIIHH8x", MAC_AT, MAC_AT + 14, 0, tci, tpid, 0)
        body += head.ljust(MAC_AT, b"\xee") + seen.frame.ljust(size - MAC_AT, b"\xdd")
    descriptor = struct.pack("<6IQ4I", 1, 0, 1, len(frames), at, at + len(body), 0, 0, 0, 0, 0)
    return (descriptor + body).ljust(BLOCK_BYTES, b"\0")


def walked(
    ring: bytes, first: int, count: int, snap_bytes: int = 65_536, link_type: int = 1, room: int = 1000
) -> list[tuple[bytes, int, int]]:
    memory = np.frombuffer(bytearray(ring), np.uint8)
    columns = FrameColumns.empty(room)
    found = walk_blocks(memory, BLOCK_BYTES, first, count, snap_bytes, link_type, columns)
    return [
        (
            memory[at : at + captured].tobytes(),
            int(length),
            int(ts_ns),
        )
        for at, captured, length, ts_ns, _ in zip(*(column[:found] for column in columns), strict=True)
    ]


def on_the_wire(seen: Seen, snap_bytes: int) -> tuple[bytes, int, int]:
    """Return what must come out for a frame: with its tag again, cut to the snap length."""
    frame, length = seen.frame, seen.length
    if seen.tag and len(frame) >= 12:
        tpid, tci = seen.tag
        frame = (frame[:12] + struct.pack(">HH", tpid or 0x8100, tci) + frame[12:])[:snap_bytes]
        length += 4
    return frame, length, seen.second * 10**9 + seen.nanosecond


tags = st.none() | st.tuples(st.sampled_from([0, 0x8100, 0x88A8]), st.integers(0, 0xFFFF))
frames = st.builds(
    Seen, st.binary(max_size=90), st.integers(0, 2**32 - 5), st.integers(0, 2**32 - 1), st.integers(0, 10**9 - 1), tags
)


@settings(max_examples=80)
@given(st.lists(st.lists(frames, max_size=8), min_size=1, max_size=4), st.integers(0, 3), st.integers(90, 95))
@example([[Seen(bytes(range(14)), 14, 1, 2, (0, 0xE02A))]], 0, 14)
def test_every_frame_of_the_blocks_comes_out_as_it_was_on_the_wire(
    blocks: list[list[Seen]], first: int, snap_bytes: int
) -> None:
    first %= len(blocks)
    ring = b"".join(map(ring_block, blocks))
    expected = [on_the_wire(seen, snap_bytes) for block in blocks[first:] + blocks[:first] for seen in block]
    assert walked(ring, first, len(blocks), snap_bytes) == expected


def test_a_tag_is_only_written_into_ethernet_frames() -> None:
    seen = Seen(bytes(range(40)), 40, 1, 0, (0x8100, 7))
    assert walked(ring_block([seen]), 0, 1, link_type=101) == [(seen.frame, 40, 10**9)]


@pytest.mark.parametrize("room", [0, 1, 2])
def test_no_more_frames_come_out_than_there_is_room_for(room: int) -> None:
    ring = ring_block([Seen(b"x" * 20, 20, 1, 0, None)] * 3)
    assert len(walked(ring, 0, 1, room=room)) == room


@settings(max_examples=50)
@given(st.binary(min_size=200, max_size=200))
def test_a_block_of_nonsense_is_not_read_beyond_its_end(nonsense: bytes) -> None:
    # Another block follows, whose frames must not come out twice.
    ring = nonsense.ljust(BLOCK_BYTES, b"\xff") + ring_block([])
    for frame, _, _ in walked(ring, 0, 1):
        assert len(frame) <= BLOCK_BYTES
