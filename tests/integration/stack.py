"""A whole stack as its users start it: `spanwatch up` as a child, asked over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from agents.worker import READS
from api.remote import RemoteStack
from infra.broker import bootstrap_servers
from infra.groups import ClusterView
from infra.kafka import wait_until_reachable
from infra.lag import has_caught_up
from infra.settings import Settings, load_settings
from schemas.errors import BrokerError
from schemas.topics import STORAGE_GROUP, WORKER_GROUP
from tests.ports import free_ports

START_S = 90.0
STOP_S = 5.0

_DIGEST = """
import json, sys
from infra.store import Store
from api.queries_digests import digests
with Store.open(sys.argv[1]) as store:
    print(json.dumps(digests(store, sys.argv[2:])))
"""


class Stack:
    """One stack in a folder of its own.

    Parameters
    ----------
    folder : Path
        Where its state goes; also what file parameters may name, beside ``roots``.
    roots : Path
        Further data roots.
    """

    def __init__(self, folder: Path, *roots: Path) -> None:
        self.state = folder / "state"
        ports = free_ports(2)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SPANWATCH_")},
            "SPANWATCH_STATE": str(self.state),
            "SPANWATCH_PORTS": ",".join(map(str, ports)),
            "SPANWATCH_DATA_ROOTS": os.pathsep.join(map(str, (folder, *roots))),
        }
        self.settings = load_settings(state=self.state, ports=ports, kafka="")
        self.remote = RemoteStack(self.settings)
        self._output = folder / "up.out"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> psutil.Process:
        """The process of `spanwatch up`: API, store and storage agents."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def child(self, word: str) -> psutil.Process:
        """Return the child process with a word in its command line."""
        (found,) = [child for child in self.process.children() if word in child.cmdline()]
        return found

    def start(self, *options: str) -> None:
        """Start it with `spanwatch up` and wait until it answers."""
        self.start_with([sys.executable, "-m", "spanwatch", "up", *options])

    def start_with(self, command: list[str], cwd: Path | None = None) -> None:
        """Start it with another command and wait until it answers."""
        self._output.parent.mkdir(parents=True, exist_ok=True)
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=self.environment,
                cwd=cwd,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(lambda: not self.is_running or self.remote.is_up(), START_S, self.said)
        assert self.is_running, self.said()

    def bootstrap(self) -> str | None:
        """Return where this stack's own broker answers, None while it does not."""
        try:
            return wait_until_reachable(self.settings, 0.5) and bootstrap_servers(self.settings)
        except BrokerError:
            return None

    @property
    def is_running(self) -> bool:
        """Whether its main process runs."""
        return self._process is not None and self._process.poll() is None

    def wait_for_worker(self) -> None:
        """Wait until a worker has the partitions; the API answers before."""
        view = ClusterView(self.settings)

        def is_there() -> bool:
            try:
                group = view.group(WORKER_GROUP)
            except BrokerError:
                return False
            return group.is_stable and any(group.members.values())

        until(is_there, START_S, self.said)

    def stop(self) -> float:
        """Stop it as Ctrl-C does; return how long that took, s."""
        return self._end(signal.SIGINT)

    def kill(self) -> None:
        """End its main process as the out-of-memory killer does; its children follow."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> float:
        assert self._process is not None
        family = self.process.children(recursive=True)
        began_s = time.monotonic()
        self._process.send_signal(number)
        self._process.wait(STOP_S + 10)
        _, alive = psutil.wait_procs(family, STOP_S + 10)
        assert not alive, f"still there: {alive}"
        return time.monotonic() - began_s

    def close(self) -> None:
        """Stop it if it runs, and close the connections to it."""
        if self.is_running:
            self.stop()
        self.remote.close()

    def run(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run another command of the front door against this stack."""
        return subprocess.run(
            [sys.executable, "-m", "spanwatch", *command],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **options,
        )

    def spawn(self, *command: str) -> subprocess.Popen[bytes]:
        """Start another command of the front door against this stack."""
        arguments = [sys.executable, "-m", "spanwatch", *command]
        return subprocess.Popen(arguments, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def compute(self, file: Path, **body: Any) -> dict[str, Any]:
        """Compute a file; return the documented answer."""
        return self.remote.post("/api/metrics/compute", {"pcap_file": str(file), **body})

    def spawn_compute(self, file: Path, **body: Any) -> Callable[[], dict[str, Any]]:
        """Start computing a file; return what waits for the answer."""
        pool = ThreadPoolExecutor(1)
        answer = pool.submit(self.compute, file, **body)
        return lambda: answer.result(120)

    def stored(self, capture_id: str) -> dict[str, Any]:
        """Wait until a capture is in the store; return where it stands."""
        now = None
        for now in self.remote.until_stored(capture_id):  # noqa: B007 - the last one is the result
            pass
        assert now is not None
        return now

    def wait_until_all_is_taken(self) -> None:
        """Wait until the storage agents have read their topics to the end, baselines included.

        A capture counts as stored without what was learnt from it.
        """
        until(lambda: self.has_caught_up(STORAGE_GROUP), 120, self.said)

    def has_caught_up(self, group: str) -> bool:
        """Whether the agents of a group have committed all that there is."""
        return has_caught_up(self.settings, self.settings.group_name(group), READS[group])

    def digests(self, *capture_ids: str) -> dict[str, Any]:
        """Return what the stopped stack's store holds of captures; see ``digests``."""
        return digests_of(self.settings, *capture_ids)

    def said(self) -> str:
        """Return the end of what it printed."""
        return self._output.read_text(errors="replace")[-3000:]


def digests_of(settings: Settings, *capture_ids: str) -> dict[str, Any]:
    """Return what a closed store holds of captures; opened by another process, because this one has a store already."""
    done = subprocess.run(
        [sys.executable, "-c", _DIGEST, settings.clickhouse, *capture_ids],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return dict(json.loads(done.stdout))


@contextmanager
def running_stack(folder: Path, *roots: Path, options: tuple[str, ...] = ()) -> Iterator[Stack]:
    """Start a stack, and stop it whatever happens."""
    stack = Stack(folder, *roots)
    try:
        stack.start(*options)
        yield stack
    finally:
        stack.close()


def until(is_so: Callable[[], bool], timeout_s: float, said: Callable[[], str]) -> None:
    """Wait until something is so."""
    end_s = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > end_s:
            raise AssertionError(f"not within {timeout_s} s: {said()}")
        time.sleep(0.05)


def get_json(url: str) -> Any:
    """Return the JSON of a GET that must succeed."""
    answer = httpx.get(url, timeout=30)
    answer.raise_for_status()
    return answer.json()
