"""A spanwatch stack of its own, driven over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from benchmarks.measured import Measured
from benchmarks.processes import TreeWatch, cpu_seconds, until_idle

REPOSITORY = Path(__file__).resolve().parents[1]
START_S, STOP_S, COMPUTE_S = 120.0, 20.0, 1800.0


class Stack:
    """``spanwatch up`` with its own state folder and port, between enter and exit.

    Parameters
    ----------
    folder : Path
        Everything it writes goes here; captures are read from it, too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start_s = 0.0
        self._log = folder / "up.out"
        self._links = 0

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        port = _free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SPANWATCH_")},
            "SPANWATCH_STATE": str(self.folder / "state"),
            "SPANWATCH_PORTS": str(port),
            "SPANWATCH_DATA_ROOTS": str(self.folder),
            "SPANWATCH_KAFKA_PORT": str(_free_port()),
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "spanwatch", "up"],
                cwd=REPOSITORY,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=COMPUTE_S)
        try:
            self._until_up()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self._client.close()
        self._stop()

    @property
    def pid(self) -> int:
        """Of its first process."""
        return self._process.pid

    def compute(self, path: Path, *, as_new: bool = True) -> float:
        """Have a capture computed; return the seconds from request to answer.

        Parameters
        ----------
        path
            Inside the folder.
        as_new
            Under a name never seen before. Otherwise the older result of the same file is replaced.
        """
        if as_new:
            self._links += 1
            link = path.with_name(f"{path.stem}-{self._links}.pcap")
            link.hardlink_to(path)
            path = link
        began_s = time.perf_counter()
        self._ask("POST", "/api/metrics/compute", json={"pcap_file": str(path), "force": True})
        return time.perf_counter() - began_s

    def measure(self, path: Path, packets: int) -> Measured:
        """Have a capture computed and check that every packet of it is stored.

        Raises
        ------
        RuntimeError
            When the loss ledger does not balance to exactly `packets`.
        """
        cpu_before_s = cpu_seconds(self.pid)
        with TreeWatch(self.pid) as watch:
            seconds = self.compute(path)
        cpu_answered_s = cpu_seconds(self.pid)
        until_idle(self.pid)
        after_s = cpu_seconds(self.pid) - cpu_answered_s
        self._check(packets)
        return Measured(packets, seconds, cpu_answered_s - cpu_before_s, watch.peak_bytes, after_s)

    def newest_capture(self) -> dict[str, Any]:
        """Return the capture that was begun last."""
        return dict(self._ask("GET", "/api/captures", params={"limit": 1})["captures"][0])

    def export(self, table: str, capture_id: str, columns: str) -> bytes:
        """Return rows of a capture as a Parquet file.

        Parameters
        ----------
        columns
            Their names, with commas in between.
        """
        wanted = {"format": "parquet", "capture": capture_id, "columns": columns}
        answer = self._client.get(f"/api/export/{table}", params=wanted)
        answer.raise_for_status()
        return answer.content

    def _check(self, packets: int) -> None:
        capture = self.newest_capture()
        ledger = self._ask("GET", f"/api/captures/{capture['capture_id']}/ledger")
        if capture["packets"] != packets or not ledger["is_balanced"]:
            raise RuntimeError(f"{packets:,} packets expected, but the ledger says {ledger}")

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = self._client.request(method, path, **request)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return dict(answer.json())

    def _until_up(self) -> None:
        began_s = time.perf_counter()
        while True:
            try:
                if self._client.get("/health", timeout=2.0).status_code == httpx.codes.OK:
                    break
            except httpx.HTTPError:
                pass
            self.start_s = time.perf_counter() - began_s
            if self._process.poll() is not None or self.start_s > START_S:
                last = self._log.read_text(errors="replace").strip().splitlines()[-5:]
                raise RuntimeError("spanwatch up did not start: " + " / ".join(last))
            time.sleep(0.1)
        self.start_s = time.perf_counter() - began_s

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
