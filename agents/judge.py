"""The judge of one source: learns what is usual, and says of each window what is not."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from agents.anomaly_rows import anomaly_rows
from agents.baseline_rows import NETWORK_KINDS, Report, host_rows, network_rows
from agents.baselines import Baselines, measured
from agents.detectors import DETECTORS
from agents.figures import Doubt
from agents.findings import REFUTABLE, Finding, View
from agents.incidents import Incidents
from agents.memory import CORRECTED_NS, Memory
from agents.observed import Observed, observed_windows
from agents.state_bytes import dump_state, load_state
from schemas.analysis import Generated
from schemas.anomalies import ANOMALY_SCHEMA, CORRECTION_SCHEMA
from schemas.baselines import BASELINE_SCHEMA
from schemas.enums import AnomalyType, BaselineKind
from schemas.errors import WireError
from schemas.thresholds import Thresholds

log = logging.getLogger(__name__)

REPORT_WINDOWS = 6
"""Windows between two reports of the network's baselines: a minute of 10 s windows."""

HOST_REPORT_WINDOWS = 60
"""The same for the hosts', which are many and change slowly."""

MAX_CAPTURES = 64
"""Captures of one source whose progress is remembered; those heard of last stay."""

_FLOODS = ("connection_flood", "packet_flood", "request_flood", "distributed_flood")
_CONCERNED: dict[AnomalyType, tuple[BaselineKind, ...]] = {
    AnomalyType.TRAFFIC_SPIKE: (BaselineKind.BANDWIDTH,),
    AnomalyType.PORT_SCAN: (BaselineKind.CONNECTION, BaselineKind.PROTOCOL),
    AnomalyType.HIGH_LATENCY: (BaselineKind.LATENCY,),
    AnomalyType.PACKET_LOSS: (),
    AnomalyType.PROTOCOL_ANOMALY: (BaselineKind.PROTOCOL,),
    AnomalyType.LONG_LIVED_CONN: (),
}
"""The baselines that an anomaly of a type would falsify; floods and brute force: see ``_falsified``."""


@dataclass(frozen=True)
class Judged:
    """What came of some windows.

    Parameters
    ----------
    anomalies : pyarrow.Table
        Rows with ``ANOMALY_SCHEMA``, in the order of windows.
    baselines : pyarrow.Table
        Rows with ``BASELINE_SCHEMA``: the baselines as they stood after a window, now and then and at the end.
    corrections : pyarrow.Table
        Rows with ``CORRECTION_SCHEMA``: what was said before of these windows no longer counts.
    """

    anomalies: pa.Table
    baselines: pa.Table
    corrections: pa.Table


