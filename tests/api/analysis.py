"""Baselines and runs as storage writes them, and what stands where the worker stands."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import pyarrow as pa

from infra.store import Store
from schemas.analysis import RUN_SCHEMA, AnalysisRequest, Generated, RunRow
from schemas.baselines import BASELINE_SCHEMA
from schemas.enums import BaselineKind, RunKind, RunState
from schemas.windows import WINDOW_SCHEMA
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.stack import ORIGIN_NS, S

_tokens = count()

UNITS = {"bandwidth": "bytes/s", "latency": "ms", "protocol": "share", "connection": "connections"}


def baseline_values(source: str, kind: str = "bandwidth", version: int = 25, **changed: Any) -> dict[str, Any]:
    """Return the values of a baseline that has learnt 25 windows."""
    values: dict[str, Any] = {
        "source": source,
        "kind": kind,
        "subject": "",
        "version": version,
        "origin": "learnt",
        "capture_id": source,
        "window_id": version - 1,
        "window_end_ns": ORIGIN_NS + version * 10 * S,
        "windows": version,
        "held_back": 1,
        "unit": UNITS[kind],
        "mean": 9500.0,
        "std": 2100.0,
        "median": 9200.0,
        "min": 1000.0,
        "max": 20000.0,
        "p95": 15000.0,
        "p99": 18000.0,
        "recent_mean": 9800.0,
        "drift_alarms": 0,
        "last_drift_ns": None,
        "distribution": [("https", 0.8), ("dns", 0.2)] if kind == "protocol" else [],
        "hours": [(23, 9500.0)],
        "extra": [("age_p95_s", 12.5)] if kind == "connection" else [],
    }
    if kind == "protocol":
        figures = ("mean", "std", "median", "min", "max", "p95", "p99", "recent_mean")
        values |= dict.fromkeys(figures)
    return {**values, **changed}


def insert_baselines(store: Store, *values: dict[str, Any]) -> None:
    """Insert baselines."""
    store.insert("baselines", pa.Table.from_pylist(list(values), schema=BASELINE_SCHEMA), f"baseline:{next(_tokens)}")


def insert_all_baselines(store: Store, source: str, **changed: Any) -> None:
    """Insert a baseline of each kind."""
    insert_baselines(store, *(baseline_values(source, kind.value, **changed) for kind in BaselineKind))


def insert_run(store: Store, row: RunRow) -> None:
    """Insert where a run stands."""
    table = pa.Table.from_pylist([row.model_dump(mode="json")], schema=RUN_SCHEMA)
    store.insert("analysis_runs", table, f"run:{next(_tokens)}")


Judge = Callable[[AnalysisRequest, list[int]], list[dict[str, Any]]]
"""Returns the anomalies of a request's windows, given their numbers."""


def nothing_found(request: AnalysisRequest, windows: list[int]) -> list[dict[str, Any]]:
    """Find nothing."""
    return []


def scan_in_each(request: AnalysisRequest, windows: list[int]) -> list[dict[str, Any]]:
    """Find a port scan in every window that is to be judged."""
    numbers = [number for number in windows if number >= request.first_window_id]
    return [
        anomaly_values(
            request.capture_id, n, run_id=request.run_id, anomaly_id=f"{hash((request.run_id, n)) % 2**64:016x}"
        )
        for n in numbers
    ]


class Worker:
    """Stands where the worker stands: collects a request's parts and writes the rows that it would lead to."""

    def __init__(self, store: Store, judge: Judge = nothing_found) -> None:
        self.store = store
        self.judge = judge
        self.parts: list[AnalysisRequest] = []
        self.windows: list[int] = []
        self.may_write = threading.Event()
        self.may_write.set()
        self.threads: list[threading.Thread] = []
        self.fails_with = ""
        self.learns = dict.fromkeys(BaselineKind, True)

    def __call__(self, request: AnalysisRequest, body: bytes) -> None:
        with pa.ipc.open_stream(body) as reader:
            windows = reader.read_all()
        assert windows.schema == WINDOW_SCHEMA
        if request.part == 0:
            self.windows = []
        self.parts.append(request)
        self.windows += windows["window_id"].to_pylist()
        if request.is_last:
            thread = threading.Thread(target=self._write, args=(request,))
            self.threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Let what is under way end."""
        self.may_write.set()
        for thread in self.threads:
            thread.join()

    def _write(self, request: AnalysisRequest) -> None:
        self.may_write.wait(30)
        found = self.judge(request, self.windows) if request.kind is RunKind.DETECT else []
        done = RunRow(
            run_id=request.run_id,
            capture_id=request.capture_id,
            kind=request.kind,
            state=RunState.FAILED if self.fails_with else RunState.COMPLETE,
            is_dry_run=request.is_dry_run,
            first_window_id=request.first_window_id,
            last_window_id=request.last_window_id,
            windows=len(set(self.windows)),
            anomalies=len(found),
            started_ns=request.started_ns,
            error=self.fails_with,
            result=self._learn(request) if request.kind is RunKind.GENERATE else "",
        )
        # The run first: what it found travels on another topic and may come later.
        insert_run(self.store, done)
        if found:
            insert_anomalies(self.store, *found)

    def _learn(self, request: AnalysisRequest) -> str:
        learnt = {kind: self.learns[kind] for kind in request.kinds}
        for kind, is_learnt in learnt.items():
            if is_learnt:
                values = baseline_values(request.source, kind.value, version=1000 + len(self.parts), origin="generated")
                insert_baselines(self.store, values)
        reasons = {kind: "Too few windows." for kind, is_learnt in learnt.items() if not is_learnt}
        return Generated(generated=learnt, reasons=reasons).model_dump_json()
