"""Answers about verdicts: one as the list shows it, one beside its flow, and what the stream tells."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.answers import example
from api.classification_rows import ClassEventRow, VerdictRow
from api.filters import NS_PER_S
from api.flow_fields import CapturePage, common_fields
from api.flow_rows import hex_id
from api.window_answers import Count
from infra.model_runtime import Named
from schemas.classes import BENIGN, CLASS_NAMES
from schemas.classifications import BENIGN_NAME
from schemas.enums import FlowEnd, ModelRole

_REASONS: JsonDict = {
    "reasons": [
        {"feature": "Bwd Packets/s", "value": 8264.46, "contribution": 3.21},
        {"feature": "Flow Duration", "value": 121.0, "contribution": 1.94},
        {"feature": "Bwd Header Length", "value": 20.0, "contribution": 1.02},
    ]
}

ALONE_EXAMPLE: JsonDict = {"class_name": "PortScan", "confidence": 0.9712, "attack_probability": 0.9831}

VERDICT_EXAMPLE: JsonDict = {
    "class_name": "PortScan",
    "confidence": 0.9993,
    "attack_probability": 0.9996,
    "is_attack": True,
    "is_uncertain": False,
    "model": "5c75548c0fa6",
    "is_interim": False,
    "reasons": _REASONS["reasons"],
}

"""A verdict as examples show it."""

_ROW: JsonDict = {
    "flow_id": "5d41402abc4b2a76",
    "capture_id": "01kb2m9t8x7qd4",
    "role": "champion",
    **VERDICT_EXAMPLE,
    "start": 1234567890.5,
    "end": 1234567890.6,
    "end_reason": "rst",
    "source_ip": "10.0.15.35",
    "source_port": 51148,
    "destination_ip": "10.0.15.2",
    "destination_port": 8080,
    "protocol": 6,
    "protocol_name": "tcp",
    "vlan": 0,
    "window_id": 0,
    "packets_forward": 1,
    "packets_backward": 1,
    "packets": 2,
}


class ReasonAnswer(BaseModel):
    """One feature's part in a verdict."""

    feature: str = Field(description="Name of the feature, as in CICIDS2017.")
    value: float = Field(description="Its value in this flow, in the feature's unit.")
    contribution: float = Field(
        description="What it adds to the class over the next likeliest one; only to be compared with the others."
    )


class FlowVerdictAnswer(BaseModel):
    """What a model says a flow is."""

    model_config = example(VERDICT_EXAMPLE)

    class_name: str = Field(description="The likeliest of the 15 classes; a guess where `is_uncertain`.")
    confidence: float = Field(description="Calibrated probability of that class.")
    attack_probability: float = Field(description="Calibrated probability that it is an attack of any class.")
    is_attack: bool = Field(description="Whether an attack is named: not benign, and not uncertain.")
    is_uncertain: bool = Field(description="Whether the confidence is below the setting `classify_confidence`.")
    model: str = Field(description="Fingerprint of the model that said so.")
    is_interim: bool = Field(description="Whether the flow went on when it was judged.")
    reasons: list[ReasonAnswer] | None = Field(
        description="The features that speak most for the class, strongest first; null where the verdict was not "
        "explained when it was made (read the flow to have it explained by the model that made it, unless the registry "
        "has that one no longer)."
    )

    @classmethod
    def of(cls, row: VerdictRow) -> Self:
        """Return the answer for a row of the store."""
        return cls.model_validate(said_by(row))


class AloneAnswer(BaseModel):
    """What a model says a flow is by its own features alone."""

    model_config = example(ALONE_EXAMPLE)

    class_name: str = Field(description="The likeliest of the 15 classes.")
    confidence: float = Field(description="Calibrated probability of that class.")
    attack_probability: float = Field(description="Calibrated probability that it is an attack of any class.")

    @classmethod
    def of(cls, named: Named) -> Self:
        """Return the answer for the first flow that was named."""
        return cls(
            class_name=CLASS_NAMES[named.classes[0]],
            confidence=float(named.confidence[0]),
            attack_probability=float(1 - named.probabilities[0, BENIGN]),
        )


