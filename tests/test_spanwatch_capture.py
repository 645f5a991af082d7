from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

CAPTURE = """
import os, signal, threading, time
import spanwatch_capture
spanwatch_capture.ORPHAN_S = 1

class Port:
    def __init__(self): self.stopped = threading.Event()
    def stop(self): self.stopped.set()

port = Port()
with spanwatch_capture._stopped_by_signals(port):
    print("up", flush=True)
    port.stopped.wait()
    os.kill(os.getpid(), signal.SIGTERM)  # as the kernel does once more for each thread of its starter
    print("stopped", flush=True)
    time.sleep(600)  # nobody takes its end
"""

SERVICE = f"""
import signal, sys, time
from pathlib import Path
from infra.processes import spawn
child = spawn([sys.executable, "-c", {CAPTURE!r}], output=Path(sys.argv[1]), death_signal=signal.SIGTERM)
print(child.pid, flush=True)
time.sleep(600)
"""


def wait_for(path: Path, word: str, process: subprocess.Popen[str]) -> None:
    while not path.exists() or word not in path.read_text():
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError("the service ended by itself")


def test_a_capture_does_not_outlive_a_killed_service_whose_broker_went_with_it(tmp_path: Path) -> None:
    output = tmp_path / "capture.out"
    with subprocess.Popen([sys.executable, "-c", SERVICE, output], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        capture = psutil.Process(int(service.stdout.readline()))
        wait_for(output, "up", service)
        service.kill()
    capture.wait(60)
    assert "stopped" in output.read_text()
