from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from schemas.enums import Hop
from schemas.errors import CaptureFilterError, NoInterfaceError
from streams.decode import decode
from streams.files import open_capture
from streams.frames import FrameBlock, HopCount
from streams.packet_files import OutputFile
from streams.packets import NO_TIME_NS
from streams.pcapng_writer import file_header
from streams.port import MIB, LivePort, PortPlan, check_port, open_port
from streams.recording import RecordedSource, Recorder
from streams.ring import BLOCK_BYTES
from tests.tshark import is_tshark_missing, read_fields, write_profile

from .builders import ethernet, ipv4, tcp, udp
from .veth import Veth, veth_pair, why_no_capture

REASON = why_no_capture()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

END = ethernet(ipv4(17, udp(b"the end", destination_port=9)))
"""What tests send last."""

SECOND_NS = 10**9


ROOMY = 128 * MIB
"""Of a ring that loses nothing, however late a machine under load comes to read it: a block is handed over after a few
milliseconds, full or not."""


@pytest.fixture(scope="module")
def veth() -> Iterator[Veth]:
    with veth_pair() as pair:
        yield pair


def conversations(count: int) -> list[bytes]:
    """Return frames of different lengths from many connections, every third with a VLAN tag."""
    frames = []
    for number in range(count):
        packet = ipv4(6, tcp(bytes([number % 256]) * (number % 900), source_port=1024 + number % 500))
        frames.append(ethernet(packet, vlans=[100 + number % 7] if number % 3 == 0 else []))
    return frames


def captured(
    source: LivePort | RecordedSource, port: LivePort, veth: Veth, frames: list[bytes]
) -> list[tuple[bytes, int, int]]:
    """Send frames and return what comes out until the last of them, as bytes, length on the wire and event time."""
    sender = threading.Thread(target=veth.send, args=(frames,))
    sender.start()
    found: list[tuple[bytes, int, int]] = []
    deadline_s = time.monotonic() + 30
    for block in source.blocks(100_000):
        found += frames_of(block)
        if len(found) >= len(frames) or time.monotonic() > deadline_s:
            port.stop()
    sender.join()
    return found


def frames_of(block: FrameBlock) -> list[tuple[bytes, int, int]]:
    rows = zip(block.start, block.captured_bytes, block.length_bytes, block.ts_ns, strict=True)
    return [(block.data[at : at + size].tobytes(), int(length), int(ts_ns)) for at, size, length, ts_ns in rows]


def kernel_count(port: LivePort) -> HopCount:
    (count,) = [count for count in port.counts() if count.hop is Hop.KERNEL and not count.reason]
    return count


def test_frames_come_out_as_they_were_sent(veth: Veth) -> None:
    frames = conversations(3000)
    began_ns = time.time_ns()
    with open_port(PortPlan(veth.near, ring_bytes=ROOMY)) as port:
        found = captured(port, port, veth, frames)
        assert kernel_count(port) == HopCount(Hop.KERNEL, "", 3000, 3000)
    assert [frame for frame, _, _ in found] == frames
    assert [length for _, length, _ in found] == [len(frame) for frame in frames]
    times = [ts_ns for _, _, ts_ns in found]
    assert times == sorted(times)
    assert began_ns - SECOND_NS < times[0] <= times[-1] < time.time_ns() + SECOND_NS


def test_the_tag_that_the_kernel_took_off_is_decoded_as_the_vlan(veth: Veth) -> None:
    frames = [ethernet(ipv4(17, udp(b"x")), vlans=vlans) for vlans in ([], [5], [4094], [7, 9])]
    vlans = []
    with open_port(PortPlan(veth.near, ring_bytes=ROOMY)) as port:
        threading.Thread(target=veth.send, args=(frames,)).start()
        for block in port.blocks(1000):
            vlans += decode(block, NO_TIME_NS).vlan.tolist()
            if len(vlans) == len(frames):
                port.stop()
    assert vlans == [0, 5, 4094, 7]


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ("udp port 53", lambda frame: b"\0\x35" in frame[36:38]),
        ("greater 500", lambda frame: len(frame) >= 500),
    ],
)
def test_a_filter_lets_pass_what_it_says(veth: Veth, expression: str, passes: object) -> None:
    frames = [ethernet(ipv4(17, udp(bytes(size), destination_port=port))) for size in (9, 600) for port in (53, 80)]
    wanted = [frame for frame in frames if callable(passes) and passes(frame)]
    with open_port(PortPlan(veth.near, filter=f"({expression}) or udp port 9", ring_bytes=ROOMY)) as port:
        threading.Thread(target=veth.send, args=([*frames, END],)).start()
        found = until_end(port)
        assert kernel_count(port).packets_in == len(wanted) + 1
    assert found == [*wanted, END]


