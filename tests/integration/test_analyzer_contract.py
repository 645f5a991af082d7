"""The Analyzer's contract, sample by sample and curl line by curl line, on a fresh stack started as it says."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.api.samples import SAMPLES, STATUS, lacks
from tests.integration.stack import Stack, until
from tests.shared_data import shared_data
from tests.streams.builders import ethernet, ipv4, udp
from tests.streams.veth import Veth, veth_pair, why_no_capture

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
DOCUMENTED_URL = "http://127.0.0.1:5000"

CURL_LINES = (
    "curl -X POST http://127.0.0.1:5000/api/metrics/compute",
    "curl -X POST http://127.0.0.1:5000/api/baselines/generate",
    "curl -X POST http://127.0.0.1:5000/api/anomalies/detect",
    "curl http://127.0.0.1:5000/api/metrics/summary",
    'curl "http://127.0.0.1:5000/api/anomalies/?severity=high"',
    "curl http://127.0.0.1:5000/api/anomalies/top?limit=5",
    'curl "http://127.0.0.1:5000/api/anomalies/?type=packet_loss&severity=high"',
    "curl http://127.0.0.1:5000/api/anomalies/window/5",
    "curl http://127.0.0.1:5000/api/anomalies/by-type",
    "curl http://127.0.0.1:5000/api/baselines/",
    "curl http://127.0.0.1:5000/api/baselines/bandwidth",
    "curl http://127.0.0.1:5000/api/baselines/stats",
    """curl -X POST http://127.0.0.1:5000/api/baselines/generate -d '{"force": true}' """
    '-H "Content-Type: application/json"',
)
"""In the document's order."""

ANALYZER_SAMPLES = [line for line in SAMPLES if "RL-IDS" not in line]


def start_as_documented(folder: Path, roots: Path, *options: str) -> Stack:
    stack = Stack(folder, roots)
    stack.start_with([sys.executable, "api/api_server.py", *options], cwd=ROOT)
    return stack


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Iterator[Stack]:
    """A stack that nothing has been computed on, the bundled capture its file."""
    stack = start_as_documented(
        tmp_path_factory.mktemp("analyzer"), sample.parent, "--mode", "pcap", "--pcap", str(sample)
    )
    try:
        yield stack
    finally:
        stack.close()


def analyzer_url(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.settings.ports[1]}"


def ask(stack: Stack, line: str) -> httpx.Response:
    """Send a request written as ``METHOD PATH BODY``."""
    method, path, body = [*line.partition(" (")[0].split(" ", 2), ""][:3]
    return httpx.request(method, analyzer_url(stack) + path, content=body, timeout=120)


