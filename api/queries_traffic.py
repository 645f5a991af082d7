"""SQL of the figures of the traffic that ``/metrics`` shows."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from infra.store import Store

_CAPTURES = """
SELECT c.source AS source, countIf(c.state = 'running') AS running, countIf(c.state = 'complete') AS complete,
       countIf(c.state = 'failed') AS failed, sum(c.packets) AS packets, sum(c.bytes) AS bytes
FROM (SELECT * FROM captures FINAL) AS c GROUP BY source
"""

_LEDGER = """
SELECT hop, reason, sum(l.packets_in) AS packets_in, sum(l.packets_out) AS packets_out
FROM ledger_now AS l GROUP BY hop, reason ORDER BY hop, packets_in DESC LIMIT 1000
"""

_ANOMALIES = "SELECT type, severity, count() AS rows FROM anomalies WHERE run_id = '' GROUP BY type, severity"

_VERDICTS = """
SELECT class_name, is_uncertain, count() AS rows FROM classifications WHERE role = 'champion'
GROUP BY class_name, is_uncertain
"""

_WINDOWS = "SELECT count() AS rows FROM windows"

# The newest capture's newest window; its rows lie together, so this reads one granule.
_LAST_WINDOW = """
SELECT capture_id, window_start_ns, window_end_ns, record_count, bytes
FROM windows
WHERE capture_id = (
    SELECT capture_id FROM captures FINAL WHERE state != 'failed' ORDER BY started_ns DESC, capture_id DESC LIMIT 1
)
ORDER BY window_id DESC, version DESC LIMIT 1
"""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)


class CaptureTotals(_Row):
    """The captures of one source (pcap or live)."""

    source: str
    running: int
    complete: int
    failed: int
    packets: int
    bytes: int


class HopTotals(_Row):
    """What a hop counted, all captures together; see ``LEDGER_COLUMNS``."""

    hop: str
    reason: str
    packets_in: int
    packets_out: int


class AnomalyTotals(_Row):
    """Anomalies of one type and severity."""

    type: str
    severity: str
    rows: int


class VerdictTotals(_Row):
    """Verdicts of one class."""

    class_name: str
    is_uncertain: bool
    rows: int


class LastWindow(_Row):
    """The newest window of the current capture."""

    capture_id: str
    window_start_ns: int
    window_end_ns: int
    record_count: int
    bytes: int


class TrafficTotals(_Row):
    """All of it."""

    captures: list[CaptureTotals]
    hops: list[HopTotals]
    anomalies: list[AnomalyTotals]
    verdicts: list[VerdictTotals]
    window_rows: int
    last_window: LastWindow | None


def traffic_totals(store: Store) -> TrafficTotals:
    """Return the figures of everything stored; a few milliseconds."""
    last = store.query(_LAST_WINDOW)
    return TrafficTotals(
        captures=[CaptureTotals.model_validate(row) for row in store.query(_CAPTURES)],
        hops=[HopTotals.model_validate(row) for row in store.query(_LEDGER)],
        anomalies=[AnomalyTotals.model_validate(row) for row in store.query(_ANOMALIES)],
        verdicts=[VerdictTotals.model_validate(row) for row in store.query(_VERDICTS)],
        window_rows=int(str(store.query(_WINDOWS)[0]["rows"])),
        last_window=LastWindow.model_validate(last[0]) if last else None,
    )
