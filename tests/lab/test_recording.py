from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.errors import LabError, MissingProgramError
from lab.labels import BENIGN, read_labels
from lab.mix import ordinary
from lab.network import PREFIX
from lab.pcap import read_packets
from lab.programs import ALWAYS, PACKAGES, missing_programs, program, require_privileges
from lab.record import SCENARIOS, count_classes, record
from lab.scenarios import Scenario, Stage

ROOT = Path(__file__).resolve().parents[2]


def need(*programs: str) -> None:
    """Skip, and say why, where the lab cannot run."""
    try:
        require_privileges()
    except LabError as error:
        pytest.skip(str(error))
    if missing := missing_programs([*ALWAYS, *programs]):
        pytest.skip(f"not installed: {', '.join(missing)}")


def namespaces_of(pid: int) -> list[str]:
    listed = subprocess.run([program("ip"), "netns", "list"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if line.startswith(f"{PREFIX}{pid}-")]


def test_a_benign_scenario_records_what_its_labels_say(tmp_path: Path) -> None:
    need(*SCENARIOS["dns"].programs)
    recording = record(SCENARIOS["dns"], tmp_path)
    rows = read_labels(recording.labels)
    assert {row.class_name for row in rows} == {"BENIGN"}
    questions = [p for p in read_packets(recording.capture) if p.dst_port == 53 and p.protocol == 17]
    # One that is not answered within two seconds is asked again.
    assert 27 <= len(questions) < 30
    assert namespaces_of(os.getpid()) == []


def test_a_scan_is_recorded_once_per_probe_and_labelled(tmp_path: Path) -> None:
    need(*SCENARIOS["scan-syn"].programs)
    recording = record(SCENARIOS["scan-syn"], tmp_path)
    probes = {(p.src_port, p.dst_port) for p in read_packets(recording.capture) if p.src_ip == "10.77.0.66"}
    assert len({port for _, port in probes}) == 300
    counts = count_classes(recording.capture, read_labels(recording.labels))
    assert counts["PortScan"] >= 600 - 10
    assert sum(counts.values()) == len(read_packets(recording.capture))


def test_a_failing_scenario_leaves_nothing_behind(tmp_path: Path) -> None:
    need()

    def fail(stage: Stage) -> None:
        stage.host("alice").start("sleeper", "sleep", "600")
        raise LabError("on purpose")

    with pytest.raises(LabError, match="on purpose"):
        record(Scenario("failing", "Fails.", ("BENIGN",), (), (), fail), tmp_path)
    assert namespaces_of(os.getpid()) == []
    assert not list(Path("/etc/netns").glob(f"{PREFIX}{os.getpid()}-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_recording_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    need(*SCENARIOS["scan-slow"].programs)
    command = [sys.executable, "-m", "lab", "record", "scan-slow", "--out", str(tmp_path)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "scan-slow.pcap").exists():
        assert child.poll() is None, "ended before it recorded"
        time.sleep(0.1)
    child.send_signal(number)
    assert child.wait(60) != 0
    assert namespaces_of(child.pid) == []


def test_a_missing_program_names_its_debian_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.programs._SEARCH_PATH", "/nonexistent")
    with pytest.raises(MissingProgramError, match="apt-get install apache2-utils"):
        program("ab")


def test_the_help_teaches() -> None:
    done = subprocess.run([sys.executable, "-m", "lab", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for word in ("list", "record", "all", "mix", "clean", "root", "lab/packages.txt", "docs/lab.md"):
        assert word in done.stdout


def test_ordinary_work_has_no_attack_in_it(tmp_path: Path) -> None:
    need(*PACKAGES)
    recording = ordinary(tmp_path, lambda at_s, doing: None, 12, seed=3)
    assert set(recording.packets) == {BENIGN}
    assert [label.class_name for label in read_labels(recording.labels)] == [BENIGN]
