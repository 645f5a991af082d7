"""The answer about one window, computed from its row."""

from __future__ import annotations

from typing import Annotated, Self

from annotated_types import Ge
from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.answers import example
from api.filters import NS_PER_S
from api.rows import WindowRow

NS_PER_MS = 1_000_000
BITS_PER_BYTE = 8

Count = Annotated[int, Ge(0)]

_PROTOCOLS: JsonDict = {
    "https": {"packets": 300, "bytes": 34000, "packet_share": 0.829, "byte_share": 0.863},
    "dns": {"packets": 62, "bytes": 5381, "packet_share": 0.171, "byte_share": 0.137},
}
WINDOW_EXAMPLE: JsonDict = {
    "window_id": 0,
    "capture_id": "01kb2m9t8x7qd4",
    "window_start": 1234567890.5,
    "window_end": 1234567900.5,
    "bandwidth": {
        "avg_bps": 3977.9,
        "avg_bits_per_s": 31823.0,
        "avg_pps": 36.57,
        "duration_s": 9.9,
        "total_bytes": 39381,
        "top_src_bytes": [["10.0.15.35", 20110], ["192.178.223.188", 19271]],
        "top_dst_bytes": [["192.178.223.188", 20110], ["10.0.15.35", 19271]],
    },
    "latency": {
        "mean_rtt": 45.2,
        "max_rtt": 120.5,
        "p95_rtt": 90.1,
        "count": 120,
        "p95_is_estimate": False,
        "mean_handshake_rtt": 30.4,
        "handshake_count": 12,
    },
    "connections": {
        "total": 42,
        "protocols": {"https": 12, "dns": 30},
        "attempted": 12,
        "established": 12,
        "failed": 0,
        "half_open": 0,
        "median_age_s": 4.2,
        "p95_age_s": 61.0,
        "max_age_s": 340.5,
    },
    "protocol": _PROTOCOLS,
    "ip_protocols": {
        "6": {"packets": 300, "bytes": 34000, "packet_share": 0.829, "byte_share": 0.863},
        "17": {"packets": 62, "bytes": 5381, "packet_share": 0.171, "byte_share": 0.137},
    },
    "tcp": {
        "segments": 300,
        "data_segments": 180,
        "retransmissions": 5,
        "retransmitted": 6,
        "analysis": {"retransmission": 5, "fast_retransmission": 1},
    },
    "record_count": 362,
    "hosts": 4,
    "undecoded": {},
    "late_packets": 0,
    "is_complete": True,
    "lost_upstream": 0,
    "sampling_rate": 1.0,
}


class Bandwidth(BaseModel):
    """How much was sent.

    Averages divide by ``duration_s``; by the window size when that is 0 (at most one packet, or all of
    them at the same instant).
    """

    avg_bps: float = Field(description="**Bytes** per second.")
    avg_bits_per_s: float = Field(description="Bits per second.")
    avg_pps: float = Field(description="Packets per second.")
    duration_s: float = Field(description="Last minus first packet of the window, seconds.")
    total_bytes: Count = Field(description="Bytes on the wire.")
    top_src_bytes: list[tuple[str, int]] = Field(description="At most 10 `[ip, bytes]`, most first.")
    top_dst_bytes: list[tuple[str, int]] = Field(description="At most 10 `[ip, bytes]`, most first.")


class Latency(BaseModel):
    """TCP round trips, milliseconds; null where nothing was measured."""

    mean_rtt: float | None
    max_rtt: float | None
    p95_rtt: float | None
    count: Count = Field(description="Round trips measured, as tshark's `tcp.analysis.ack_rtt`.")
    p95_is_estimate: bool = Field(description="Whether p95 comes from a sketch (relative error 1 %).")
    mean_handshake_rtt: float | None = Field(description="As tshark's `tcp.analysis.initial_rtt`.")
    handshake_count: Count


class Connections(BaseModel):
    """Conversations seen in the window."""

    total: Count = Field(description="TCP, UDP, ICMP and other IP conversations.")
    protocols: dict[str, int] = Field(description="Conversations per named protocol.")
    attempted: Count = Field(description="TCP conversations with a SYN in the window.")
    established: Count = Field(description="Attempted and answered with SYN-ACK.")
    failed: Count = Field(description="Attempted and reset.")
    half_open: Count = Field(description="Attempted and not answered.")
    median_age_s: float | None = Field(description="Median age of the TCP connections seen, seconds; null without one.")
    p95_age_s: float | None = Field(description="95th percentile of those ages.")
    max_age_s: float | None = Field(description="Age of the oldest.")


class Share(BaseModel):
    """One protocol's part of a window; shares are 0 to 1."""

    packets: Count
    bytes: Count
    packet_share: float
    byte_share: float


class Tcp(BaseModel):
    """TCP analysis with Wireshark's definitions."""

    segments: Count
    data_segments: Count = Field(description="Segments with payload.")
    retransmissions: Count = Field(description="As tshark's `tcp.analysis.retransmission`.")
    retransmitted: Count = Field(description="Data segments that are a retransmission of any kind.")
    analysis: dict[str, int] = Field(description="Segments per verdict; an absent verdict means 0.")