def run_curl(stack: Stack, line: str) -> tuple[int, dict[str, Any]]:
    """Run a curl line against a stack; return the status and the JSON."""
    command = [word.replace(DOCUMENTED_URL, analyzer_url(stack)) for word in shlex.split(line)]
    command += ["-s", "-w", "\n%{http_code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_before_anything_is_computed_detect_and_generate_say_so(fresh: Stack) -> None:
    for path in ("/api/anomalies/detect", "/api/baselines/generate"):
        answer = ask(fresh, f"POST {path}")
        assert answer.status_code == 400
        sample = {"success": False, "error": "Metrics not found. Run /api/metrics/compute first."}
        assert {key: answer.json()[key] for key in sample} == sample
    assert ask(fresh, "GET /api/baselines/bandwidth").status_code == 404


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("line", CURL_LINES)
def test_every_curl_line_of_the_document_is_answered(fresh: Stack, line: str) -> None:
    status, body = run_curl(fresh, line)
    assert status == 200, body
    assert "error" not in body
    assert body.get("success", True) is True


def test_these_are_the_documents_own_curl_lines() -> None:
    data = shared_data()
    contract = data and data.parent / "contracts" / "analyzer-api.md"
    if contract is None or not contract.exists():
        pytest.skip("the document is not at hand")
    lines = [line.strip() for line in contract.read_text().splitlines() if line.startswith("curl ")]
    assert sorted(lines) == sorted(CURL_LINES)


@pytest.mark.parametrize("line", ANALYZER_SAMPLES)
def test_every_sample_has_its_keys_and_types(fresh: Stack, line: str) -> None:
    ask(fresh, "POST /api/metrics/compute")
    ask(fresh, "POST /api/baselines/generate")
    answer = ask(fresh, line)
    assert answer.status_code == STATUS.get(line, 200), answer.text
    assert lacks(json.loads(SAMPLES[line]), answer.json()) == []


def test_the_figures_agree_with_each_other(fresh: Stack) -> None:
    ask(fresh, "POST /api/metrics/compute")
    status = ask(fresh, "GET /api/control/status").json()["data"]
    listed = ask(fresh, "GET /api/anomalies/?limit=1000&order=oldest").json()
    assert status["anomaly_count"] == listed["total"] == ask(fresh, "GET /api/anomalies/by-type").json()["total"]
    assert status["anomalies"] is status["baselines"] is status["metrics"] is True
    assert listed["total"] > 0
    for window_id in {anomaly["window_id"] for anomaly in listed["anomalies"]}:
        of_window = ask(fresh, f"GET /api/anomalies/window/{window_id}").json()["anomalies"]
        ids = {a["anomaly_id"] for a in listed["anomalies"] if a["window_id"] == window_id}
        assert {anomaly["anomaly_id"] for anomaly in of_window} == ids
    incidents = ask(fresh, "GET /api/anomalies/incidents?limit=1000").json()["incidents"]
    assert sum(incident["count"] for incident in incidents) == sum(1 + a["folded"] for a in listed["anomalies"])


def test_an_anomalys_picture_shows_its_own_value(fresh: Stack) -> None:
    ask(fresh, "POST /api/metrics/compute")
    listed = ask(fresh, "GET /api/anomalies/?limit=1000").json()["anomalies"]
    shown = 0
    for anomaly in listed:
        detail = ask(fresh, f"GET /api/anomalies/{anomaly['anomaly_id']}").json()
        values = {point["window_id"]: point["value"] for point in detail["picture"]["windows"]}
        assert anomaly["window_id"] in values, anomaly
        if anomaly["metric"] in ("bytes_per_s", "mean_rtt_ms") or anomaly["signal"] == "network_loss":
            # Others are about several windows, or about one flow in one direction.
            assert values[anomaly["window_id"]] == pytest.approx(anomaly["current_value"], rel=1e-6)
            shown += 1
    assert shown or not any(a["metric"] == "bytes_per_s" for a in listed)


def test_judging_again_with_the_same_thresholds_changes_nothing(fresh: Stack) -> None:
    ask(fresh, "POST /api/metrics/compute")
    before = ask(fresh, "GET /api/anomalies/?limit=1").json()["total"]
    same = ask(fresh, 'POST /api/anomalies/detect {"dry_run": true}').json()
    assert (same["dry_run"], same["anomaly_count"]) == (True, before)
    changes = same["changes"]
    assert (changes["added_count"], changes["removed_count"], changes["kept_count"]) == (0, 0, before)
    strict = ask(
        fresh,
        'POST /api/anomalies/detect {"dry_run": true, "thresholds": {"port_scan_ports": 1, "port_scan_hosts": 1}}',
    ).json()
    assert strict["changes"]["added_count"] > 0
    assert ask(fresh, "GET /api/anomalies/?limit=1").json()["total"] == before
    forced = ask(fresh, 'POST /api/anomalies/detect {"force": true}').json()
    assert (forced["from_cache"], forced["anomaly_count"]) == (False, before)
    assert ask(fresh, "GET /api/anomalies/?limit=1").json()["anomalies"][0]["run_id"] == forced["run_id"]


REASON = why_no_capture()
needs_capture = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.fixture(scope="module")
def veth() -> Iterator[Veth]:
    with veth_pair() as pair:
        yield pair


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, veth: Veth) -> Iterator[Stack]:
    """A stack in live mode that captures nothing yet."""
    folder = tmp_path_factory.mktemp("live")
    stack = start_as_documented(folder, folder, "--mode", "live", "--interface", veth.near)
    try:
        # A stop waits a while for the last windows to be stored, but not until a worker has started.
        stack.wait_for_worker()
        yield stack
    finally:
        stack.close()