def until_end(port: LivePort) -> list[bytes]:
    """Return the frames up to ``END``."""
    found: list[bytes] = []
    for block in port.blocks(1000):
        found += [frame for frame, _, _ in frames_of(block)]
        if END in found:
            port.stop()
    return found


def test_a_filter_sees_the_tag_that_the_kernel_took_off(veth: Veth) -> None:
    frames = [ethernet(ipv4(17, udp(b"x")), vlans=vlans) for vlans in ([], [5], [6])]
    with open_port(PortPlan(veth.near, filter="vlan 5 or udp port 9", ring_bytes=ROOMY)) as port:
        threading.Thread(target=veth.send, args=([*frames, END, ethernet(END[14:], vlans=[5])],)).start()
        found: list[bytes] = []
        for block in port.blocks(1000):
            found += [frame for frame, _, _ in frames_of(block)]
            if len(found) >= 2:
                port.stop()
    assert found[0] == frames[1]
    assert frames[0] not in found
    assert frames[2] not in found


def test_a_wrong_filter_gets_the_message_of_libpcap(veth: Veth) -> None:
    with pytest.raises(CaptureFilterError, match=r"'tcp port nonesuch' is wrong: unknown port 'nonesuch'\."):
        check_port(PortPlan(veth.near, filter="tcp port nonesuch"))


@pytest.mark.parametrize("snap_bytes", [64, 100])
def test_the_snap_length_cuts_frames_and_keeps_their_length(veth: Veth, snap_bytes: int) -> None:
    frames = conversations(200)
    with open_port(PortPlan(veth.near, snap_bytes=snap_bytes, ring_bytes=ROOMY)) as port:
        found = captured(port, port, veth, frames)
    assert [frame for frame, _, _ in found] == [frame[:snap_bytes] for frame in frames]
    assert [length for _, length, _ in found] == [len(frame) for frame in frames]


def test_rings_share_the_flows_and_lose_nothing(veth: Veth) -> None:
    frames = conversations(2000)
    with open_port(PortPlan(veth.near, rings=3, ring_bytes=ROOMY)) as port:
        found = captured(port, port, veth, frames)
        assert kernel_count(port) == HopCount(Hop.KERNEL, "", 2000, 2000)
        shares = [ring.frames for ring in port.rings]
    assert sorted(frame for frame, _, _ in found) == sorted(frames)
    assert sum(share > 0 for share in shares) > 1


def test_a_ring_goes_round_many_times(veth: Veth) -> None:
    frames = [ethernet(ipv4(6, tcp(number.to_bytes(4, "big") * 300))) for number in range(12_000)]
    assert sum(map(len, frames)) > 6 * 2 * BLOCK_BYTES
    with open_port(PortPlan(veth.near, ring_bytes=2 * BLOCK_BYTES)) as port:
        sender = threading.Thread(target=_send_slowly, args=(veth, frames))
        sender.start()
        found: list[bytes] = []
        for block in port.blocks(100_000):
            found += [frame for frame, _, _ in frames_of(block)]
            if not sender.is_alive() and not len(block):
                port.stop()
        lost = kernel_count(port).packets_in - kernel_count(port).packets_out
    # A machine under load may lose some; what came is right and what did not is counted.
    assert len(found) + lost == len(frames)
    assert found == [frame for frame in frames if frame in set(found)]


def _send_slowly(veth: Veth, frames: list[bytes]) -> None:
    for at in range(0, len(frames), 200):
        veth.send(frames[at : at + 200])
        time.sleep(0.005)


def test_what_finds_no_room_in_the_ring_is_counted(veth: Veth) -> None:
    frames = [ethernet(ipv4(6, tcp(bytes(1400))))] * 4000
    with open_port(PortPlan(veth.near, ring_bytes=2 * BLOCK_BYTES)) as port:
        # Nobody reads meanwhile.
        veth.send(frames)
        assert port.fill == 1.0
        port.stop()
        read = sum(len(block) for block in port.blocks(100_000))
        counts = {(count.hop, count.reason): count for count in port.counts()}
    lost = counts[Hop.KERNEL, "ring_full"].packets_in
    assert 0 < lost < len(frames)
    assert counts[Hop.KERNEL, ""] == HopCount(Hop.KERNEL, "", len(frames), read)
    assert read + lost == len(frames)
    assert counts[Hop.KERNEL, "times_ring_was_full"].packets_in >= 1


