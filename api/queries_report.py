"""SQL of reports: a capture of any length in a bounded number of rows.

Windows are put together by the number of a *point*: so many neighbouring windows that a report has few enough points.
"""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict

from api.rows import Counts
from infra.store import Store
from schemas.enums import AnomalyType, Severity
from schemas.verdicts import MALICIOUS_FROM

MAX_POINTS = 240
"""Points of a report's time line: more than that no picture of a page's width shows."""

MAX_TALKERS = 20

BINS_PER_DECADE = 4
"""Classes of round trips per power of ten."""

_TIMELINE = """
SELECT intDiv(window_id, {step:UInt32}) AS point, min(w.window_start_ns) AS start_ns, max(w.window_end_ns) AS end_ns,
       count() AS windows, sum(w.record_count) AS packets, sum(w.bytes) AS octets,
       sumMap(w.protocol_bytes) AS protocols,
       sum(w.connections_total) AS connections, sum(w.connections_failed) AS failed,
       sum(w.connections_half_open) AS half_open, sum(w.tcp_data_segments) AS data_segments,
       sum(w.tcp_analysis['retransmission']) AS retransmissions,
       sum(w.rtt_count) AS rtt_count, sum(w.rtt_sum_ns) AS rtt_sum_ns,
       max(w.rtt_p95_ns) AS rtt_p95_ns, max(w.rtt_max_ns) AS rtt_max_ns,
       sum(w.lost_upstream) AS lost_upstream, min(w.sampling_rate) AS sampling_rate
FROM windows_now AS w WHERE capture_id = {capture_id:String} GROUP BY point ORDER BY point
"""

_PROTOCOLS = """
SELECT sumMap(w.protocol_packets) AS packets, sumMap(w.protocol_bytes) AS octets
FROM windows_now AS w WHERE capture_id = {capture_id:String}
"""

_TALKERS = """
SELECT host.ip AS ip, sum(host.bytes_sent) AS sent, sum(host.bytes_received) AS received
FROM windows_now ARRAY JOIN host_traffic AS host
WHERE capture_id = {capture_id:String}
GROUP BY ip ORDER BY sent + received DESC, ip LIMIT {limit:UInt32}
"""

# A conversation counts in the class of its mean round trip of a window, as often as it has round trips there.
_ROUND_TRIPS = """
SELECT toInt32(floor(log10(greatest(c.rtt_sum_ns / c.rtt_count, 1) / 1e6) * {per_decade:UInt32})) AS bin,
       sum(c.rtt_count) AS measured
FROM windows_now ARRAY JOIN conversations AS c
WHERE capture_id = {capture_id:String} AND c.rtt_count > 0
GROUP BY bin ORDER BY bin
"""

_INCIDENTS = """
SELECT type, severity, count() AS incidents
FROM (
    SELECT any(a.type) AS type, min(a.severity) AS severity
    FROM anomalies_now AS a WHERE capture_id = {capture_id:String} GROUP BY incident_id
)
GROUP BY type, severity
"""

_ANOMALIES = """
SELECT type, intDiv(window_id, {step:UInt32}) AS point, sum(a.folded + 1) AS found, min(a.severity) AS severity
FROM anomalies_now AS a WHERE capture_id = {capture_id:String}
GROUP BY type, point ORDER BY type, point
"""

_ATTACKS = """
SELECT class_name, intDiv(window_id, {step:UInt32}) AS point, count() AS found,
       countIf(100 * c.attack_probability >= {malicious_from:Float64}) AS malicious
FROM classifications_now AS c
WHERE capture_id = {capture_id:String} AND class_name != 'BENIGN' AND NOT is_uncertain
GROUP BY class_name, point ORDER BY class_name, point
"""

_EXPLANATIONS = """
SELECT anomaly_id, explanation FROM anomalies_now
WHERE capture_id = {capture_id:String} AND anomaly_id IN {anomaly_ids:Array(String)}
"""