def started(stack: Stack, veth: Veth, **body: Any) -> dict[str, Any]:
    answer = ask(stack, f"POST /api/control/capture/start {json.dumps({'interface': veth.near, **body})}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def capture_status(stack: Stack) -> dict[str, Any]:
    return dict(ask(stack, "GET /api/control/capture/status").json())


@needs_capture
def test_a_capture_is_started_watched_and_stopped(live: Stack, veth: Veth) -> None:
    begun = started(live, veth, output_file="logs/live_capture.jsonl", duration=300)
    sample = """{"success": true, "message": "Live capture started on eth0", "interface": "eth0",
        "output_file": "logs/live_capture.jsonl", "start_time": "2026-01-09T17:44:30.123456", "duration": 300}"""
    assert lacks(json.loads(sample), begun) == []
    frame = ethernet(ipv4(17, udp(bytes(100), source_port=4000)))
    for _ in range(20):
        veth.send([frame] * 10)
        time.sleep(0.1)
    now = capture_status(live)
    sample = """{"running": true, "start_time": "2026-01-09T17:44:30.123456", "duration": 15.5,
        "interface": "eth0", "output_file": "logs/live_capture.jsonl"}"""
    assert lacks(json.loads(sample), now) == []
    assert (now["running"], now["interface"], now["start_time"]) == (True, veth.near, begun["start_time"])
    assert ask(live, "GET /api/control/status").json()["capture"]["running"] is True
    assert ask(live, "POST /api/control/capture/start").status_code == 409
    [process] = [child for child in live.process.children() if begun["capture_id"] in child.cmdline()]

    ended = ask(live, "POST /api/control/capture/stop").json()
    sample = """{"success": true, "message": "Live capture stopped", "duration": 45.3,
        "output_file": "logs/live_capture.jsonl"}"""
    assert lacks(json.loads(sample), ended) == []
    assert ended["packets"] >= 200
    assert ended["is_complete"] is True
    assert not process.is_running()
    assert capture_status(live)["running"] is False
    assert ask(live, "POST /api/control/capture/stop").json()["error"] == "No capture currently running"

    computed = ask(live, 'POST /api/metrics/compute {"source": "live"}').json()
    assert (computed["capture_id"], computed["packets"]) == (begun["capture_id"], ended["packets"])
    assert computed["window_count"] == ask(live, "GET /api/metrics/").json()["total"] > 0
    assert ask(live, "POST /api/anomalies/detect").status_code == 200
    again = ask(live, 'POST /api/metrics/compute {"pcap_file": "logs/live_capture.jsonl"}')
    assert (again.status_code, again.json()["packets"]) == (200, ended["packets"])


@needs_capture
def test_a_capture_whose_duration_has_passed_ends_itself(live: Stack, veth: Veth) -> None:
    begun = started(live, veth, duration=2)
    assert begun["output_file"] == "captures/live_capture.pcapng"
    until(lambda: not capture_status(live)["running"], 30, live.said)
    until(lambda: (live.remote.capture(begun["capture_id"]) or {}).get("is_complete", False), 30, live.said)
    assert ask(live, "POST /api/control/capture/stop").status_code == 400
    again = ask(live, 'POST /api/metrics/compute {"pcap_file": "captures/live_capture.pcapng"}')
    assert (again.status_code, again.json()["packets"]) == (200, live.remote.capture(begun["capture_id"])["packets"])


@needs_capture
def test_a_capture_ends_with_the_service_and_that_is_known_after_a_restart(live: Stack, veth: Veth) -> None:
    begun = started(live, veth)
    [process] = [child for child in live.process.children() if begun["capture_id"] in child.cmdline()]
    live.stop()
    assert not psutil.pid_exists(process.pid)
    live.start_with([sys.executable, "api/api_server.py", "--mode", "live"], cwd=ROOT)
    now = capture_status(live)
    assert (now["running"], now["capture_id"]) == (False, begun["capture_id"])
