from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.evidence import Ends, Extracted, Selection
from streams.extract import SLACK_NS, Segments, extract, main
from streams.files import open_capture
from tests.streams import builders as b
from tests.tshark import is_tshark_missing

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "mixed.pcap.gz"
EVER = (0, 2**62)
START_NS = b.START_S * 10**9

HOSTS = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.3")


def frame(source: str, destination: str, source_port: int, destination_port: int, *, is_udp: bool = False) -> bytes:
    transport = (b.udp if is_udp else b.tcp)(b"x", source_port, destination_port)
    packet = b.ipv6 if ":" in source else b.ipv4
    return b.ethernet(packet(17 if is_udp else 6, transport, source, destination))


FRAMES = [
    frame("192.0.2.1", "192.0.2.2", 40_000, 443),
    frame("192.0.2.2", "192.0.2.1", 443, 40_000),
    frame("192.0.2.1", "192.0.2.2", 40_001, 443),
    frame("192.0.2.1", "192.0.2.3", 40_000, 53, is_udp=True),
    frame("192.0.2.3", "192.0.2.1", 53, 40_000, is_udp=True),
    frame("2001:db8::1", "2001:db8::2", 40_000, 443),
    b.ethernet(b.arp(), 0x0806),
    b"\x00" * 20,
]


def wanted(*ends: Ends, **limits: int) -> Selection:
    return Selection(**{"first_ns": EVER[0], "last_ns": EVER[1], "ends": list(ends), **limits})


def run(path: Path, selection: Selection, max_frames: int = 1000) -> tuple[Extracted, bytes]:
    sink = io.BytesIO()
    with open_capture(path) as capture:
        result = extract(capture.blocks(max_frames), selection, sink)
    return result, sink.getvalue()


def numbers(path: Path, written: bytes, folder: Path) -> list[int]:
    """Return which frames of a capture of different frames were written, from 1."""
    out = folder / "out.pcapng"
    out.write_bytes(written)
    return [FRAMES.index(found) + 1 for found in frames_in(out)]


def frames_in(path: Path) -> list[bytes]:
    with open_capture(path) as capture:
        return [
            block.data[start : start + size].tobytes()
            for block in capture.blocks(1000)
            for start, size in zip(block.start.tolist(), block.captured_bytes.tolist(), strict=True)
        ]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "a.pcap"
    path.write_bytes(b.pcap_file(FRAMES))
    return path


@pytest.mark.parametrize(
    ("ends", "found"),
    [
        (Ends(a="192.0.2.1"), [1, 2, 3, 4, 5, 7]),
        (Ends(a="192.0.2.1", b="192.0.2.2"), [1, 2, 3, 7]),
        (Ends(a="192.0.2.2", b="192.0.2.1"), [1, 2, 3, 7]),
        (Ends(a="192.0.2.1", a_port=40_000, b="192.0.2.2", b_port=443), [1, 2]),
        (Ends(a="192.0.2.1", a_port=443), []),
        (Ends(b_port=443), [1, 2, 3, 6]),
        (Ends(a_port=40_000, protocol=17), [4, 5]),
        (Ends(a="2001:db8::1"), [6]),
        (Ends(a="::ffff:192.0.2.3"), [4, 5]),
        (Ends(protocol=6), [1, 2, 3, 6]),
    ],
)
def test_packets_are_found_by_their_ends_in_either_direction(
    capture: Path, tmp_path: Path, ends: Ends, found: list[int]
) -> None:
    result, written = run(capture, wanted(ends))
    assert numbers(capture, written, tmp_path) == found
    assert result == Extracted(packets=len(found), scanned=len(FRAMES), is_truncated=False)


def test_without_ends_every_frame_of_the_time_is_taken(capture: Path, tmp_path: Path) -> None:
    second_ns, fourth_ns = (START_NS + n * b.STEP_US * 1000 for n in (1, 3))
    _, written = run(capture, wanted(first_ns=second_ns, last_ns=fourth_ns))
    assert numbers(capture, written, tmp_path) == [2, 3, 4]
    with open_capture(tmp_path / "out.pcapng") as out:
        assert next(t for block in out.blocks(10) for t in block.ts_ns.tolist()) == second_ns


def test_limits_leave_the_rest_out_and_say_so(capture: Path, tmp_path: Path) -> None:
    result, written = run(capture, wanted(Ends(a="192.0.2.1"), max_packets=2))
    assert (numbers(capture, written, tmp_path), result.is_truncated) == ([1, 2], True)
    result, written = run(capture, wanted(max_bytes=len(FRAMES[0]) + len(FRAMES[1])))
    assert (numbers(capture, written, tmp_path), result.is_truncated) == ([1, 2], True)
    result, _ = run(capture, wanted(max_packets=len(FRAMES)))
    assert not result.is_truncated


ends_strategy = st.builds(
    Ends,
    a=st.sampled_from(("", *HOSTS)),
    b=st.sampled_from(("", *HOSTS)),
    a_port=st.sampled_from((0, 443, 40_000)),
    protocol=st.sampled_from((-1, 6, 17)),
)


