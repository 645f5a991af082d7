"""Memory and processor time of a process and its children while it works."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import psutil

SAMPLE_S = 0.05
IDLE_SHARE = 0.15
"""Of one core: what a process tree uses that is at rest (heartbeats, polls)."""

MIB = 1024 * 1024


def label_of(process: psutil.Process) -> str:
    """Name a process of ours by its job, any other by its program."""
    command = process.cmdline()
    if "kafka.Kafka" in command or process.name() == "java":
        return "broker"
    for job in ("worker", "up"):
        if job in command and any("spanwatch" in part for part in command):
            return {"worker": "worker", "up": "API, store and storage agent"}[job]
    return process.name()


@dataclass
class TreeWatch:
    """Watches a process and its descendants between enter and exit.

    Attributes
    ----------
    peak_bytes : dict of str to int
        Largest resident size of each process, by label; largest of those that share a label.
    peak_total_bytes : int
        Largest sum over all processes at one moment; pages that they share count once for each.
    """

    pid: int
    peak_bytes: dict[str, int] = field(default_factory=dict)
    peak_total_bytes: int = 0

    def __enter__(self) -> Self:
        """Start watching."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            total = 0
            for process in tree(self.pid):
                try:
                    size, label = process.memory_info().rss, label_of(process)
                except psutil.Error:
                    continue
                total += size
                self.peak_bytes[label] = max(self.peak_bytes.get(label, 0), size)
            self.peak_total_bytes = max(self.peak_total_bytes, total)
            if self._stop.wait(SAMPLE_S):
                return


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants, those that still live."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """Processor time that a living process tree has used."""
    total = 0.0
    for process in tree(pid):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def until_idle(pid: int, limit_s: float = 60.0) -> float:
    """Wait until a process tree rests; return its use in the last second, in cores."""
    end_s = time.monotonic() + limit_s
    while True:
        before = cpu_seconds(pid)
        began_s = time.monotonic()
        time.sleep(1.0)
        share = (cpu_seconds(pid) - before) / (time.monotonic() - began_s)
        if share < IDLE_SHARE or time.monotonic() > end_s:
            return share
