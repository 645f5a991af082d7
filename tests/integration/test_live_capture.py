"""A live capture through the whole stack: what is sent over a veth pair, and the file recorded meanwhile."""

from __future__ import annotations

import gzip
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.files import open_capture
from tests.integration.stack import Stack, until
from tests.streams.builders import ethernet, ipv4, tcp, udp
from tests.streams.veth import Veth, veth_pair, why_no_capture

REASON = why_no_capture()
pytestmark = [pytest.mark.skipif(bool(REASON), reason=REASON), pytest.mark.timeout(600)]

WINDOW_S = 2
PROBABILITIES = ("confidence", "attack_probability")
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "mixed.pcap.gz"


@pytest.fixture(scope="module")
def veth() -> Iterator[Veth]:
    with veth_pair() as pair:
        yield pair


@pytest.fixture
def live(tmp_path: Path, veth: Veth) -> Iterator[Stack]:
    """A stack that captures from the near end, as ``spanwatch up --interface`` does."""
    stack = Stack(tmp_path)
    stack.environment["SPANWATCH_WINDOW_S"] = str(WINDOW_S)
    # All captures of a port share their baselines; how much silence those have seen depends on how long a start takes.
    stack.environment["SPANWATCH_BASELINE_MIN_WINDOWS"] = "1000"
    try:
        stack.start("--interface", veth.near)
        yield stack
    finally:
        stack.close()


def frames_of(count: int) -> list[bytes]:
    """Return frames of TCP connections that go on, and of single datagrams."""
    frames = []
    for number in range(count):
        flow, sequence = number % 40, number // 40 * 100
        packet = ipv4(6, tcp(bytes(100), source_port=2000 + flow, sequence=sequence))
        if number % 5 == 0:
            packet = ipv4(17, udp(bytes(number % 300), source_port=3000 + number % 900))
        frames.append(ethernet(packet, vlans=[7] if number % 3 == 0 else []))
    return frames


def newest(stack: Stack) -> dict[str, Any]:
    """Return the newest capture, once there is one."""
    until(lambda: stack.remote.get("/api/captures")["total"] > 0, 60, stack.said)
    return dict(stack.remote.get("/api/captures", limit=1)["captures"][0])


def send_for(veth: Veth, frames: list[bytes], seconds: float) -> None:
    """Send frames, spread over so many seconds."""
    for at in range(0, len(frames), 100):
        veth.send(frames[at : at + 100])
        time.sleep(seconds * 100 / len(frames))


def windows_by_start(stack: Stack, capture_id: str) -> dict[Any, dict[str, Any]]:
    """Return the windows with packets, without what names the run."""
    windows = [window for window in stack.remote.windows(capture_id) if window["record_count"]]
    named = ("window_id", "capture_id", "version", "timestamp")
    return {w["window_start"]: {key: value for key, value in w.items() if key not in named} for w in windows}