@given(st.lists(ends_strategy, max_size=3), st.integers(1, 9), st.integers(1, 10))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_the_size_of_blocks_makes_no_difference(capture: Path, ends: list[Ends], frames: int, most: int) -> None:
    selection = wanted(*ends, max_packets=most)
    (whole, one), (parts, other) = run(capture, selection), run(capture, selection, frames)
    assert (whole.packets, whole.is_truncated, one) == (parts.packets, parts.is_truncated, other)


def test_frames_of_several_link_types_keep_theirs(tmp_path: Path) -> None:
    raw, ethernet = b.ipv4(6, b.tcp()), FRAMES[0]
    path = tmp_path / "a.pcapng"
    path.write_bytes(
        b.section()
        + b.interface(101)
        + b.interface(1)
        + b"".join(b.enhanced_packet(f, n, number) for n, (f, number) in enumerate([(ethernet, 1), (raw, 0)] * 3))
    )
    result, written = run(path, wanted(), max_frames=2)
    out = tmp_path / "out.pcapng"
    out.write_bytes(written)
    with open_capture(out) as again:
        assert [kind for block in again.blocks(100) for kind in block.link_type.tolist()] == [1, 101] * 3
    assert frames_in(out) == [ethernet, raw] * 3
    assert result.packets == 6


def test_segments_that_cannot_match_are_passed_over_and_deleted_ones_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{n:06d}.pcapng" for n in range(4)]
    for path in (paths[0], paths[2], paths[3]):
        path.write_bytes(b.pcap_file(FRAMES))
    old_ns, now_ns = START_NS - 10 * SLACK_NS, START_NS + SLACK_NS
    os.utime(paths[0], ns=(old_ns, old_ns))
    for path in paths[2:]:
        os.utime(path, ns=(now_ns, now_ns))
    times = wanted(first_ns=START_NS, last_ns=START_NS + 10**9)
    segments = Segments(paths, times)
    assert sum(map(len, segments.blocks())) == 2 * len(FRAMES)
    assert (segments.gone, segments.unreadable) == (1, [])
    earlier = wanted(first_ns=0, last_ns=START_NS - 2 * SLACK_NS)
    assert list(Segments(paths[2:], earlier).blocks()) == []


def test_a_segment_that_cannot_be_read_is_told_and_the_others_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, garbage, folder, begun, gone = (tmp_path / f"{n:06d}.pcapng" for n in range(5))
    good.write_bytes(b.pcap_file(FRAMES))
    garbage.write_bytes(b"no capture")
    folder.mkdir()
    begun.touch()
    files = [str(path) for path in (garbage, folder, begun, gone, good)]
    assert main([wanted().model_dump_json(), str(tmp_path / "out"), *files]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["packets"], said["segments_gone"]) == (len(FRAMES), 1)
    first, second = said["segments_unreadable"]
    assert first.startswith("000001.pcapng: is not a capture file")
    assert second.startswith("000002.pcapng: ")
    assert str(tmp_path) not in first + second


def test_the_program_writes_a_file_and_says_what_came_of_it(capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    command = [sys.executable, "-m", "streams.extract", wanted(Ends(a_port=53)).model_dump_json(), out, capture]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert Extracted.model_validate_json(done.stdout) == Extracted(packets=2, scanned=8, is_truncated=False)
    assert frames_in(out) == FRAMES[3:5]


def test_a_file_that_is_no_capture_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_text("no capture")
    assert main([wanted().model_dump_json(), str(tmp_path / "out"), str(bad)]) == 1
    assert "is not a capture file" in capsys.readouterr().err


@pytest.mark.skipif(is_tshark_missing(), reason="tshark is not installed")
@pytest.mark.parametrize(
    ("ends", "display_filter"),
    [
        ([Ends(b_port=53, protocol=17)], "udp.port#1 == 53 && !icmp"),
        (
            [Ends(a="10.77.0.66")],
            "ip.src#1 == 10.77.0.66 || ip.dst#1 == 10.77.0.66 "
            "|| arp.src.proto_ipv4 == 10.77.0.66 || arp.dst.proto_ipv4 == 10.77.0.66",
        ),
        ([Ends(protocol=255)], "arp"),
        ([Ends(protocol=1), Ends(a_port=22, protocol=6)], "icmp || tcp.port == 22"),
    ],
)
def test_tshark_finds_the_same_packets(tmp_path: Path, ends: list[Ends], display_filter: str) -> None:
    def times(path: Path, *arguments: str) -> list[str]:
        command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len"]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout.splitlines()

    result, written = run(SAMPLE, wanted(*ends, max_packets=100_000), max_frames=5000)
    out = tmp_path / "out.pcapng"
    out.write_bytes(written)
    expected = times(SAMPLE, "-Y", display_filter)
    assert len(expected) == result.packets > 0
    assert times(out) == expected