def test_a_silent_port_tells_the_time(veth: Veth) -> None:
    with open_port(PortPlan(veth.near, ring_bytes=2 * MIB, duration_s=0.5)) as port:
        blocks = list(port.blocks(1000))
    now_ns = time.time_ns()
    assert [len(block) for block in blocks] == [0] * len(blocks)
    quiet = [block.quiet_ns for block in blocks]
    assert quiet == sorted(quiet)
    assert 0 < now_ns - quiet[-1] < 10 * SECOND_NS


def test_a_capture_with_a_duration_ends_by_itself(veth: Veth) -> None:
    began_s = time.monotonic()
    with open_port(PortPlan(veth.near, ring_bytes=2 * MIB, duration_s=0.2)) as port:
        for _ in port.blocks(1000):
            pass
    assert time.monotonic() - began_s >= 0.2


@pytest.mark.skipif(is_tshark_missing(), reason="tshark is not installed")
def test_the_recorded_file_is_what_tshark_reads(veth: Veth, tmp_path: Path) -> None:
    frames = conversations(300)
    path = tmp_path / "out.pcapng"
    with open_port(PortPlan(veth.near, ring_bytes=ROOMY)) as port:
        recorder = Recorder([OutputFile(path, file_header(port.link_type, 262_144, veth.near))])
        found = captured(RecordedSource(port, recorder), port, veth, frames)
    fields = ["frame.time_epoch", "frame.len", "vlan.id"]
    rows, complaints = read_fields(path, fields, write_profile(tmp_path))
    assert complaints == ""
    assert [row["frame.time_epoch"][0] for row in rows] == [
        f"{ts_ns // SECOND_NS}.{ts_ns % SECOND_NS:09d}" for *_, ts_ns in found
    ]
    assert [int(row["frame.len"][0]) for row in rows] == [len(frame) for frame in frames]
    assert [row["vlan.id"] for row in rows] == [[str(100 + n % 7)] if n % 3 == 0 else [] for n in range(300)]
    with open_capture(path) as file:
        assert [one for block in file.blocks(1000) for one in frames_of(block)] == found


def test_an_unknown_interface_is_told_with_those_there_are(veth: Veth) -> None:
    with pytest.raises(NoInterfaceError, match=rf"no interface 'nonesuch'; there are .*{veth.near}"):
        open_port(PortPlan("nonesuch"))


def test_an_interface_that_is_down_is_told() -> None:
    with veth_pair() as pair:
        subprocess.run(["ip", "link", "set", pair.near, "down"], check=True)
        with pytest.raises(NoInterfaceError, match=f"ip link set {pair.near} up"):
            open_port(PortPlan(pair.near))


def test_a_capture_ends_when_its_interface_is_taken_away() -> None:
    with veth_pair() as pair, open_port(PortPlan(pair.near, ring_bytes=2 * MIB, duration_s=20)) as port:
        blocks = port.blocks(1000)
        next(blocks)
        subprocess.run(["ip", "link", "delete", pair.near], check=True)
        with pytest.raises(NoInterfaceError, match="is gone"):
            list(blocks)


@pytest.mark.skipif(not shutil.which("setpriv"), reason="there is no setpriv program")
def test_without_the_capability_the_command_says_what_to_do(veth: Veth) -> None:
    command = [sys.executable, "-m", "spanwatch", "capture", "--interface", veth.near]
    done = subprocess.run(
        ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: Capturing from an interface needs the capability CAP_NET_RAW")
    assert "setcap" in line


def test_a_block_is_given_back_only_when_the_next_is_asked_for(veth: Veth) -> None:
    frames = [ethernet(ipv4(6, tcp(bytes([number]) * 1400))) for number in range(100)]
    with open_port(PortPlan(veth.near, ring_bytes=2 * BLOCK_BYTES, duration_s=5)) as port:
        veth.send(frames)
        block = next(block for block in port.blocks(1000) if len(block))
        veth.send(frames[:1] * 4000)
        np.testing.assert_array_equal(block.data[block.start + 54 + 12], np.arange(len(block), dtype=np.uint8))
