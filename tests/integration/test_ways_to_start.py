"""Every documented way to start the service, and the parts on a Kafka of one's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.broker import bootstrap_servers
from tests.integration.stack import Stack, until

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]


def uvicorn(port: int, _sample: Path) -> list[str]:
    return ["-m", "uvicorn", "api.main:app", "--port", str(port)]


def run_api(_port: int, _sample: Path) -> list[str]:
    return ["run_api.py"]


def api_server(_port: int, sample: Path) -> list[str]:
    return ["api/api_server.py", "--mode", "pcap", "--pcap", str(sample)]


@pytest.mark.parametrize("command", [uvicorn, run_api, api_server])
def test_it_starts_computes_and_stops(command: Callable[[int, Path], list[str]], tmp_path: Path, sample: Path) -> None:
    stack = Stack(tmp_path, sample.parent)
    if command is run_api:
        # By the names of its own document.
        del stack.environment["SPANWATCH_PORTS"]
        model = {"RLIDS_MODEL_PATH": "models/dqn_model_best.pt", "RLIDS_LOG_LEVEL": "INFO", "RLIDS_DEBUG": "false"}
        stack.environment |= {"RLIDS_API_HOST": "127.0.0.1", "RLIDS_API_PORT": str(stack.settings.ports[0]), **model}
    stack.start_with([sys.executable, *command(stack.settings.ports[0], sample)], cwd=ROOT)
    try:
        assert stack.remote.get("/api/control/ping")["pong"] is True
        assert stack.remote.post("/predict", {"features": [0.1] * 78})["features_count"] == 78
        assert stack.compute(sample)["success"] is True
        if command is api_server:
            # As the document's own curl line does: no body, so the configured file.
            assert stack.remote.post("/api/metrics/compute", {})["from_cache"] is True
    finally:
        stack.close()


def test_a_kafka_of_ones_own_is_used(tmp_path: Path, sample: Path) -> None:
    kafka = Stack(tmp_path / "kafka")
    kafka.state.mkdir(parents=True)
    broker = kafka.spawn("broker")
    try:
        until(lambda: kafka.bootstrap() is not None, 60, lambda: "the broker did not start")
        stack = Stack(tmp_path / "stack", sample.parent)
        stack.environment["SPANWATCH_KAFKA"] = bootstrap_servers(kafka.settings)
        stack.start()
        try:
            assert stack.compute(sample)["success"] is True
            assert not (stack.state / "broker").exists()
        finally:
            stack.close()
    finally:
        broker.terminate()
        assert broker.wait(15) == 0


def test_api_and_worker_run_apart(tmp_path: Path, sample: Path) -> None:
    first = Stack(tmp_path, sample.parent)
    first.state.mkdir(parents=True)
    broker = first.spawn("broker")
    processes: list[subprocess.Popen[bytes]] = [broker]
    try:
        until(lambda: first.bootstrap() is not None, 60, lambda: "the broker did not start")
        processes.append(first.spawn("worker"))
        first.start_with([sys.executable, "-m", "spanwatch", "api"], cwd=ROOT)
        assert first.compute(sample)["success"] is True
        assert first.process.children() == []
    finally:
        first.close()
        for process in reversed(processes):
            process.terminate()
            assert process.wait(15) == 0


def test_a_taken_port_is_told_in_plain_words(stack: Stack, tmp_path: Path) -> None:
    second = Stack(tmp_path)
    second.environment["SPANWATCH_PORTS"] = str(stack.settings.ports[0])
    done = second.run("up")
    assert done.returncode == 1
    assert f"Port {stack.settings.ports[0]}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_in_use_is_told_in_plain_words(stack: Stack) -> None:
    done = stack.run("migrate")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