def pages(stack: Stack, path: str, name: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    """Return every row of a list, page by page."""
    cursor: dict[str, str] = {}
    while True:
        answer = stack.remote.get(path, limit=500, **parameters, **cursor)
        yield from answer[name]
        if not answer["next_cursor"]:
            return
        cursor = {"cursor": answer["next_cursor"]}


def flows_by_id(stack: Stack, capture_id: str) -> dict[str, dict[str, Any]]:
    """Return the flows of a capture with their verdicts, without what names the run.

    Without the reasons, too: which verdicts of a message have some depends on the message.
    """
    named = ("flow_id", "capture_id", "window_id", "version", "classification")
    flows = pages(stack, "/api/flows/", "flows", capture=capture_id)
    return {
        flow["flow_id"]: {key: value for key, value in flow.items() if key not in named}
        | {key: flow["classification"][key] for key in ("class_name", "is_uncertain", *PROBABILITIES)}
        for flow in flows
    }


def differences(some: dict[str, dict[str, Any]], others: dict[str, dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """Return what differs between flows of two captures, by flow and name."""

    def is_same(name: str, one: Any, other: Any) -> bool:
        if name in PROBABILITIES and None not in (one, other):
            # Sums of a pass are rounded by how many rows it has.
            return abs(one - other) < 1e-5
        return bool(one == other)

    pairs = {flow: (some.get(flow, {}), others.get(flow, {})) for flow in some | others}
    return {
        (flow, name): (one.get(name), other.get(name))
        for flow, (one, other) in pairs.items()
        for name in one | other
        if not is_same(name, one.get(name), other.get(name))
    }


def anomalies_of(stack: Stack, capture_id: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return what was found in a capture: when and what, and how it was judged."""
    return {
        tuple(found[key] for key in ("window_start", "type", "signal", "subject")): tuple(
            found[key]
            for key in ("severity", "current_value", "threshold", "message", "folded", "incident_count", "hosts")
        )
        for found in pages(stack, "/api/anomalies/", "anomalies", capture=capture_id)
    }


def test_a_recorded_file_gives_the_windows_of_the_live_capture(live: Stack, veth: Veth, tmp_path: Path) -> None:
    capture_id, path = "live-and-recorded", tmp_path / "recorded.pcapng"
    frames = frames_of(6000)
    with live.spawn("capture", "--interface", veth.near, "--id", capture_id, "--output", str(path)) as process:
        try:
            until(lambda: live.remote.capture(capture_id) is not None, 120, live.said)
            send_for(veth, frames, 3 * WINDOW_S)
            time.sleep(0.5)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    row = live.stored(capture_id)
    assert (row["state"], row["source"], row["packets"]) == ("complete", "live", len(frames))
    with open_capture(path) as file:
        recorded = [
            block.data[at : at + size].tobytes()
            for block in file.blocks(100_000)
            for at, size in zip(block.start, block.captured_bytes, strict=True)
        ]
    assert recorded == frames

    done = live.run("capture", str(path), "--align", "epoch", "--window", str(WINDOW_S))
    assert done.returncode == 0, done.stderr
    from_file = done.stdout.strip()
    assert live.stored(from_file)["packets"] == len(frames)
    seen = windows_by_start(live, capture_id)
    assert len(seen) >= 3
    assert all(start % WINDOW_S == 0 for start in map(float, seen))
    assert windows_by_start(live, from_file) == seen
    ledger = live.remote.get(f"/api/captures/{capture_id}/ledger")
    assert ledger["is_balanced"]
    assert [hop["hop"] for hop in ledger["hops"]][:5] == ["nic", "kernel", "read", "record", "decode"]
    assert {hop["packets_out"] for hop in ledger["hops"]} == {len(frames)}


@pytest.mark.skipif(shutil.which("tcpreplay") is None, reason="there is no tcpreplay program")
def test_a_capture_replayed_onto_a_wire_gives_the_windows_flows_and_anomalies_of_its_recording(
    live: Stack, veth: Veth, tmp_path: Path
) -> None:
    source, recording = tmp_path / "mixed.pcap", tmp_path / "replayed.pcapng"
    source.write_bytes(gzip.decompress(SAMPLE.read_bytes()))
    capture_id = "replayed"
    with live.spawn("capture", "--interface", veth.near, "--id", capture_id, "--output", str(recording)) as process:
        try:
            until(lambda: live.remote.capture(capture_id) is not None, 120, live.said)
            subprocess.run(["tcpreplay", "-q", "--multiplier=50", "-i", veth.far, str(source)], check=True, timeout=120)
            # The port's clock goes on; that of the recording ends with its last packet.
            time.sleep(2)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    with open_capture(source) as file:
        sent = sum(len(block) for block in file.blocks(100_000))
    assert live.stored(capture_id)["packets"] == sent

    done = live.run("capture", str(recording), "--align", "epoch", "--window", str(WINDOW_S))
    assert done.returncode == 0, done.stderr
    from_file = done.stdout.strip()
    assert live.stored(from_file)["packets"] == sent
    assert windows_by_start(live, from_file) == windows_by_start(live, capture_id)
    flows = flows_by_id(live, capture_id)
    assert len(flows) > 1000
    assert differences(flows, flows_by_id(live, from_file)) == {}
    found = anomalies_of(live, capture_id)
    assert {"port_scan", "traffic_spike"} <= {key[1] for key in found}
    assert anomalies_of(live, from_file) == found


def test_windows_of_a_silent_port_close_and_are_empty(live: Stack) -> None:
    capture_id = newest(live)["capture_id"]
    until(lambda: live.remote.get("/api/metrics/", capture=capture_id)["total"] >= 3, 120, live.said)
    windows = live.remote.windows(capture_id)
    assert {window["record_count"] for window in windows} == {0}


def test_a_killed_capture_is_ended_and_another_takes_its_place(live: Stack, veth: Veth) -> None:
    first = newest(live)["capture_id"]
    veth.send(frames_of(100))
    until(lambda: (live.remote.capture(first) or {})["packets"] == 100, 60, live.said)
    live.child("capture").kill()
    until(lambda: newest(live)["capture_id"] != first, 60, live.said)
    until(lambda: (live.remote.capture(first) or {})["state"] == "failed", 60, live.said)
    assert (live.remote.capture(first) or {})["error"] == "its process ended without notice"
    until(lambda: sum(w["record_count"] for w in live.remote.windows(first)) == 100, 60, live.said)


def test_the_newest_packets_stay_on_disk(live: Stack, veth: Veth) -> None:
    capture_id = newest(live)["capture_id"]
    frames = frames_of(500)
    veth.send(frames)
    until(lambda: (live.remote.capture(capture_id) or {})["packets"] == 500, 60, live.said)
    (segment,) = (live.settings.captures_folder / capture_id).glob("*.pcapng")
    with open_capture(segment) as file:
        assert sum(len(block) for block in file.blocks(1000)) == len(frames)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--interface", "nonesuch"], "There is no interface 'nonesuch'"),
        (["--interface", "lo", "--filter", "port what"], "is wrong: unknown port 'what'"),
        (["--interface", "lo", "some.pcap"], "Name a file or an interface, not both."),
        ([], "Name a capture file, or an interface with --interface."),
    ],
)
def test_what_cannot_be_captured_is_told_in_one_line(tmp_path: Path, options: list[str], sentence: str) -> None:
    done: subprocess.CompletedProcess[str] = Stack(tmp_path).run("capture", *options)
    (line,) = done.stderr.strip().splitlines()
    assert (done.returncode, sentence in line) == (1, True)


def test_a_stack_does_not_start_for_an_interface_that_is_not_there(tmp_path: Path) -> None:
    done = Stack(tmp_path).run("up", "--interface", "nonesuch")
    assert done.returncode == 1
    assert "There is no interface 'nonesuch'" in done.stderr
