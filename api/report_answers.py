"""The report on a capture: everything that the page, the terminal and scripts are told, bounded however long it was."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from api.answers import example
from api.capture_answers import CaptureAnswer, LedgerAnswer
from api.classification_summary import VerdictsSummaryAnswer
from api.incident_answers import IncidentAnswer
from api.metrics_answers import SummaryAnswer
from api.report_example import REPORT_EXAMPLE
from api.window_answers import Count
from schemas.analysis import Explanation

REPORT_SCHEMA = 1
"""Version of a report's fields: one more when a field goes, or means something else; new fields do not change it."""


class Concern(StrEnum):
    """How serious a finding is; from the least to the worst."""

    LOW = "low"
    """Worth a look: uncertain verdicts that lean to an attack, packets that the capture itself lacks."""
    MEDIUM = "medium"
    """Incidents of severity medium; flows named an attack that are suspicious."""
    HIGH = "high"
    """Incidents of severity high; flows named an attack that are malicious; a ledger that does not balance."""

    @property
    def rank(self) -> int:
        """0 for the least serious."""
        return list(Concern).index(self)


class FindingAnswer(BaseModel):
    """Something that was found, with how serious it is."""

    concern: Concern
    kind: Literal["incident", "verdict", "loss"]
    name: str = Field(description="Type of the anomalies, class of the flows, or what was lost.")
    count: Count = Field(description="Incidents, flows or packets.")
    sentence: str


class ReportFile(BaseModel):
    """The file that was analysed."""

    name: str = Field(description="As its user named it; the interface of a live capture.")
    size_bytes: Count = Field(description="On disk; 0 for a live port or a pipe.")
    sha256: str | None = Field(description="Of the file as it lies on disk; null where nobody has computed it.")


class ReportModel(BaseModel):
    """A model that judged the flows."""

    fingerprint: str
    version: str | None = Field(description="Null for a model that is no longer registered.")


class ReportSetting(BaseModel):
    """A setting that the findings depend on, as the service that made the report has it."""

    name: str
    value: str
    default: str
    meaning: str


class PointAnswer(BaseModel):
    """Neighbouring windows together; a window of its own where there are few."""

    model_config = ConfigDict(frozen=True)

    number: Count
    start: float = Field(description="Start, seconds since the epoch.")
    end: float = Field(description="End, seconds since the epoch.")
    windows: Count
    packets: Count
    bytes: Count
    bits_per_s: float = Field(description="All bytes by the time of the windows.")
    protocols: dict[str, int] = Field(description="Bytes by named protocol, most first.")
    connections: Count = Field(description="Conversations, each window's added up.")
    failed: Count
    half_open: Count
    data_segments: Count
    retransmissions: Count
    rtt_count: Count
    mean_rtt: float | None = Field(description="Milliseconds, over all round trips.")
    p95_rtt: float | None = Field(description="Milliseconds; the highest of the windows.")
    max_rtt: float | None = Field(description="Milliseconds.")
    lost_upstream: Count
    sampling_rate: float


class ProtocolAnswer(BaseModel):
    """What one named protocol had."""

    name: str
    packets: Count
    bytes: Count
    byte_share: float = Field(description="0 to 1.")


class TalkerAnswer(BaseModel):
    """What one address sent and received."""

    ip: str
    sent_bytes: Count
    received_bytes: Count


class RttBinAnswer(BaseModel):
    """Round trips of one class."""

    from_ms: float
    to_ms: float
    count: Count


class RoundTripsAnswer(BaseModel):
    """How long round trips took.

    Windows keep the round trips of up to 40 notable conversations each: those with most bytes, most retransmissions,
    the longest round trips and the greatest age. ``counted`` of ``total`` says how much of it that is.
    """

    total: Count = Field(description="Round trips measured.")
    counted: Count = Field(description="Of these, those in `bins`.")
    bins: list[RttBinAnswer] = Field(description="By the mean of their conversation in a window, shortest first.")


class LaneCell(BaseModel):
    """What lies in one point of the time line."""

    point: Count = Field(description="`number` of the point.")
    count: Count = Field(description="Anomalies or flows.")
    concern: Concern


class LaneAnswer(BaseModel):
    """Where on the time line one type of anomaly, or one class of attack, was found."""

    kind: Literal["anomaly", "attack"]
    name: str
    count: Count
    cells: list[LaneCell]


class ReportIncident(IncidentAnswer):
    """An incident with the reason of its newest anomaly."""

    explanation: Explanation | None


class ReportAnswer(BaseModel):
    """What a capture was like."""

    model_config = example(REPORT_EXAMPLE)

    report_schema: int = Field(REPORT_SCHEMA, description="Version of these fields.")
    version: str = Field(description="Of spanwatch.")
    made_at: str = Field(description="UTC.")
    file: ReportFile
    capture: CaptureAnswer
    models: list[ReportModel]
    settings: list[ReportSetting]
    worst: Concern | None = Field(description="The most serious of the findings; null without any.")
    findings: list[FindingAnswer] = Field(description="The most serious first.")
    summary: SummaryAnswer | None = Field(description="As `/api/metrics/summary`; null without windows.")
    timeline: list[PointAnswer]
    protocols: list[ProtocolAnswer] = Field(description="Most bytes first.")
    talkers: list[TalkerAnswer] = Field(description="The addresses with most bytes, most first.")
    round_trips: RoundTripsAnswer
    incidents_total: Count = Field(description="All of them; `incidents` are the worst.")
    incidents: list[ReportIncident] = Field(description="At most 100, the worst first.")
    lanes: list[LaneAnswer]
    verdicts: VerdictsSummaryAnswer
    ledger: LedgerAnswer
