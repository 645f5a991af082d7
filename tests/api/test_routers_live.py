from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra import processes
from infra.store import Store
from schemas.captures import CaptureRow
from schemas.enums import CaptureState
from tests.api.stack import (
    Running,
    balanced_ledger,
    capture_row,
    insert_captures,
    insert_ledger,
    running,
    settings_in,
    until,
)

CAPTURE = "/api/control/capture"


@pytest.fixture
def live(store: Store, tmp_path: Path) -> Iterator[Running]:
    with running(settings_in(tmp_path, mode="live"), store) as stack:
        yield stack


def note(stack: Running, row: CaptureRow, pid: int) -> Path:
    """Write what a capture that runs says of itself."""
    folder = stack.settings.captures_folder / row.capture_id
    folder.mkdir(parents=True)
    file = folder / "running.json"
    started_s = processes.started_s(pid)
    told = {"pid": pid, "started_s": started_s, "capture": row.model_dump(mode="json"), "end": {"seq": 7}}
    file.write_text(json.dumps(told))
    return file


def live_row(capture_id: str, **changed: object) -> CaptureRow:
    started_ns = time.time_ns() - 15 * 10**9
    values = {"source": "live", "name": "eth0", "state": CaptureState.RUNNING, "started_ns": started_ns}
    return capture_row(capture_id, **{**values, "ended_ns": None, **changed})


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that is nobody's child here, and the leader of its group."""
    command = "setsid sleep 300 </dev/null >/dev/null 2>&1 & echo $!"
    pid = int(subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout)
    until(lambda: os.getpgid(pid) == pid)
    yield pid
    if psutil.pid_exists(pid):
        os.kill(pid, 9)


def test_no_live_capture_runs(stack: Running) -> None:
    body = stack.http.get(f"{CAPTURE}/status").json()
    assert (body["running"], body["message"]) == (False, "No active capture")
    answer = stack.http.post(f"{CAPTURE}/stop")
    assert (answer.status_code, answer.json()["error"]) == (400, "No capture currently running")
    assert answer.json()["success"] is False


def test_a_live_capture_cannot_be_started_in_pcap_mode(stack: Running) -> None:
    answer = stack.http.post(f"{CAPTURE}/start", json={"interface": "eth0", "duration": 300})
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.json()["error"] == "Cannot start live capture in pcap mode. Start API with --mode live"


def test_only_this_machines_interfaces_can_be_captured_from(live: Running) -> None:
    answer = live.http.post(f"{CAPTURE}/start", json={"interface": "eth0; reboot"})
    assert answer.status_code == 400
    assert "lo" in answer.json()["error"]
    answer = live.http.post(f"{CAPTURE}/start")
    assert "No interface is named" in answer.json()["error"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../out.pcapng", "a\0b", "x" * 300, "notes.txt", "folder", "."])
def test_an_output_file_lies_inside_the_roots_and_replaces_only_captures(live: Running, name: str) -> None:
    [root] = live.settings.data_roots
    (root / "notes.txt").write_text("not a capture")
    (root / "folder").mkdir()
    answer = live.http.post(f"{CAPTURE}/start", json={"interface": "lo", "output_file": name})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("Output file")
    assert (root / "notes.txt").read_text() == "not a capture"


@pytest.mark.parametrize(
    "body",
    [
        {"interface": ""},
        {"interface": "i" * 16},
        {"interface": "lo", "duration": 0},
        {"interface": "lo", "duration": -5},
        {"interface": "lo", "duration": "long"},
        {"interface": "lo", "snaplen": 10},
        {"interface": "lo", "output_file": ""},
    ],
)
def test_nonsense_is_refused(live: Running, body: dict[str, object]) -> None:
    answer = live.http.post(f"{CAPTURE}/start", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")


def test_a_capture_that_cannot_begin_says_why(live: Running) -> None:
    body = {"interface": "lo", "filter": "nonsense (", "output_file": "out/live.jsonl"}
    answer = live.http.post(f"{CAPTURE}/start", json=body)
    assert answer.status_code == 400
    assert "filter" in answer.json()["error"]
    assert not answer.json()["error"].startswith("Error")
    assert live.http.get(f"{CAPTURE}/status").json()["running"] is False


def test_a_capture_that_runs_is_known_whoever_started_it(live: Running, store: Store, stranger: int) -> None:
    row = live_row("live-1", packets=42, packets_lost=3)
    note(live, row, stranger)
    body = live.http.get(f"{CAPTURE}/status").json()
    assert (body["running"], body["interface"], body["capture_id"]) == (True, "eth0", "live-1")
    assert (body["packets"], body["packets_lost"], body["output_file"]) == (42, 3, None)
    assert 15 <= body["duration"] < 60
    status = live.http.get("/api/control/status").json()["capture"]
    assert status == {"running": True, "start_time": body["start_time"], "interface": "eth0"}
    answer = live.http.post(f"{CAPTURE}/start", json={"interface": "lo"})
    assert (answer.status_code, "eth0" in answer.json()["error"]) == (409, True)


def test_the_file_of_a_capture_started_here_is_known_after_a_restart(live: Running, stranger: int) -> None:
    note(live, live_row("live-2"), stranger)
    asked = {"capture_id": "live-2", "output_file": "logs/live.jsonl", "duration_s": 300}
    (live.settings.state / "live_capture.json").write_text(json.dumps(asked))
    body = live.http.get(f"{CAPTURE}/status").json()
    assert (body["output_file"], body["planned_duration"]) == ("logs/live.jsonl", 300)


def test_a_stop_ends_the_process_and_waits_for_its_end(live: Running, store: Store, stranger: int) -> None:
    row = live_row("live-3")
    file = note(live, row, stranger)
    insert_captures(store, row)
    insert_ledger(store, balanced_ledger("live-3"))
    ended = {"state": CaptureState.COMPLETE, "version": 2, "ended_ns": row.started_ns + 45_300_000_000, "packets": 87}
    insert_captures(store, row.model_copy(update=ended))
    answer = live.http.post(f"{CAPTURE}/stop")
    assert answer.status_code == 200, answer.text
    assert not psutil.pid_exists(stranger)
    body = answer.json()
    assert (body["success"], body["message"]) == (True, "Live capture stopped")
    assert (body["duration"], body["packets"], body["is_complete"]) == (45.3, 87, True)
    assert file.exists()
    # The note is of a process that is gone.
    assert live.http.get(f"{CAPTURE}/status").json()["running"] is False


def test_a_capture_of_the_service_itself_is_not_stopped_over_the_api(live: Running) -> None:
    with subprocess.Popen(["sleep", "300"]) as child:
        note(live, live_row("live-4"), child.pid)
        answer = live.http.post(f"{CAPTURE}/stop")
        assert (answer.status_code, "as long as the service" in answer.json()["error"]) == (409, True)
        child.kill()


def test_a_note_that_cannot_be_read_is_passed_over(live: Running) -> None:
    folder = live.settings.captures_folder / "broken"
    folder.mkdir(parents=True)
    (folder / "running.json").write_text("{")
    assert live.http.get(f"{CAPTURE}/status").json()["running"] is False
