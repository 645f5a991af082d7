"""The answer about one anomaly: why it is one, who took part, and what is usual there."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.analysis_rows import AnomalyRow, Conversation, PicturePoint
from api.anomaly_answers import ANOMALY_EXAMPLE, AnomalyAnswer, fields_of
from api.answers import example
from api.filters import NS_PER_S
from api.incident_answers import INCIDENT_EXAMPLE, IncidentAnswer
from api.window_answers import Count, mean_ms

_FLOW_EXAMPLE: JsonDict = {
    "src": "10.0.15.35:51148",
    "dst": "192.178.223.188:5228",
    "protocol": 6,
    "name": "https",
    "first_seen": 1234567890.5,
    "last_seen": 1234567899.1,
    "packets_forward": 9,
    "packets_backward": 3,
    "bytes_forward": 4200,
    "bytes_backward": 180,
    "data_segments": 6,
    "retransmissions": 5,
    "mean_rtt": 45.2,
    "max_rtt": 120.5,
}


SHARE_POINTS, SHARE_PERCENT = "protocol_share_points", "protocol_share_percent"
"""The metric of protocol anomalies, and what its picture shows."""


class FlowAnswer(BaseModel):
    """One conversation that is evidence, as seen in the window; forward is from its originator."""

    src: str = Field(description="Originator, `ip:port`.")
    dst: str = Field(description="Responder, `ip:port`.")
    protocol: Count = Field(description="IANA protocol number.")
    name: str = Field(description="Named protocol.")
    first_seen: float = Field(description="When it began, also before the window; seconds since the epoch.")
    last_seen: float = Field(description="Its last packet in the window, seconds since the epoch.")
    packets_forward: Count
    packets_backward: Count
    bytes_forward: Count
    bytes_backward: Count
    data_segments: Count = Field(description="TCP segments with payload, both directions.")
    retransmissions: Count = Field(description="Those sent again, both directions.")
    mean_rtt: float | None = Field(description="Milliseconds.")
    max_rtt: float | None = Field(description="Milliseconds.")

    @classmethod
    def of(cls, flow: Conversation) -> Self:
        """Return the answer for a conversation of the store."""
        return cls(
            src=endpoint(flow.src_ip, flow.src_port),
            dst=endpoint(flow.dst_ip, flow.dst_port),
            protocol=flow.protocol,
            name=flow.name,
            first_seen=flow.first_ts_ns / NS_PER_S,
            last_seen=flow.last_ts_ns / NS_PER_S,
            packets_forward=flow.packets_forward,
            packets_backward=flow.packets_backward,
            bytes_forward=flow.bytes_forward,
            bytes_backward=flow.bytes_backward,
            data_segments=flow.data_segments_forward + flow.data_segments_backward,
            retransmissions=flow.retransmissions_forward + flow.retransmissions_backward,
            mean_rtt=mean_ms(flow.rtt_sum_ns, flow.rtt_count),
            max_rtt=mean_ms(flow.rtt_max_ns, 1) if flow.rtt_count else None,
        )


def endpoint(ip: str, port: int) -> str:
    """Return an address and a port in one text, an IPv6 address in brackets."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


class Band(BaseModel):
    """What is usual: between ``low`` and ``high`` nothing is an anomaly; null where there is no such bound."""

    mean: float | None
    std: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, row: AnomalyRow, baseline: dict[str, float]) -> Self:
        """Return the band that an anomaly was found outside of.

        The bound passed is its threshold; where the rule has a baseline, the other lies as far on the other side
        of it, but not below 0: nothing that is measured here can be negative. Points that a protocol's share is off
        are shown as the share itself, percent.
        """
        std = baseline.get("std")
        value, bound, mean = row.current_value, row.threshold, row.baseline_mean
        if row.metric == SHARE_POINTS and bound is not None:
            usual = 100 * (mean or 0.0)
            deviation = None if std is None else 100 * std
            return cls(mean=usual, std=deviation, low=max(0.0, usual - bound), high=min(100.0, usual + bound))
        is_below = value is not None and bound is not None and value < bound
        other = None if mean is None or bound is None else 2 * mean - bound
        low, high = (bound, other) if is_below else (None if other is None else max(0.0, other), bound)
        return cls(mean=mean, std=std, low=low, high=high)


class PictureAnswer(BaseModel):
    """The value of the metric in one window around the anomaly."""

    window_id: Count
    window_start: float = Field(description="Seconds since the epoch.")
    value: float | None = Field(description="Null where nothing was measured.")


class BaselinePicture(BaseModel):
    """The metric before, during and after, and the band within which it is usual."""

    metric: str
    band: Band
    windows: list[PictureAnswer]


class AnomalyDetailAnswer(AnomalyAnswer):
    """One anomaly with its evidence."""

    model_config = example(
        {
            **ANOMALY_EXAMPLE,
            "is_current": True,
            "flows": [_FLOW_EXAMPLE],
            "picture": {
                "metric": "packet_loss_percent",
                "band": {"mean": None, "std": None, "low": None, "high": 70.0},
                "windows": [{"window_id": 0, "window_start": 1234567890.5, "value": 83.33}],
            },
            "incident": INCIDENT_EXAMPLE,
        }
    )

    is_current: bool = Field(
        description="Whether it counts: no later judgement of its window, by a run or for late packets, left it out."
    )
    flows: list[FlowAnswer] = Field(description="Conversations that are its evidence, most telling first.")
    picture: BaselinePicture = Field(description="The metric in the windows around it.")
    incident: IncidentAnswer | None = Field(description="The incident it is part of; null when it does not count.")

    @classmethod
    def with_evidence(
        cls, row: AnomalyRow, points: list[PicturePoint], incident: IncidentAnswer | None, *, is_current: bool
    ) -> Self:
        """Return the answer for a row of the store and what was found around it."""
        explanation = AnomalyAnswer.of(row).explanation
        baseline = explanation.baseline if explanation else None
        windows = [
            PictureAnswer(window_id=p.window_id, window_start=p.window_start_ns / NS_PER_S, value=p.value)
            for p in points
        ]
        band = Band.of(row, baseline or {})
        metric = SHARE_PERCENT if row.metric == SHARE_POINTS else row.metric
        return cls.model_validate(
            {
                **fields_of(row),
                "is_current": is_current,
                "flows": [FlowAnswer.of(flow) for flow in row.flows],
                "picture": BaselinePicture(metric=metric, band=band, windows=windows),
                "incident": incident,
            }
        )
