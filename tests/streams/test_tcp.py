"""TCP analysis of segments made by hand, one story per verdict, with tshark as the judge."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from schemas.enums import TcpAnalysis
from streams.conversations import ConversationTracker, Tracked
from tests.streams.tcp_oracle import (
    ACK,
    FIN,
    PSH,
    RST,
    SYN,
    TSHARK,
    Segment,
    packets_of,
    tshark_verdicts,
    write_capture,
)

needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

HANDSHAKE = (
    Segment(0, True, SYN, 100, 0, scale=7),
    Segment(400, False, SYN | ACK, 900, 101, scale=7),
    Segment(1000, True, ACK, 101, 901),
)


def client(at_us: int, seq: int, length: int = 0, ack: int = 901, flags: int = ACK, window: int = 1000) -> Segment:
    return Segment(at_us, True, flags, seq, ack, length, window)


def server(at_us: int, ack: int, length: int = 0, seq: int = 901, flags: int = ACK, window: int = 1000) -> Segment:
    return Segment(at_us, False, flags, seq, ack, length, window)


STORIES: dict[TcpAnalysis, tuple[Segment, ...]] = {
    TcpAnalysis.RETRANSMISSION: (client(2_000, 101, 100), client(300_000, 101, 100)),
    TcpAnalysis.FAST_RETRANSMISSION: (
        client(2_000, 101, 100),
        client(2_100, 201, 100),
        server(3_000, 101),
        server(3_100, 101),
        server(3_200, 101),
        client(9_000, 101, 100),
    ),
    TcpAnalysis.SPURIOUS_RETRANSMISSION: (client(2_000, 101, 100), server(3_000, 201), client(4_000, 101, 100)),
    TcpAnalysis.OUT_OF_ORDER: (client(2_000, 101, 100), client(2_100, 301, 100), client(2_200, 201, 100)),
    TcpAnalysis.LOST_SEGMENT: (client(2_000, 101, 100), client(2_100, 301, 100)),
    TcpAnalysis.ACK_LOST_SEGMENT: (client(2_000, 101, 100), server(3_000, 301)),
    TcpAnalysis.KEEP_ALIVE: (client(2_000, 101, 100), server(3_000, 201), client(9_000_000, 200, 1)),
    TcpAnalysis.KEEP_ALIVE_ACK: (
        client(2_000, 101, 100),
        server(3_000, 201),
        client(9_000_000, 200, 1),
        server(9_000_500, 201),
    ),
    TcpAnalysis.DUPLICATE_ACK: (client(2_100, 201, 10), server(3_000, 101)),
    TcpAnalysis.ZERO_WINDOW: (client(2_000, 101, 100), server(3_000, 201, window=0)),
    TcpAnalysis.ZERO_WINDOW_PROBE: (server(3_000, 101, window=0), client(9_000_000, 101, 1)),
    TcpAnalysis.ZERO_WINDOW_PROBE_ACK: (
        server(3_000, 101, window=0),
        client(9_000_000, 101, 1),
        server(9_000_500, 101, window=0),
    ),
    TcpAnalysis.WINDOW_UPDATE: (server(3_000, 101), server(4_000, 101, window=2_000)),
    TcpAnalysis.WINDOW_FULL: (server(3_000, 101, window=1), client(4_000, 101, 128)),
    TcpAnalysis.REUSED_PORTS: (client(5_000, 101, flags=FIN | ACK), Segment(9_000, True, SYN, 77_000, 0)),
}
"""What follows the handshake; the last segment is the one with the verdict."""


def track(segments: tuple[Segment, ...] | list[Segment]) -> Tracked:
    return ConversationTracker().track(packets_of(segments))


def assert_same_as_tshark(segments: list[Segment], path: Path) -> None:
    write_capture(path, segments)
    theirs, ours = tshark_verdicts(path), track(segments)
    assert len(theirs.frame) == len(segments)
    differing = [
        (segments[row], TcpAnalysis(int(theirs.analysis[row])), TcpAnalysis(int(ours.analysis[row])))
        for row in np.flatnonzero(theirs.analysis != ours.analysis)
    ]
    assert differing == []
    np.testing.assert_array_equal(ours.ack_rtt_ns, theirs.ack_rtt_ns)
    np.testing.assert_array_equal(ours.initial_rtt_ns, theirs.initial_rtt_ns)


@pytest.mark.parametrize("verdict", STORIES, ids=lambda verdict: verdict.name)
def test_a_story_ends_with_its_verdict(verdict: TcpAnalysis) -> None:
    analysis = track([*HANDSHAKE, *STORIES[verdict]]).analysis

    assert TcpAnalysis(int(analysis[-1])) & verdict
    assert not any(TcpAnalysis(int(earlier)) & verdict for earlier in analysis[:-1])


def test_every_verdict_has_a_story() -> None:
    assert set(STORIES) == set(TcpAnalysis)


@needs_tshark
def test_all_stories_are_judged_as_tshark_judges_them(tmp_path: Path) -> None:
    segments = [
        replace(segment, conversation=number)
        for number, story in enumerate(STORIES.values())
        for segment in (*HANDSHAKE, *story)
    ]

    assert_same_as_tshark(segments, tmp_path / "stories.pcap")


def random_story(choose: random.Random, conversation: int, length: int) -> list[Segment]:
    """Return a conversation that does everything a TCP must not, near the ends of the sequence space too."""
    starts = [choose.choice((0, 1, 1000, 0x7FFF_FF00, 0xFFFF_FF00, 0xFFFF_FFF0)) for _ in range(2)]
    following, acknowledged, at_us = list(starts), list(starts), choose.randrange(1000)
    story = []
    for _ in range(length):
        at_us += choose.choice((0, 0, 1, 100, 2_999, 3_000, 19_999, 20_000, 200_000, -500))
        me = choose.randrange(2)
        you = 1 - me
        flags = choose.choice((*[ACK] * 24, SYN, SYN | ACK, FIN | ACK, RST, RST | ACK, 0, PSH | ACK, SYN | FIN))
        offset = choose.choice((*[0] * 12, -1, -1, -100, -101, 100, 1_000, 1, -1_000, 1 << 31))
        seq = choose.choice((*[following[me] + offset] * 9, acknowledged[me]))
        if flags & SYN and choose.random() < 0.5:
            seq = starts[me]
        data = choose.choice((0, 0, 0, 0, 1, 1, 2, 100, 100, 1_000))
        ack = choose.choice((*[acknowledged[you]] * 4, *[following[you]] * 4, following[you] + 1, following[you] + 100))
        window = choose.choice((500, 500, 500, 0, 100, 2_000))
        scale = choose.choice((None, None, 0, 2, 14)) if flags & SYN else None
        story.append(Segment(at_us, me == 0, flags, seq, ack, data, window, scale, conversation))
        end = seq + data + bool(flags & (SYN | FIN))
        if 0 < (end - following[me]) & 0xFFFF_FFFF < 1 << 31:
            following[me] = end & 0xFFFF_FFFF
        if flags & ACK:
            acknowledged[you] = ack & 0xFFFF_FFFF
    return story


@needs_tshark
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_unruly_conversations_are_judged_as_tshark_judges_them(seed: int, tmp_path: Path) -> None:
    choose = random.Random(seed)
    stories = [random_story(choose, conversation, 60) for conversation in range(100)]
    segments = []
    while stories:
        story = choose.choice(stories)
        segments.append(story.pop(0))
        stories = [story for story in stories if story]

    assert_same_as_tshark(segments, tmp_path / "unruly.pcap")


def test_round_trips_are_those_of_the_capture() -> None:
    segments = [*HANDSHAKE, client(2_000, 101, 100), client(2_500, 201, 100), server(7_500, 301)]

    tracked = track(segments)

    assert tracked.ack_rtt_ns.tolist() == [-1, 400_000, 600_000, -1, -1, 5_000_000]
    assert tracked.initial_rtt_ns.tolist() == [-1, -1, 1_000_000, -1, -1, -1]


def test_a_round_trip_is_negative_where_time_runs_backwards() -> None:
    tracked = track([*HANDSHAKE, client(5_000, 101, 100), server(4_000, 201)])

    assert tracked.ack_rtt_ns[-1] == -1_000_000


def test_a_fragment_is_not_judged() -> None:
    packets = packets_of([*HANDSHAKE, client(2_000, 101, 100), client(2_100, 301, 100)])
    packets.fragment[-1] = 1

    assert ConversationTracker().track(packets).analysis[-1] == 0


def test_a_header_that_contradicts_itself_is_not_judged() -> None:
    packets = packets_of([*HANDSHAKE, client(2_000, 101, 100), client(2_100, 301, 100)])
    packets.decode_status[-1] = 6

    assert ConversationTracker().track(packets).analysis[-1] == 0


@needs_tshark
def test_more_unacknowledged_segments_than_are_remembered_are_judged_as_tshark_judges_them(
    tmp_path: Path,
) -> None:
    sent = [client(2_000 + number, 101 + number, 1) for number in range(10_050)]
    answers = [server(30_000 + ack, ack) for ack in (102, 5_000, 10_101, 10_120, 10_151)]

    assert_same_as_tshark([*HANDSHAKE, *sent, *answers, client(90_000, 10_151, flags=FIN | ACK)], tmp_path / "x.pcap")