class Judge:
    """Judges the windows of one source in order: score first, then learn.

    The result does not depend on how the windows are cut into tables. A window that comes again with more packets (a
    late correction) is judged again, by what is usual now, and not learnt again: what is still found has the same
    ``anomaly_id`` and a higher version. Of what is not found any more, ``REFUTABLE`` no longer counts, unless the
    window lies too far back to be judged in full.

    Parameters
    ----------
    source : str
        What the baselines are of; see ``BASELINE_COLUMNS``.
    thresholds : Thresholds
    run_id : str
        The run that asks for it; empty for the stream's own verdict.
    origin : str
        What baseline rows say of their origin.
    """

    def __init__(
        self, source: str, thresholds: Thresholds | None = None, run_id: str = "", origin: str = "learnt"
    ) -> None:
        self.source = source
        self.thresholds = thresholds or Thresholds()
        self.run_id = run_id
        self.origin = origin
        self._window_ns = 0
        self._version = 0
        self._windows = 0
        self._last = ("", 0, 0)
        """Capture, number and end (ns) of the window learnt last."""
        self._through: dict[str, int] = {}
        """Newest window judged, by capture."""
        self._seen_hosts: dict[str, None] = {}
        self._start_over()

    def _start_over(self) -> None:
        self.baselines = Baselines(self.thresholds)
        self._memory = Memory()
        self._incidents = Incidents(self.source, self.thresholds.incident_gap_windows)

    def judge(self, rows: pa.Table, is_live: bool) -> Judged:
        """Judge windows, then learn them.

        Parameters
        ----------
        rows : pyarrow.Table
            The next windows with ``WINDOW_SCHEMA``, of one capture or several.
        is_live : bool
            Whether they come from a network interface: the first window of a live capture is cut short by its
            beginning, so it is not learnt.
        """
        anomalies: list[dict[str, Any]] = []
        baselines: list[dict[str, Any]] = []
        corrections: list[dict[str, Any]] = []
        for window in observed_windows(rows):
            self._check_window_size(window)
            is_correction = window.window_id <= self._through.get(window.capture_id, -1)
            self._memory.take(window, self.thresholds, is_correction=is_correction)
            view = View(window, self.baselines, self._memory, self.thresholds, is_correction)
            findings = [finding for detect in DETECTORS for finding in detect(view)]
            at_most = self.thresholds.anomalies_per_signal
            anomalies += anomaly_rows(window, self.run_id, findings, self._incidents, at_most)
            if is_correction:
                corrections += self._correction(window)
                continue
            self._incidents.close_old(window)
            self._advance(window)
            if not (is_live and window.window_id == 0):
                baselines += self._learn(window, findings)
        return _judged(anomalies, baselines, corrections)

    def end(self, capture_id: str) -> Judged:
        """Return the baselines as they stand at the end of a capture, and forget the capture."""
        self._through.pop(capture_id, None)
        if not self._windows:
            return _judged([], [])
        return _judged([], self._report(NETWORK_KINDS, list(self._seen_hosts)))

    def generated(self, kinds: Sequence[BaselineKind] = ()) -> Generated:
        """Return which kinds have learnt enough to be judged by, and why others have not."""
        asked = list(kinds) or list(NETWORK_KINDS)
        ready = {kind: self.baselines.is_ready(kind) for kind in asked}
        least = self.thresholds.baseline_min_windows
        reasons = {
            kind: f"{self.baselines.windows_of(kind)} windows with a measurement, {least} ordinary ones are needed"
            for kind, is_ready in ready.items()
            if not is_ready
        }
        return Generated(generated=ready, reasons=reasons)

    def adopt(self, other: Judge, kinds: Iterable[BaselineKind], behind_version: int = 0) -> pa.Table:
        """Take over what another judge has learnt of some kinds; return the rows that say so.

        Parameters
        ----------
        behind_version : int
            Version that the rows' is to be above: there may be rows that this judge knows nothing of.
        """
        chosen = list(kinds)
        self._version = max(self._version, behind_version)
        self.baselines.adopt(other.baselines, chosen)
        self._window_ns = self._window_ns or other._window_ns
        self._windows, self._last = (
            max(self._windows, other._windows),
            max(self._last, other._last, key=lambda at: at[2]),
        )
        hosts = list(self.baselines.hosts) if BaselineKind.BANDWIDTH in chosen else []
        return pa.Table.from_pylist(self._report(chosen, hosts, "generated"), schema=BASELINE_SCHEMA)

    def _correction(self, window: Observed) -> list[dict[str, Any]]:
        """Return the row that says that a window was judged anew; none when what it was judged by is forgotten."""
        behind = self._through[window.capture_id] - window.window_id
        if behind * window.window_ns > CORRECTED_NS:
            return []
        row = {name: getattr(window, name) for name in ("capture_id", "window_id", "version")}
        return [{**row, "signals": list(REFUTABLE)}]

    def _check_window_size(self, window: Observed) -> None:
        if self._window_ns not in (0, window.window_ns):
            log.warning("%s: windows of %g s now; learning starts over", self.source, window.window_s)
            self._start_over()
        self._window_ns = window.window_ns

    def _advance(self, window: Observed) -> None:
        self._through.pop(window.capture_id, None)
        self._through[window.capture_id] = window.window_id
        if len(self._through) > MAX_CAPTURES:
            del self._through[next(iter(self._through))]

    def _learn(self, window: Observed, findings: list[Finding]) -> list[dict[str, Any]]:
        """Learn a window; return the baselines when it is time for a report."""
        self.baselines.learn(window, measured(window, self._memory), *_concerned(findings))
        self._windows += 1
        self._last = (window.capture_id, window.window_id, window.end_ns)
        self._seen_hosts |= dict.fromkeys(host["ip"] for host in window.hosts)
        if self._windows % HOST_REPORT_WINDOWS == 0:
            return self._report(NETWORK_KINDS, list(self._seen_hosts))
        return self._report(NETWORK_KINDS, []) if self._windows % REPORT_WINDOWS == 0 else []

    def _report(self, kinds: Iterable[BaselineKind], hosts: list[str], origin: str = "") -> list[dict[str, Any]]:
        capture_id, window_id, end_ns = self._last
        self._version = max(self._version + 1, end_ns)
        report = Report(self.source, self._version, origin or self.origin, capture_id, window_id, end_ns)
        if hosts:
            self._seen_hosts = {}
        return network_rows(report, self.baselines, kinds) + host_rows(report, self.baselines, hosts)

    def snapshot(self) -> bytes:
        """Return the whole state, for ``restore``."""
        return dump_state(
            {
                "source": self.source,
                "run_id": self.run_id,
                "origin": self.origin,
                "thresholds": self.thresholds.model_dump(),
                "progress": [self._window_ns, self._version, self._windows, list(self._last), self._through],
                "hosts": list(self._seen_hosts),
                "baselines": self.baselines.state(),
                "memory": self._memory.state(),
                "incidents": self._incidents.state(),
            }
        )

    @classmethod
    def restore(cls, snapshot: bytes, source: str = "", thresholds: Thresholds | None = None) -> Judge:
        """Return a judge that goes on where the one that was snapshot stopped.

        A snapshot that cannot be understood (damaged, of another format or another River) is logged, and the judge
        starts to learn anew: a worker must not die of it.

        Parameters
        ----------
        source : str
            The source, should the snapshot not tell.
        thresholds : Thresholds, optional
            The settings now in force; those of the snapshot otherwise.
        """
        try:
            state = load_state(snapshot)
        except WireError as error:
            log.warning("%s: learning starts over, the saved state is no use: %s", source or "a source", error)
            return cls(source, thresholds)
        judge = cls(state["source"], thresholds or Thresholds(**state["thresholds"]), state["run_id"], state["origin"])
        judge._window_ns, judge._version, judge._windows, last, through = state["progress"]
        judge._last, judge._through = (last[0], last[1], last[2]), dict(through)
        judge._seen_hosts = dict.fromkeys(state["hosts"])
        judge.baselines = Baselines.restore(state["baselines"], judge.thresholds)
        judge._memory = Memory.restore(state["memory"])
        judge._incidents.restore(state["incidents"])
        return judge