class PointRow(BaseModel):
    """Neighbouring windows together; see ``schemas.windows.WINDOW_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    point: int
    start_ns: int
    end_ns: int
    windows: int
    packets: int
    octets: int
    protocols: Counts
    connections: int
    failed: int
    half_open: int
    data_segments: int
    retransmissions: int
    rtt_count: int
    rtt_sum_ns: int
    rtt_p95_ns: int | None
    rtt_max_ns: int | None
    lost_upstream: int
    sampling_rate: float


class ProtocolsRow(BaseModel):
    """What each named protocol had in all windows."""

    model_config = ConfigDict(frozen=True)

    packets: Counts
    octets: Counts


class TalkerRow(BaseModel):
    """What one address sent and received, in the windows in which it was among the 64 with most bytes."""

    model_config = ConfigDict(frozen=True)

    ip: str
    sent: int
    received: int


class RoundTripRow(BaseModel):
    """Round trips of one class; it begins at 10 ** (bin / BINS_PER_DECADE) ms."""

    model_config = ConfigDict(frozen=True)

    bin: int
    measured: int


class IncidentCount(BaseModel):
    """How many incidents of a type and severity there are."""

    model_config = ConfigDict(frozen=True)

    type: AnomalyType
    severity: Severity
    incidents: int


class AnomalyPointRow(BaseModel):
    """Anomalies of one type in one point."""

    model_config = ConfigDict(frozen=True)

    type: AnomalyType
    point: int
    found: int
    severity: Severity


class AttackPointRow(BaseModel):
    """Flows of one attack class whose newest record lies in one point."""

    model_config = ConfigDict(frozen=True)

    class_name: str
    point: int
    found: int
    malicious: int


class ExplanationRow(BaseModel):
    """Why something is an anomaly, as JSON."""

    model_config = ConfigDict(frozen=True)

    anomaly_id: str
    explanation: str


def step_of(windows: int) -> int:
    """Return how many windows make a point, so that ``windows`` of them make ``MAX_POINTS`` at most."""
    return max(1, math.ceil(windows / MAX_POINTS))


def timeline(store: Store, capture_id: str, step: int) -> list[PointRow]:
    """Return a capture's windows, so many of them together, in order."""
    rows = store.query(_TIMELINE, {"capture_id": capture_id, "step": step})
    return [PointRow.model_validate(row) for row in rows]


def protocols(store: Store, capture_id: str) -> ProtocolsRow:
    """Return what each named protocol had."""
    return ProtocolsRow.model_validate(store.query(_PROTOCOLS, {"capture_id": capture_id})[0])


def talkers(store: Store, capture_id: str) -> list[TalkerRow]:
    """Return the addresses with most bytes, most first."""
    rows = store.query(_TALKERS, {"capture_id": capture_id, "limit": MAX_TALKERS})
    return [TalkerRow.model_validate(row) for row in rows]


def round_trips(store: Store, capture_id: str) -> list[RoundTripRow]:
    """Return the round trips of the conversations that windows keep, by class."""
    rows = store.query(_ROUND_TRIPS, {"capture_id": capture_id, "per_decade": BINS_PER_DECADE})
    return [RoundTripRow.model_validate(row) for row in rows]


def incident_counts(store: Store, capture_id: str) -> list[IncidentCount]:
    """Return how many incidents of each type and severity there are."""
    return [IncidentCount.model_validate(row) for row in store.query(_INCIDENTS, {"capture_id": capture_id})]


def anomaly_points(store: Store, capture_id: str, step: int) -> list[AnomalyPointRow]:
    """Return how many anomalies of each type lie in each point."""
    rows = store.query(_ANOMALIES, {"capture_id": capture_id, "step": step})
    return [AnomalyPointRow.model_validate(row) for row in rows]


def attack_points(store: Store, capture_id: str, step: int) -> list[AttackPointRow]:
    """Return how many flows of each attack class lie in each point."""
    values = {"capture_id": capture_id, "step": step, "malicious_from": MALICIOUS_FROM}
    return [AttackPointRow.model_validate(row) for row in store.query(_ATTACKS, values)]


def explanations(store: Store, capture_id: str, anomaly_ids: list[str]) -> dict[str, str]:
    """Return why these are anomalies, as JSON, by their ids."""
    if not anomaly_ids:
        return {}
    rows = store.query(_EXPLANATIONS, {"capture_id": capture_id, "anomaly_ids": anomaly_ids})
    return {row.anomaly_id: row.explanation for row in map(ExplanationRow.model_validate, rows)}
