"""Answers about flows: one as the list shows it, a page of them, one with its features, and its packets."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.answers import example
from api.classification_answers import (
    ALONE_EXAMPLE,
    VERDICT_EXAMPLE,
    AloneAnswer,
    EarlierVerdictAnswer,
    FlowVerdictAnswer,
)
from api.classification_rows import FlowVerdicts, VerdictRow
from api.filters import NS_PER_S
from api.flow_fields import CapturePage, common_fields
from api.flow_rows import FlowDetailRow, FlowRow, PacketRow
from api.window_answers import Count
from infra.model_runtime import Named
from schemas.enums import FlowEnd, Fragment
from schemas.flows import FEATURE_NAMES

_TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
"""From the lowest bit on (RFC 9293, RFC 9768)."""

_FLOW: JsonDict = {
    "flow_id": "5d41402abc4b2a76",
    "capture_id": "01kb2m9t8x7qd4",
    "start": 1234567890.5,
    "end": 1234567893.25,
    "duration_s": 2.75,
    "end_reason": "fin",
    "is_ended": True,
    "source_ip": "10.0.15.35",
    "source_port": 51148,
    "destination_ip": "192.178.223.188",
    "destination_port": 443,
    "protocol": 6,
    "protocol_name": "tcp",
    "vlan": 0,
    "icmp_type": 0,
    "icmp_code": 0,
    "community_id": "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
    "window_id": 0,
    "packets_forward": 12,
    "packets_backward": 10,
    "packets": 22,
    "bytes_forward": 1840,
    "bytes_backward": 9120,
    "bytes": 10960,
    "first_frame": 17,
    "last_frame": 61,
    "classification": VERDICT_EXAMPLE,
}


class FlowAnswer(BaseModel):
    """A flow: the packets of one pair of endpoints until it ended. Forward is the direction of the first packet."""

    model_config = example(_FLOW)

    flow_id: str = Field(description="16 hexadecimal digits; the same file read again has the same flows.")
    capture_id: str
    start: float = Field(description="Time of the first packet, seconds since the epoch.")
    end: float = Field(description="Newest time of its packets, seconds since the epoch.")
    duration_s: float
    end_reason: FlowEnd = Field(description="Why this record was written; `interim` while the flow goes on.")
    is_ended: bool
    source_ip: str = Field(description="Who sent the first packet.")
    source_port: Count
    destination_ip: str
    destination_port: Count
    protocol: Count = Field(description="IANA protocol number.")
    protocol_name: str
    vlan: Count = Field(description="802.1Q VLAN id; 0 without one.")
    icmp_type: Count = Field(description="Of the first packet; 0 for other protocols.")
    icmp_code: Count
    community_id: str = Field(description="Community ID, version 1, seed 0.")
    window_id: Count = Field(description="Window in which its last packet came.")
    packets_forward: Count
    packets_backward: Count
    packets: Count
    bytes_forward: Count = Field(description="Bytes of the frames on the wire.")
    bytes_backward: Count
    bytes: Count
    first_frame: Count = Field(description="Number of its first frame in the capture, from 1.")
    last_frame: Count
    classification: FlowVerdictAnswer | None = Field(
        description="What the classifier says of it; null while it has not been judged, or when there was no model."
    )

    @classmethod
    def of(cls, row: FlowRow, verdict: VerdictRow | None) -> Self:
        """Return the answer for a row of the store and the verdict on it."""
        return cls.model_validate({**fields_of(row), "classification": verdict and FlowVerdictAnswer.of(verdict)})


def fields_of(row: FlowRow) -> dict[str, object]:
    """Return the fields that a flow has in every answer."""
    same = ("community_id", "icmp_type", "icmp_code", "first_frame", "last_frame")
    return {
        **common_fields(row),
        **{name: getattr(row, name) for name in same},
        "duration_s": (row.end_ns - row.start_ns) / NS_PER_S,
        "is_ended": row.end_reason is not FlowEnd.INTERIM,
        "bytes_forward": row.fwd_bytes,
        "bytes_backward": row.bwd_bytes,
        "bytes": row.fwd_bytes + row.bwd_bytes,
    }


class FlowsAnswer(CapturePage):
    """A page of a capture's flows."""

    model_config = example(
        {
            "count": 1,
            "total": 312,
            "offset": 0,
            "limit": 1,
            "capture_id": "01kb2m9t8x7qd4",
            "next_cursor": "n.01kb2m9t8x7qd4.1234567890500000000.5d41402abc4b2a76",
            "flows": [_FLOW],
        }
    )

    flows: list[FlowAnswer]


class InterimAnswer(BaseModel):
    """Where a flow stood when a window was over."""

    window_id: Count
    end: float = Field(description="Newest time of its packets until then, seconds since the epoch.")
    packets_forward: Count
    packets_backward: Count
    bytes_forward: Count
    bytes_backward: Count

    @classmethod
    def of(cls, row: FlowRow) -> Self:
        """Return the answer for a row of the store."""
        wanted = {name: value for name, value in fields_of(row).items() if name in cls.model_fields}
        return cls.model_validate(wanted)