def said_by(row: VerdictRow) -> dict[str, object]:
    """Return the fields that a verdict has in every answer."""
    columns = (row.reason_features, row.reason_values, row.reason_contributions)
    names = ("feature", "value", "contribution")
    reasons = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    same = ("class_name", "confidence", "attack_probability", "is_uncertain", "model")
    return {
        **{name: getattr(row, name) for name in same},
        "is_attack": row.class_name != BENIGN_NAME and not row.is_uncertain,
        "is_interim": row.end_reason is FlowEnd.INTERIM,
        "reasons": reasons or None,
    }


class EarlierVerdictAnswer(BaseModel):
    """What was said of a flow before its newest record."""

    window_id: Count = Field(description="The window that was over.")
    end: float = Field(description="Newest time of its packets until then, seconds since the epoch.")
    packets: Count
    class_name: str
    confidence: float
    is_attack: bool
    is_uncertain: bool
    model: str

    @classmethod
    def of(cls, row: VerdictRow) -> Self:
        """Return the answer for a row of the store."""
        said = {name: value for name, value in said_by(row).items() if name in cls.model_fields}
        packets = row.fwd_packets + row.bwd_packets
        return cls.model_validate(
            {**said, "window_id": row.window_id, "end": row.end_ns / NS_PER_S, "packets": packets}
        )


class ClassificationAnswer(FlowVerdictAnswer):
    """A verdict with the endpoints of its flow."""

    model_config = example(_ROW)

    flow_id: str = Field(description="16 hexadecimal digits; `/api/flows/ID` has the flow.")
    capture_id: str
    role: ModelRole = Field(description="Of the model when it said so; a challenger's verdicts do not count.")
    start: float = Field(description="Time of the flow's first packet, seconds since the epoch.")
    end: float = Field(description="Newest time of its packets, seconds since the epoch.")
    end_reason: FlowEnd
    source_ip: str = Field(description="Who sent the first packet.")
    source_port: Count
    destination_ip: str
    destination_port: Count
    protocol: Count = Field(description="IANA protocol number.")
    protocol_name: str
    vlan: Count
    window_id: Count = Field(description="Window in which its last packet came.")
    packets_forward: Count
    packets_backward: Count
    packets: Count

    @classmethod
    def of(cls, row: VerdictRow) -> Self:
        """Return the answer for a row of the store."""
        return cls.model_validate({**said_by(row), **common_fields(row), "role": row.role})


class ClassificationsAnswer(CapturePage):
    """A page of the verdicts on a capture's flows."""

    model_config = example(
        {
            "count": 1,
            "total": 312,
            "offset": 0,
            "limit": 1,
            "capture_id": "01kb2m9t8x7qd4",
            "next_cursor": "v.01kb2m9t8x7qd4.1234567890500000000.5d41402abc4b2a76",
            "classifications": [_ROW],
        }
    )

    classifications: list[ClassificationAnswer]


class ClassificationEvent(BaseModel):
    """Flows of one class that an attack was just named for: what the stream tells, one event for all of them."""

    capture_id: str
    class_name: str
    model: str
    flows: Count = Field(description="Flows that were named since the last event of the class.")
    packets: Count
    mean_confidence: float
    first_seen: float = Field(description="Start of the first of them, seconds since the epoch.")
    last_seen: float = Field(description="Newest time of their packets, seconds since the epoch.")
    sources: Count = Field(description="Addresses that began them.")
    destinations: Count
    top_sources: list[str] = Field(description="The five with most of these flows.")
    top_destinations: list[str]
    flow_ids: list[str] = Field(description="The five with the highest confidence.")

    @classmethod
    def of(cls, row: ClassEventRow) -> Self:
        """Return the event for a row of the store."""
        same = ("capture_id", "class_name", "model", "flows", "packets", "mean_confidence", "sources", "destinations")
        return cls(
            **{name: getattr(row, name) for name in same},
            first_seen=row.first_seen_ns / NS_PER_S,
            last_seen=row.last_seen_ns / NS_PER_S,
            top_sources=row.top_sources,
            top_destinations=row.top_destinations,
            flow_ids=[hex_id(flow_id) for flow_id in row.flow_ids],
        )