def _concerned(findings: list[Finding]) -> tuple[dict[BaselineKind, Doubt], dict[str, Doubt]]:
    """Return the kinds of baselines and the hosts that a window's findings would falsify, and how certainly."""
    kinds: dict[BaselineKind, Doubt] = {}
    hosts: dict[str, Doubt] = {}
    for finding in findings:
        is_attack = finding.signal in (*_FLOODS, "brute_force") or finding.type is AnomalyType.PORT_SCAN
        doubt = Doubt.CERTAIN if is_attack else Doubt.RELATIVE
        for kind in _falsified(finding):
            kinds[kind] = max(kinds.get(kind, Doubt.NONE), doubt)
        if finding.type in (AnomalyType.TRAFFIC_SPIKE, AnomalyType.PORT_SCAN):
            for host in {finding.source_ip, finding.destination_ip} - {""}:
                hosts[host] = max(hosts.get(host, Doubt.NONE), doubt)
    return kinds, hosts


def _falsified(finding: Finding) -> Iterable[BaselineKind]:
    """Return the baselines of the network that an anomaly would falsify."""
    if finding.signal in _FLOODS:
        return BaselineKind
    if finding.signal == "brute_force":
        return (BaselineKind.CONNECTION,)
    return () if finding.signal == "host_spike" else _CONCERNED[finding.type]


def _judged(
    anomalies: list[dict[str, Any]], baselines: list[dict[str, Any]], corrections: Sequence[dict[str, Any]] = ()
) -> Judged:
    return Judged(
        pa.Table.from_pylist(anomalies, schema=ANOMALY_SCHEMA),
        pa.Table.from_pylist(baselines, schema=BASELINE_SCHEMA),
        pa.Table.from_pylist(list(corrections), schema=CORRECTION_SCHEMA),
    )