class FlowDetailAnswer(FlowAnswer):
    """A flow with its features."""

    model_config = example(
        {
            **_FLOW,
            "features": {"Destination Port": 443.0, "Flow Duration": 2750000.0, "Total Fwd Packets": 12.0},
            "interim": [
                {
                    "window_id": 0,
                    "end": 1234567892.0,
                    "packets_forward": 6,
                    "packets_backward": 5,
                    "bytes_forward": 900,
                    "bytes_backward": 4000,
                }
            ],
            "alone": ALONE_EXAMPLE,
            "challenger": None,
            "earlier_verdicts": [],
        }
    )

    features: dict[str, float] = Field(
        description="The 78 features of CICFlowMeter by name, in its order; microseconds and bytes. See docs/flows.md."
    )
    interim: list[InterimAnswer] = Field(
        description="Its interim records, in order: one for each window that it outlasted, as long as the store has "
        "not merged them into the newest."
    )
    alone: AloneAnswer | None = Field(
        description="What the model that made `classification` says by these features alone, whatever the other flows "
        "between the same two hosts are; null where that model cannot be had, or the verdict is on an earlier record."
    )
    challenger: FlowVerdictAnswer | None = Field(
        description="What the model in the champion's shadow says of it; null without one."
    )
    earlier_verdicts: list[EarlierVerdictAnswer] = Field(
        description="What was said of its interim records, in order, as long as the store has not merged them away."
    )

    @classmethod
    def with_features(cls, row: FlowDetailRow, interim: list[FlowRow], said: FlowVerdicts, alone: Named | None) -> Self:
        """Return the answer for a flow, its interim records, the verdicts on it, and what it is alone."""
        return cls.model_validate(
            {
                **fields_of(row),
                "classification": said.newest and FlowVerdictAnswer.of(said.newest),
                "alone": alone and AloneAnswer.of(alone),
                "challenger": said.challenger and FlowVerdictAnswer.of(said.challenger),
                "earlier_verdicts": [EarlierVerdictAnswer.of(verdict) for verdict in said.earlier],
                "features": dict(zip(FEATURE_NAMES, row.features, strict=True)),
                "interim": [InterimAnswer.of(record) for record in interim],
            }
        )


_PACKET: JsonDict = {
    "event_id": 4398046511104,
    "frame": 17,
    "time": 1234567890.5,
    "source_ip": "10.0.15.35",
    "source_port": 51148,
    "destination_ip": "192.178.223.188",
    "destination_port": 443,
    "is_forward": True,
    "length": 74,
    "payload_bytes": 0,
    "ttl": 64,
    "fragment": "none",
    "tcp_flags": ["SYN"],
    "tcp_seq": 1830291733,
    "tcp_ack": 0,
    "tcp_window_bytes": 64240,
    "icmp_type": 0,
    "icmp_code": 0,
}


class PacketAnswer(BaseModel):
    """One packet of a flow."""

    model_config = example(_PACKET)

    event_id: Count
    frame: Count = Field(description="Number of the frame in the capture, from 1.")
    time: float = Field(description="Seconds since the epoch.")
    source_ip: str
    source_port: Count
    destination_ip: str
    destination_port: Count
    is_forward: bool = Field(description="Whether it went in the direction of the flow's first packet.")
    length: Count = Field(description="Bytes of the frame on the wire.")
    payload_bytes: Count = Field(description="Bytes behind the transport header.")
    ttl: Count
    fragment: str = Field(description="`none`, `first` or `later`: which fragment of its datagram.")
    tcp_flags: list[str] = Field(description="Flags that are set, lowest bit first; empty but for TCP.")
    tcp_seq: Count
    tcp_ack: Count
    tcp_window_bytes: Count = Field(description="Window field as sent, before scaling.")
    icmp_type: Count
    icmp_code: Count

    @classmethod
    def of(cls, row: PacketRow, flow: FlowRow) -> Self:
        """Return the answer for a packet of a flow."""
        same = ("event_id", "frame", "payload_bytes", "ttl", "tcp_seq", "tcp_ack", "tcp_window_bytes")
        ports = (0, 0) if row.fragment else (row.src_port, row.dst_port)
        ends = (row.src_ip, row.dst_ip, *ports)
        return cls(
            **{name: getattr(row, name) for name in (*same, "icmp_type", "icmp_code")},
            time=row.ts_ns / NS_PER_S,
            source_ip=row.src_ip,
            source_port=row.src_port,
            destination_ip=row.dst_ip,
            destination_port=row.dst_port,
            is_forward=ends == (flow.src_ip, flow.dst_ip, flow.src_port, flow.dst_port),
            length=row.length_bytes,
            fragment=Fragment(row.fragment).name.lower(),
            tcp_flags=[name for bit, name in enumerate(_TCP_FLAGS) if row.tcp_flags >> bit & 1],
        )


class FlowPacketsAnswer(BaseModel):
    """A page of a flow's packets, in the order of the capture."""

    model_config = example(
        {
            "flow_id": "5d41402abc4b2a76",
            "capture_id": "01kb2m9t8x7qd4",
            "count": 1,
            "total": 22,
            "offset": 0,
            "limit": 1,
            "next_cursor": "k.01kb2m9t8x7qd4.17.5d41402abc4b2a76",
            "packets": [_PACKET],
        }
    )

    flow_id: str
    capture_id: str
    count: Count
    total: Count = Field(description="Its packets that are still in the store: packets are kept shorter than flows.")
    offset: Count
    limit: Count
    next_cursor: str | None = Field(description="Send it as `cursor` for what follows; null when nothing does.")
    packets: list[PacketAnswer]
