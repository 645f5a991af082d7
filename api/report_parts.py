"""The parts of a report, each made of the rows of one query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from api.filters import NS_PER_S
from api.queries_report import (
    BINS_PER_DECADE,
    AnomalyPointRow,
    AttackPointRow,
    PointRow,
    ProtocolsRow,
    RoundTripRow,
    TalkerRow,
)
from api.report_answers import (
    Concern,
    LaneAnswer,
    LaneCell,
    PointAnswer,
    ProtocolAnswer,
    ReportSetting,
    RoundTripsAnswer,
    RttBinAnswer,
    TalkerAnswer,
)
from api.report_findings import concern_of
from api.window_answers import BITS_PER_BYTE, mean_ms, to_ms
from infra.settings import Settings
from infra.settings_page import setting_rows
from schemas.thresholds import Thresholds

_SETTINGS = frozenset(
    {"SPANWATCH_WINDOW_S", "SPANWATCH_LATENESS_S", "SPANWATCH_CLASSIFY_CONFIDENCE", "SPANWATCH_FLOW_MODE"}
    | {f"SPANWATCH_{name.upper()}" for name in Thresholds.model_fields}
)
"""Settings that what is found depends on."""


def point_of(row: PointRow) -> PointAnswer:
    """Return a point of the time line."""
    lasts_s = (row.end_ns - row.start_ns) / NS_PER_S
    return PointAnswer(
        number=row.point,
        start=row.start_ns / NS_PER_S,
        end=row.end_ns / NS_PER_S,
        windows=row.windows,
        packets=row.packets,
        bytes=row.octets,
        bits_per_s=row.octets * BITS_PER_BYTE / lasts_s,
        protocols=dict(sorted(row.protocols.items(), key=lambda item: (-item[1], item[0]))),
        connections=row.connections,
        failed=row.failed,
        half_open=row.half_open,
        data_segments=row.data_segments,
        retransmissions=row.retransmissions,
        rtt_count=row.rtt_count,
        mean_rtt=mean_ms(row.rtt_sum_ns, row.rtt_count),
        p95_rtt=to_ms(row.rtt_p95_ns),
        max_rtt=to_ms(row.rtt_max_ns),
        lost_upstream=row.lost_upstream,
        sampling_rate=row.sampling_rate,
    )


def protocols_of(row: ProtocolsRow) -> list[ProtocolAnswer]:
    """Return the protocols, most bytes first."""
    total = sum(row.octets.values())
    names = sorted(row.octets.keys() | row.packets.keys(), key=lambda name: (-row.octets.get(name, 0), name))
    return [
        ProtocolAnswer(
            name=name,
            packets=row.packets.get(name, 0),
            bytes=row.octets.get(name, 0),
            byte_share=row.octets.get(name, 0) / total if total else 0.0,
        )
        for name in names
    ]


def talkers_of(rows: Iterable[TalkerRow]) -> list[TalkerAnswer]:
    """Return the addresses with most bytes."""
    return [TalkerAnswer(ip=row.ip, sent_bytes=row.sent, received_bytes=row.received) for row in rows]


def round_trips_of(rows: Sequence[RoundTripRow], points: Iterable[PointRow]) -> RoundTripsAnswer:
    """Return how long round trips took, beside how many there were."""
    bins = [RttBinAnswer(from_ms=_edge(row.bin), to_ms=_edge(row.bin + 1), count=row.measured) for row in rows]
    return RoundTripsAnswer(
        total=sum(point.rtt_count for point in points), counted=sum(row.measured for row in rows), bins=bins
    )


def _edge(number: int) -> float:
    """Return where a class of round trips begins, ms."""
    return float(10 ** (number / BINS_PER_DECADE))


def anomaly_lanes(rows: Iterable[AnomalyPointRow]) -> list[LaneAnswer]:
    """Return where on the time line each type of anomaly was found."""
    lanes = []
    for kind, found in groupby(rows, key=lambda row: row.type):
        cells = [LaneCell(point=row.point, count=row.found, concern=concern_of(row.severity)) for row in found]
        lanes.append(LaneAnswer(kind="anomaly", name=kind.value, count=sum(cell.count for cell in cells), cells=cells))
    return sorted(lanes, key=lambda lane: (lane.cells[0].point, lane.name))


def attack_lanes(rows: Iterable[AttackPointRow]) -> list[LaneAnswer]:
    """Return where on the time line flows of each attack class were found."""
    lanes = []
    for name, found in groupby(rows, key=lambda row: row.class_name):
        cells = [
            LaneCell(point=row.point, count=row.found, concern=Concern.HIGH if row.malicious else Concern.MEDIUM)
            for row in found
        ]
        lanes.append(LaneAnswer(kind="attack", name=name, count=sum(cell.count for cell in cells), cells=cells))
    return sorted(lanes, key=lambda lane: (lane.cells[0].point, lane.name))


def malicious_flows(rows: Iterable[AttackPointRow]) -> dict[str, int]:
    """Return how many flows of each attack class are malicious."""
    counts = Counter[str]()
    for row in rows:
        counts[row.class_name] += row.malicious
    return dict(counts)


def settings_of(settings: Settings) -> list[ReportSetting]:
    """Return the settings that what is found depends on."""
    return [
        ReportSetting(name=row.names[0], value=row.value, default=row.default, meaning=row.doc)
        for row in setting_rows(settings)
        if row.names[0] in _SETTINGS
    ]