class WindowAnswer(BaseModel):
    """What one window of a capture looked like."""

    model_config = example(WINDOW_EXAMPLE)

    window_id: Count
    capture_id: str
    window_start: float = Field(description="Start, inclusive, seconds since the epoch.")
    window_end: float = Field(description="End, exclusive, seconds since the epoch.")
    bandwidth: Bandwidth
    latency: Latency
    connections: Connections
    protocol: dict[str, Share] = Field(description="By named protocol.")
    ip_protocols: dict[str, Share] = Field(description="By IANA protocol number; frames without IP are absent.")
    tcp: Tcp
    record_count: Count = Field(description="Packets, undecodable ones included.")
    hosts: Count = Field(description="Distinct addresses.")
    undecoded: dict[str, int] = Field(description="Packets not fully decoded, by reason.")
    late_packets: Count = Field(description="Packets counted after the watermark had passed the window.")
    is_complete: bool = Field(description="Whether no packet of it is known to be missing; see `lost_upstream`.")
    lost_upstream: Count = Field(description="At least so many packets were lost before the capture.")
    sampling_rate: float = Field(
        description="Share of the flows kept under overload, 0 to 1; counts are of what was kept."
    )

    @classmethod
    def of(cls, row: WindowRow) -> Self:
        """Return the answer for a row of the store."""
        return cls(
            window_id=row.window_id,
            capture_id=row.capture_id,
            window_start=row.window_start_ns / NS_PER_S,
            window_end=row.window_end_ns / NS_PER_S,
            bandwidth=bandwidth_of(row),
            latency=latency_of(row),
            connections=Connections(
                total=row.connections_total,
                protocols=row.connections_by_protocol,
                attempted=row.connections_attempted,
                established=row.connections_established,
                failed=row.connections_failed,
                half_open=row.connections_half_open,
                median_age_s=to_s(row.age_median_ns),
                p95_age_s=to_s(row.age_p95_ns),
                max_age_s=to_s(row.age_max_ns),
            ),
            protocol=shares_of(row.protocol_packets, row.protocol_bytes, row),
            ip_protocols=shares_of(row.ip_protocol_packets, row.ip_protocol_bytes, row),
            tcp=Tcp(
                segments=row.tcp_segments,
                data_segments=row.tcp_data_segments,
                retransmissions=row.tcp_analysis.get("retransmission", 0),
                retransmitted=row.tcp_retransmissions,
                analysis=row.tcp_analysis,
            ),
            record_count=row.record_count,
            hosts=row.hosts,
            undecoded=row.undecoded,
            late_packets=row.late_packets,
            is_complete=row.is_complete,
            lost_upstream=row.lost_upstream,
            sampling_rate=row.sampling_rate,
        )


def bandwidth_of(row: WindowRow) -> Bandwidth:
    """Return a window's bandwidth."""
    first_ns, last_ns = row.first_ts_ns, row.last_ts_ns
    duration_ns = 0 if first_ns is None or last_ns is None else last_ns - first_ns
    divisor_s = (duration_ns or row.window_end_ns - row.window_start_ns) / NS_PER_S
    avg_bps = row.bytes / divisor_s
    return Bandwidth(
        avg_bps=avg_bps,
        avg_bits_per_s=avg_bps * BITS_PER_BYTE,
        avg_pps=row.record_count / divisor_s,
        duration_s=duration_ns / NS_PER_S,
        total_bytes=row.bytes,
        top_src_bytes=row.top_src_bytes,
        top_dst_bytes=row.top_dst_bytes,
    )


def mean_ms(sum_ns: int, count: int) -> float | None:
    """Return a mean in milliseconds; None without a value."""
    return sum_ns / count / NS_PER_MS if count else None


def to_ms(value_ns: float | None) -> float | None:
    """Return nanoseconds as milliseconds, None as None."""
    return None if value_ns is None else value_ns / NS_PER_MS


def to_s(value_ns: float | None) -> float | None:
    """Return nanoseconds as seconds, None as None."""
    return None if value_ns is None else value_ns / NS_PER_S


def latency_of(row: WindowRow) -> Latency:
    """Return a window's round trips in milliseconds."""
    return Latency(
        mean_rtt=mean_ms(row.rtt_sum_ns, row.rtt_count),
        max_rtt=to_ms(row.rtt_max_ns),
        p95_rtt=to_ms(row.rtt_p95_ns),
        count=row.rtt_count,
        p95_is_estimate=row.rtt_is_sketched,
        mean_handshake_rtt=mean_ms(row.handshake_rtt_sum_ns, row.handshake_rtt_count),
        handshake_count=row.handshake_rtt_count,
    )


def shares_of(packets: dict[str, int], octets: dict[str, int], row: WindowRow) -> dict[str, Share]:
    """Return each protocol's part of a window, most packets first (ties by name)."""
    names = sorted(packets.keys() | octets.keys(), key=lambda name: (-packets.get(name, 0), name))
    return {
        name: Share(
            packets=packets.get(name, 0),
            bytes=octets.get(name, 0),
            packet_share=packets.get(name, 0) / row.record_count if row.record_count else 0.0,
            byte_share=octets.get(name, 0) / row.bytes if row.bytes else 0.0,
        )
        for name in names
    }
