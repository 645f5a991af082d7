"""One window as the detectors look at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypedDict

import pyarrow as pa

from schemas.packets import NO_PROTOCOL

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58


class Host(TypedDict):
    """An entry of ``host_traffic``; see ``schemas.windows.HOST_FIELDS``."""

    ip: str
    bytes_sent: int
    bytes_received: int
    conversations: int


class ScanSource(TypedDict):
    """An entry of ``scan_sources``; see ``schemas.windows.SCAN_SOURCE_FIELDS``."""

    src_ip: str
    targets: int
    failed_targets: int
    max_ports: int
    max_hosts: int


class Contact(TypedDict):
    """An entry of ``contacts``; see ``schemas.windows.CONTACT_FIELDS``."""

    src_ip: str
    dst_ip: str
    dst_port: int
    protocol: int
    conversations: int
    resets: int


class Asked(TypedDict):
    """What was asked of somebody: conversations, and packets and bytes each way."""

    conversations: int
    begun: int
    failed: int
    packets_forward: int
    packets_backward: int
    bytes_forward: int
    bytes_backward: int


class ServiceClient(Asked):
    """An entry of ``service_clients``; see ``schemas.windows.SERVICE_CLIENT_FIELDS``."""

    src_ip: str
    dst_ip: str
    dst_port: int
    protocol: int
    name: str


class Responder(Asked):
    """An entry of ``responders``; see ``schemas.windows.RESPONDER_FIELDS``."""

    dst_ip: str
    sources: int


class Conversation(TypedDict):
    """An entry of ``conversations``; see ``schemas.windows.CONVERSATION_FIELDS``."""

    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    protocol: int
    name: str
    first_ts_ns: int
    last_ts_ns: int
    packets_forward: int
    packets_backward: int
    bytes_forward: int
    bytes_backward: int
    data_segments_forward: int
    data_segments_backward: int
    retransmissions_forward: int
    retransmissions_backward: int
    rtt_count: int
    rtt_sum_ns: int
    rtt_max_ns: int


@dataclass(frozen=True)
class Observed:
    """What a window's row says, as far as it is judged by.

    Traffic and connections are **estimates of what passed**: under overload whole flows are left out, and what was
    kept is divided by the share that was kept (``sampling_rate``). Shares, means and lists are of what was kept.

    Parameters
    ----------
    scale : float
        What a count was multiplied by: the reciprocal of the sampling rate.
    packets, n_bytes, connections : float
        Estimates; ``records`` is what was counted.
    rtt_ms : float or None
        Mean round trip, ms; None when none was measured.
    scan_sources, contacts : tuple
        What failed over IP; ``arp_sources`` and ``arp_contacts`` are the entries of those columns about ARP.
    """

    capture_id: str
    window_id: int
    version: int
    start_ns: int
    end_ns: int
    scale: float
    records: int
    packets: float
    n_bytes: float
    connections: float
    rtt_count: int
    rtt_ms: float | None
    data_segments: int
    retransmissions: int
    age_median_s: float | None
    age_p95_s: float | None
    age_max_s: float | None
    protocol_packets: dict[str, int] = field(default_factory=dict)
    hosts: tuple[Host, ...] = ()
    scan_sources: tuple[ScanSource, ...] = ()
    contacts: tuple[Contact, ...] = ()
    arp_sources: tuple[ScanSource, ...] = ()
    arp_contacts: tuple[Contact, ...] = ()
    service_clients: tuple[ServiceClient, ...] = ()
    responders: tuple[Responder, ...] = ()
    conversations: tuple[Conversation, ...] = ()

    @property
    def window_ns(self) -> int:
        """Size of the window, ns."""
        return self.end_ns - self.start_ns

    @property
    def window_s(self) -> float:
        """Size of the window, s."""
        return self.window_ns / 1e9

    @property
    def is_sampled(self) -> bool:
        """Whether some flows were left out."""
        return self.scale > 1

    @property
    def bytes_per_s(self) -> float:
        """Bytes per second of the whole window."""
        return self.n_bytes / self.window_s

    @property
    def packets_per_s(self) -> float:
        """Packets per second of the whole window."""
        return self.packets / self.window_s

    @property
    def shares(self) -> dict[str, float]:
        """Share of the packets by named protocol, 0 to 1."""
        total = sum(self.protocol_packets.values())
        return {name: count / total for name, count in self.protocol_packets.items()} if total else {}

    def host_bytes_per_s(self, host: Host) -> float:
        """Bytes per second that a host sent and received."""
        return (host["bytes_sent"] + host["bytes_received"]) * self.scale / self.window_s


def observed_windows(rows: pa.Table) -> Iterator[Observed]:
    """Yield the windows of rows with ``WINDOW_SCHEMA``, in their order."""
    for batch in rows.to_batches(max_chunksize=64):
        for row in batch.to_pylist():
            yield _observed(row)


def _seconds(value_ns: int | None) -> float | None:
    return None if value_ns is None else value_ns / 1e9


def _observed(row: dict[str, Any]) -> Observed:
    rate = row["sampling_rate"]
    scale = 1 / rate if 0 < rate < 1 else 1.0
    return Observed(
        capture_id=row["capture_id"],
        window_id=row["window_id"],
        version=row["version"],
        start_ns=row["window_start_ns"],
        end_ns=row["window_end_ns"],
        scale=scale,
        records=row["record_count"],
        packets=row["record_count"] * scale,
        n_bytes=row["bytes"] * scale,
        connections=row["connections_total"] * scale,
        rtt_count=row["rtt_count"],
        rtt_ms=row["rtt_sum_ns"] / row["rtt_count"] / 1e6 if row["rtt_count"] else None,
        data_segments=row["tcp_data_segments"],
        retransmissions=row["tcp_retransmissions"],
        age_median_s=_seconds(row["age_median_ns"]),
        age_p95_s=_seconds(row["age_p95_ns"]),
        age_max_s=_seconds(row["age_max_ns"]),
        protocol_packets=dict(row["protocol_packets"]),
        hosts=tuple(row["host_traffic"]),
        scan_sources=tuple(source for source in row["scan_sources"] if source["max_ports"]),
        contacts=tuple(contact for contact in row["contacts"] if contact["protocol"] != NO_PROTOCOL),
        arp_sources=tuple(source for source in row["scan_sources"] if not source["max_ports"]),
        arp_contacts=tuple(contact for contact in row["contacts"] if contact["protocol"] == NO_PROTOCOL),
        service_clients=tuple(row["service_clients"]),
        responders=tuple(row["responders"]),
        conversations=tuple(row["conversations"]),
    )
