"""Rows of flows and of their packets, as the queries return them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from schemas.enums import FlowEnd


def hex_id(number: int) -> str:
    """Return an id of 64 bits as answers show it."""
    return f"{number:016x}"


class OfFlowRow(BaseModel):
    """What rows of flows and of the verdicts on them have in common. Addresses are texts."""

    model_config = ConfigDict(frozen=True)

    capture_id: str
    flow_id: int
    window_id: int
    end_reason: FlowEnd
    src_ip: str
    dst_ip: str
    src_port: int
    dst_port: int
    protocol: int
    vlan: int
    start_ns: int
    end_ns: int
    fwd_packets: int
    bwd_packets: int
    order_number: int = 0
    """What a list is ordered by."""


class FlowRow(OfFlowRow):
    """The record of a flow without its features; see ``schemas.flows.FLOW_COLUMNS``."""

    community_id: str
    icmp_type: int
    icmp_code: int
    first_frame: int
    last_frame: int
    fwd_bytes: int
    bwd_bytes: int


class FlowDetailRow(FlowRow):
    """The same with the features, in the order of ``FEATURE_NAMES``."""

    features: list[float]


class PacketRow(BaseModel):
    """One packet; see ``schemas.packets.PACKET_COLUMNS``. Addresses are texts."""

    model_config = ConfigDict(frozen=True)

    event_id: int
    ts_ns: int
    frame: int
    src_ip: str
    dst_ip: str
    src_port: int
    dst_port: int
    protocol: int
    vlan: int
    fragment: int
    ttl: int
    tcp_flags: int
    tcp_seq: int
    tcp_ack: int
    tcp_window_bytes: int
    payload_bytes: int
    length_bytes: int
    icmp_type: int
    icmp_code: int
