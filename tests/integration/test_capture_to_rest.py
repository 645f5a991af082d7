"""From a capture to answers, through the real broker and the real store, against tshark."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.lag import lag
from schemas.topics import PACKETS
from tests.integration.stack import STOP_S, Stack, get_json, running_stack, until

pytestmark = pytest.mark.timeout(600)

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@pytest.fixture(scope="module")
def computed(stack: Stack, sample: Path) -> dict[str, Any]:
    return stack.compute(sample)


@pytest.fixture(scope="module")
def windows(stack: Stack, computed: dict[str, Any]) -> list[dict[str, Any]]:
    return stack.remote.windows(computed["capture_id"])


@pytest.fixture(scope="module")
def oracle(sample: Path) -> list[dict[str, str]]:
    """What tshark sees of the sample, packet by packet."""
    names = (
        "frame.len", "ip.proto", "tcp.analysis.ack_rtt", "tcp.analysis.initial_rtt", "tcp.analysis.retransmission",
        "tcp.analysis.fast_retransmission", "tcp.analysis.spurious_retransmission", "frame.time_epoch", "tcp.ack",
    )  # fmt: skip
    command = ["tshark", "-n", "-r", str(sample), "-T", "fields", "-E", "occurrence=l"]
    for name in names:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [dict(zip(names, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]


def test_compute_answers_with_the_documented_fields(computed: dict[str, Any]) -> None:
    assert computed["success"] is True
    assert computed["window_size"] == 10
    assert computed["window_count"] >= 20
    assert {"message", "metrics_file", "computation_time", "timestamp"} <= computed.keys()


@needs_tshark
def test_every_packet_that_tshark_counts_is_in_a_window(
    windows: list[dict[str, Any]], oracle: list[dict[str, str]]
) -> None:
    assert sum(window["record_count"] for window in windows) == len(oracle)
    assert sum(window["bandwidth"]["total_bytes"] for window in windows) == sum(
        int(packet["frame.len"]) for packet in oracle
    )


@needs_tshark
def test_each_window_holds_the_packets_of_its_time(windows: list[dict[str, Any]], oracle: list[dict[str, str]]) -> None:
    times_ns = [int(packet["frame.time_epoch"].replace(".", "")) for packet in oracle]
    counts = [0] * len(windows)
    for time_ns in times_ns:
        counts[max(0, (time_ns - times_ns[0]) // 10_000_000_000)] += 1
    assert [window["record_count"] for window in windows] == counts


@needs_tshark
def test_round_trips_are_those_of_tshark(windows: list[dict[str, Any]], oracle: list[dict[str, str]]) -> None:
    rtts_ms = [float(packet["tcp.analysis.ack_rtt"]) * 1000 for packet in oracle if packet["tcp.analysis.ack_rtt"]]
    measured = [window["latency"] for window in windows if window["latency"]["count"]]
    assert sum(latency["count"] for latency in measured) == len(rtts_ms)
    total_ms = sum(latency["mean_rtt"] * latency["count"] for latency in measured)
    assert total_ms == pytest.approx(sum(rtts_ms), rel=1e-6)
    assert max(latency["max_rtt"] for latency in measured) == pytest.approx(max(rtts_ms), rel=1e-9)


@needs_tshark
def test_retransmissions_are_those_of_tshark(windows: list[dict[str, Any]], oracle: list[dict[str, str]]) -> None:
    expected = sum(1 for packet in oracle if packet["tcp.analysis.retransmission"])
    assert expected > 0
    assert sum(window["tcp"]["analysis"].get("retransmission", 0) for window in windows) == expected


def test_the_ledger_balances_to_zero(stack: Stack, computed: dict[str, Any]) -> None:
    ledger = stack.remote.get(f"/api/captures/{computed['capture_id']}/ledger")
    assert ledger["is_complete"]
    assert ledger["is_balanced"]
    assert ledger["difference"] == 0
    assert {hop["hop"] for hop in ledger["hops"]} == {
        *("read", "decode", "produce", "windows", "merge", "store", "analysis", "flows", "classifications"),
    }
    assert {hop["packets_out"] for hop in ledger["hops"]} == {computed["packets"]}


def test_a_second_compute_of_the_same_file_comes_from_the_cache(
    stack: Stack, sample: Path, computed: dict[str, Any]
) -> None:
    again = stack.compute(sample)
    assert again["from_cache"] is True
    assert again["capture_id"] == computed["capture_id"]


def test_two_computes_of_one_file_at_a_time_are_one_and_a_conflict(stack: Stack, sample: Path) -> None:
    url = f"{stack.remote.url}/api/metrics/compute"
    body = {"pcap_file": str(sample), "window_size": 7}
    answers: list[int] = []

    def compute() -> None:
        answers.append(httpx.post(url, json=body, timeout=60).status_code)

    threads = [threading.Thread(target=compute) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 409]


def test_both_ports_serve_all_routes(stack: Stack) -> None:
    first, second = stack.settings.ports
    assert get_json(f"http://127.0.0.1:{first}/health")["status"] == "healthy"
    assert get_json(f"http://127.0.0.1:{second}/health")["status"] == "ok"
    assert get_json(f"http://127.0.0.1:{second}/api/metrics/")["total"] > 0


def test_capture_reads_from_stdin_and_at_a_speed(stack: Stack, sample: Path) -> None:
    if sample.suffix == ".gz":
        plain = subprocess.run(["gzip", "-dc", str(sample)], capture_output=True, check=True).stdout
    else:
        plain = sample.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "spanwatch", "capture", "-", "--speed", "2000"],
        env=stack.environment,
        input=plain,
        capture_output=True,
        timeout=120,
        check=True,
    )
    capture_id = done.stdout.decode().split()[-1]
    now = stack.stored(capture_id)
    assert now["is_complete"]
    assert stack.remote.get(f"/api/captures/{capture_id}/ledger")["is_balanced"]


def test_a_file_that_is_no_capture_fails_in_plain_words(stack: Stack, tmp_path: Path) -> None:
    wrong = tmp_path / "notes.txt"
    wrong.write_text("these are not packets\n")
    done = stack.run("capture", str(wrong))
    assert done.returncode == 1
    assert "pcap" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_fails_in_plain_words(stack: Stack) -> None:
    done = stack.run("analyze", "nowhere.pcap")
    assert done.returncode == 1
    assert "nowhere.pcap" in done.stderr


def test_analyze_prints_a_report_and_hands_it_on(stack: Stack, sample: Path, tmp_path: Path) -> None:
    page, tables = tmp_path / "report.html", tmp_path / "tables"
    done = stack.run("analyze", str(sample), "--html", str(page), "--csv", str(tables), "--fail-on", "high")
    # The sample holds attacks, and the exit status says so.
    assert done.returncode == 3, done.stderr
    for word in ("packets", "Protocols", "Top talkers", "unusual", "Verdicts", "Loss ledger", "Nothing was lost"):
        assert word in done.stdout
    capture_id = done.stdout.partition("\ncapture ")[2].split()[0]
    text = page.read_text()
    assert hashlib.sha256(sample.read_bytes()).hexdigest() in text
    summary = stack.remote.get("/api/metrics/summary", capture=capture_id)
    verdicts = stack.remote.get("/api/classifications/summary", capture=capture_id)
    incidents = stack.remote.get("/api/anomalies/incidents", capture=capture_id)
    assert f"{summary['packets']:,} packets" in text
    assert f"Of {verdicts['flows']:,} flows {verdicts['benign']:,} were called benign" in text
    assert text.count('<p class="why">') == incidents["total"] > 0
    with (tables / "incidents.csv").open() as file:
        told = {row["incident_id"] for row in csv.DictReader(file)}
    assert told == {incident["incident_id"] for incident in incidents["incidents"]}


def test_a_report_is_json_on_standard_output_and_nothing_else(stack: Stack, computed: dict[str, Any]) -> None:
    done = stack.run("report", computed["capture_id"], "--json", "-")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["capture"] == stack.remote.capture(computed["capture_id"])
    assert said["windows"] == stack.remote.windows(computed["capture_id"])
    assert said["summary"] == stack.remote.get("/api/metrics/summary", capture=computed["capture_id"])
    assert said["worst"] == "high"


def test_status_shows_captures_lag_and_ledger(stack: Stack, computed: dict[str, Any]) -> None:
    done = stack.run("status", "--capture", computed["capture_id"])
    assert done.returncode == 0, done.stderr
    for word in ("Captures", "Lag", "packets", "Loss ledger", "Nothing was lost"):
        assert word in done.stdout


def test_the_agents_catch_up_and_say_so(stack: Stack, computed: dict[str, Any]) -> None:
    def has_caught_up() -> bool:
        group = stack.settings.group_name("worker")
        return sum(row.messages for row in lag(stack.settings, group, [PACKETS])) == 0

    assert computed["packets"]
    until(has_caught_up, 20, stack.said)


def test_ctrl_c_stops_everything_within_five_seconds(tmp_path: Path, sample: Path) -> None:
    with running_stack(tmp_path, sample.parent, options=("--pcap", str(sample))) as stack:
        until(lambda: bool(stack.remote.get("/api/metrics/")["total"]), 60, stack.said)
        # The time is the promise made to users, not a measure of speed.
        assert stack.stop() < STOP_S
