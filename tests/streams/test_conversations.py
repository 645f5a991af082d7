"""Which packets belong together, for how long, and that batches and snapshots leave no trace."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import WireError
from schemas.packets import NO_PROTOCOL
from streams.conversations import ConversationTracker, Tracked
from streams.packets import Packets
from tests.streams.tcp_oracle import ACK, SYN, Segment, blank_packets, packets_of
from tests.streams.test_tcp import random_story

SECOND_NS = 1_000_000_000
SHORT_IDLE_NS = SECOND_NS


def rows(packets: Packets, chosen: slice) -> Packets:
    return Packets(*(column[chosen] for column in packets))


def mixed_packets(seed: int, conversations: int = 12, length: int = 12) -> Packets:
    """Return unruly TCP conversations among each other, some packets of other protocols, long pauses."""
    choose = random.Random(seed)
    stories = [random_story(choose, number, length) for number in range(conversations)]
    segments: list[Segment] = []
    pause_us = 0
    while stories:
        story = choose.choice(stories)
        pause_us += choose.choice((0, 0, 0, 0, 0, 300_000, 2_000_000))
        segment = story.pop(0)
        segments.append(replace(segment, at_us=segment.at_us + pause_us))
        stories = [story for story in stories if story]
    packets = packets_of(segments)
    for row in range(len(segments)):
        packets.protocol[row] = choose.choice((6, 6, 6, 6, 6, 17, 1, NO_PROTOCOL))
    return packets


def tracked_in_pieces(
    tracker: ConversationTracker, packets: Packets, cuts: list[int], *, snapshot: bool = False
) -> list[Tracked]:
    edges = [0, *sorted(cuts), len(packets.ts_ns)]
    pieces = []
    for begin, end in pairwise(edges):
        pieces.append(tracker.track(rows(packets, slice(begin, end))))
        if snapshot:
            tracker = ConversationTracker.restore(tracker.snapshot())
    return pieces


def assert_same_apart_from_slots(pieces: list[Tracked], whole: Tracked) -> None:
    for field in fields(Tracked):
        if field.name != "conversation":
            joined = np.concatenate([getattr(piece, field.name) for piece in pieces])
            np.testing.assert_array_equal(joined, getattr(whole, field.name), err_msg=field.name)


trackers = st.sampled_from(
    [(1 << 18, 86_400 * SECOND_NS), (1 << 18, SHORT_IDLE_NS), (5, SHORT_IDLE_NS), (1, SECOND_NS)]
)
cuts = st.lists(st.integers(0, 144), max_size=12)


@settings(max_examples=60)
@given(seed=st.integers(0, 1 << 30), limits=trackers, at=cuts)
def test_batches_leave_no_trace(seed: int, limits: tuple[int, int], at: list[int]) -> None:
    packets = mixed_packets(seed)
    whole = ConversationTracker(*limits).track(packets)

    assert_same_apart_from_slots(tracked_in_pieces(ConversationTracker(*limits), packets, at), whole)


@settings(max_examples=30)
@given(seed=st.integers(0, 1 << 30), limits=trackers, at=cuts)
def test_snapshots_leave_no_trace(seed: int, limits: tuple[int, int], at: list[int]) -> None:
    packets = mixed_packets(seed)
    plain = tracked_in_pieces(ConversationTracker(*limits), packets, at)
    restored = tracked_in_pieces(ConversationTracker(*limits), packets, at, snapshot=True)

    for piece, other in zip(plain, restored, strict=True):
        assert_same_apart_from_slots([other], piece)


def test_a_restored_conversation_keeps_its_slot() -> None:
    packets = mixed_packets(7)
    tracker = ConversationTracker()
    tracker.track(packets)
    restored = ConversationTracker.restore(tracker.snapshot())

    np.testing.assert_array_equal(restored.track(packets).conversation, tracker.track(packets).conversation)


def test_a_snapshot_holds_counters_and_limits() -> None:
    tracker = ConversationTracker(capacity=4, idle_ns=SHORT_IDLE_NS)
    tracker.track(mixed_packets(3))
    restored = ConversationTracker.restore(tracker.snapshot())

    assert (restored.capacity, restored.idle_ns) == (4, SHORT_IDLE_NS)
    assert (restored.live, restored.evicted) == (tracker.live, tracker.evicted)
    assert tracker.evicted > 0


@pytest.mark.parametrize("damage", [b"", b"swct", b"x" * 100])
def test_what_is_no_snapshot_is_refused(damage: bytes) -> None:
    with pytest.raises(WireError):
        ConversationTracker.restore(damage)


def test_a_cut_snapshot_is_refused() -> None:
    tracker = ConversationTracker()
    tracker.track(mixed_packets(1))
    with pytest.raises(WireError):
        ConversationTracker.restore(tracker.snapshot()[:-20])


def test_both_directions_are_one_conversation() -> None:
    tracker = ConversationTracker()
    tracked = tracker.track(
        packets_of([Segment(0, True, SYN, 1), Segment(1, False, SYN | ACK, 5, 2), Segment(2, True, ACK, 2, 6)])
    )

    assert tracked.conversation.tolist() == [0, 0, 0]
    assert tracked.is_forward.tolist() == [True, False, True]
    assert len(set(tracked.uid.tolist())) == 1
    assert tracker.live == 1


def test_the_arrays_by_slot_describe_the_first_packet() -> None:
    packets = packets_of([Segment(0, False, SYN | ACK, 5, 2), Segment(1, True, ACK, 2, 6)])
    tracker = ConversationTracker()
    tracked = tracker.track(packets)
    slot = tracked.conversation[1]

    assert bytes(tracker.src_ip[slot]) == bytes(packets.src_ip[0])
    assert bytes(tracker.dst_ip[slot]) == bytes(packets.dst_ip[0])
    assert (tracker.src_port[slot], tracker.dst_port[slot]) == (50002, 50001)
    assert tracker.protocol[slot] == 6
    assert tracker.uid[slot] == tracked.uid[0]


def test_the_uid_does_not_depend_on_which_direction_came_first() -> None:
    there, back = Segment(0, True, ACK, 1), Segment(0, False, ACK, 1)

    first = ConversationTracker().track(packets_of([there])).uid
    second = ConversationTracker().track(packets_of([back])).uid

    assert first.tolist() == second.tolist()


def test_addresses_ports_and_protocol_each_make_another_conversation() -> None:
    packets = packets_of([Segment(0, True, ACK, 1)] * 5)
    packets.src_ip[1, 15] ^= 1
    packets.dst_port[2] ^= 1
    packets.protocol[3] = 17
    packets.src_port[4], packets.dst_port[4] = 50002, 50001
    tracked = ConversationTracker().track(packets)

    assert len(set(tracked.conversation.tolist())) == 5
    assert len(set(tracked.uid.tolist())) == 5


def test_no_port_makes_up_for_another_address() -> None:
    packets = packets_of([Segment(0, True, ACK, 1)] * 4096)
    packets.src_ip[:, 15] = np.arange(4096) // 64
    packets.src_port[:] = (np.arange(4096) % 64) << 8
    tracked = ConversationTracker().track(packets)

    assert len(set(tracked.conversation.tolist())) == 4096
    assert len(set(tracked.uid.tolist())) == 4096


def test_a_host_that_talks_to_itself_is_one_conversation() -> None:
    packets = packets_of([Segment(0, True, ACK, 1)] * 2)
    packets.dst_ip[:] = packets.src_ip
    packets.src_port[1], packets.dst_port[1] = 50002, 50001
    tracked = ConversationTracker().track(packets)

    assert tracked.conversation.tolist() == [0, 0]
    assert tracked.is_forward.tolist() == [True, False]


def test_the_vlan_does_not_make_another_conversation() -> None:
    packets = packets_of([Segment(0, True, ACK, 1)] * 2)
    packets.vlan[1] = 7

    assert ConversationTracker().track(packets).conversation.tolist() == [0, 0]


def test_a_frame_without_addresses_has_no_conversation() -> None:
    packets = blank_packets(1)
    packets.protocol[0] = NO_PROTOCOL
    tracked = ConversationTracker().track(packets)

    assert (tracked.conversation[0], tracked.uid[0], tracked.is_forward[0]) == (-1, 0, False)


def test_arp_between_two_addresses_is_a_conversation_of_its_own() -> None:
    packets = packets_of([Segment(0, True, ACK, 1), Segment(1, True, ACK, 1), Segment(2, False, ACK, 1)])
    packets.protocol[1:] = NO_PROTOCOL
    for ports in (packets.src_port, packets.dst_port):
        ports[1:] = 0
    tracked = ConversationTracker().track(packets)

    assert tracked.conversation.tolist() == [0, 1, 1]
    assert tracked.is_forward.tolist() == [True, True, False]


def test_an_empty_batch_is_tracked() -> None:
    assert len(ConversationTracker().track(blank_packets(0)).uid) == 0


def test_an_idle_conversation_begins_anew_in_another_slot() -> None:
    segments = [
        Segment(0, True, ACK, 1, 1, 10),
        Segment(500_000, False, ACK, 1, 11),
        Segment(1_600_000, False, ACK, 1, 11),
    ]
    tracker = ConversationTracker(idle_ns=SHORT_IDLE_NS)
    tracked = tracker.track(packets_of(segments))

    assert tracked.conversation[0] == tracked.conversation[1] != tracked.conversation[2]
    assert tracked.is_forward.tolist() == [True, False, True]
    assert tracked.uid[0] == tracked.uid[2]
    assert (tracker.live, tracker.evicted) == (1, 1)


def test_the_longest_idle_make_room_when_the_table_is_full() -> None:
    tracker = ConversationTracker(capacity=8)
    segments = [Segment(number, True, ACK, 1, conversation=number) for number in range(8)]
    tracker.track(packets_of([*segments, segments[0]]))
    tracked = tracker.track(packets_of([Segment(9, True, ACK, 1, conversation=99), segments[0], segments[1]]))

    assert tracker.evicted == 2
    assert tracker.live == 8
    assert tracked.conversation[1] == 0, "the one heard of last but one stays where it was"


def test_a_slot_is_not_used_twice_within_a_batch() -> None:
    segments = [Segment(number, True, ACK, 1, conversation=number % 50) for number in range(400)]
    tracker = ConversationTracker(capacity=3)
    tracked = tracker.track(packets_of(segments))
    names = {(slot, uid) for slot, uid in zip(tracked.conversation.tolist(), tracked.uid.tolist(), strict=True)}

    assert len({slot for slot, _ in names}) == len(names)
    assert tracker.live <= 3


def test_memory_is_bounded_by_the_capacity() -> None:
    tracker = ConversationTracker(capacity=64)
    for begin in range(0, 20_000, 500):
        tracker.track(
            packets_of([Segment(n, True, SYN, 1, conversation=n & 0xFFFF) for n in range(begin, begin + 500)])
        )

    assert tracker.live <= 64
    assert len(tracker.uid) <= 2048


def test_nonsensical_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        ConversationTracker(capacity=0)
    with pytest.raises(ValueError, match="positive"):
        ConversationTracker(idle_ns=0)


def test_another_process_gives_the_same_uid() -> None:
    program = (
        "from tests.streams.tcp_oracle import Segment, packets_of\n"
        "from streams.conversations import ConversationTracker\n"
        "print(ConversationTracker().track(packets_of([Segment(0, True, 16, 1)])).uid[0])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    here = ConversationTracker().track(packets_of([Segment(0, True, ACK, 1)])).uid[0]

    assert int(done.stdout) == here


def test_columns_of_any_memory_layout_are_tracked_alike() -> None:
    packets = mixed_packets(11)
    doubled = Packets(*(np.repeat(column, 2, axis=0) for column in packets))
    strided = rows(doubled, slice(None, None, 2))
    tracked = ConversationTracker().track(strided)

    assert_same_apart_from_slots([tracked], ConversationTracker().track(packets))
