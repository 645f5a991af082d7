"""Answers about single hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.answers import example
from api.baseline_answers import BaselineFigures
from api.filters import NS_PER_S
from api.host_rows import HostPeer, HostPort, HostRow, HostTotals, HostTraffic
from api.window_answers import Count
from infra.countries import country_of
from schemas.enums import BaselineKind
from schemas.protocols import protocol_name

_TRAFFIC: JsonDict = {
    "flows_begun": 700,
    "flows_answered": 12,
    "packets_sent": 4100,
    "packets_received": 1867,
    "bytes_sent": 402110,
    "bytes_received": 444572,
    "first_seen": 1234567890.5,
    "last_seen": 1234567990.5,
}
_HOST: JsonDict = {"ip": "203.0.113.7", "country": "US", "peers": 3, "attack_flows": 640, "anomalies": 2, **_TRAFFIC}
_PEER: JsonDict = {"ip": "10.0.15.35", "country": "LAN", "services": ["tcp/80", "tcp/22"], **_TRAFFIC}
_PORT: JsonDict = {
    "service": "tcp/443",
    "protocol": 6,
    "protocol_name": "tcp",
    "port": 443,
    "flows": 12,
    "peers": 3,
    "bytes": 9120,
}
_POINT: JsonDict = {"time": 1234567890.0, "bytes_sent": 1840.0, "bytes_received": 9120.0, "flows_begun": 2}


class HostTrafficAnswer(BaseModel):
    """What a host said, or what it and a peer said to each other; sent and received are the host's."""

    model_config = example(_TRAFFIC)

    flows_begun: Count = Field(description="Flows whose first packet it sent.")
    flows_answered: Count = Field(description="Flows that another began with it.")
    packets_sent: Count
    packets_received: Count
    bytes_sent: Count
    bytes_received: Count
    first_seen: float | None = Field(description="Seconds since the epoch; null without any flow.")
    last_seen: float | None


def traffic_fields(row: HostTraffic) -> dict[str, Any]:
    """Return the fields of ``HostTrafficAnswer`` for a row of the store."""
    same = ("packets_sent", "packets_received", "bytes_sent", "bytes_received")
    is_any = row.begun + row.answered > 0
    return {
        **{name: getattr(row, name) for name in same},
        "flows_begun": row.begun,
        "flows_answered": row.answered,
        "first_seen": row.first_ns / NS_PER_S if is_any else None,
        "last_seen": row.last_ns / NS_PER_S if is_any else None,
    }


def service_of(protocol: int, port: int) -> str:
    """Return a service as answers name it: ``tcp/443``; without ports, the protocol alone."""
    name = protocol_name(protocol)
    return f"{name}/{port}" if port else name


class HostListedAnswer(HostTrafficAnswer):
    """One host of a list."""

    model_config = example(_HOST)

    ip: str
    country: str = Field(description="ISO 3166-1 alpha-2, or `LAN`, `LOCAL`, `UNKNOWN`.")
    peers: Count = Field(description="Hosts that it had flows with.")
    attack_flows: Count = Field(description="Flows it began that an attack was named for.")
    anomalies: Count = Field(description="Anomalies that it is the source of.")

    @classmethod
    def listed(cls, rows: Sequence[HostRow]) -> list[Self]:
        """Return the answers for a page of hosts."""
        countries = country_of([row.ip for row in rows]).tolist() if rows else []
        return [
            cls.model_validate(
                {
                    **traffic_fields(row),
                    "ip": row.ip,
                    "country": country,
                    "peers": row.peers,
                    "attack_flows": row.attacks,
                    "anomalies": row.anomalies,
                }
            )
            for row, country in zip(rows, countries, strict=True)
        ]


class HostsSeenAnswer(BaseModel):
    """A page of a capture's hosts."""

    model_config = example(
        {"count": 1, "total": 34, "offset": 0, "limit": 1, "capture_id": "01kb2m9t8x7qd4", "hosts": [_HOST]}
    )

    count: Count
    total: Count
    offset: Count
    limit: Count
    capture_id: str | None
    hosts: list[HostListedAnswer]


class HostPeerAnswer(HostTrafficAnswer):
    """One host at the other end."""

    model_config = example(_PEER)

    ip: str
    country: str
    services: list[str] = Field(description="Up to five services they spoke to each other over, the most used first.")

    @classmethod
    def listed(cls, rows: Sequence[HostPeer]) -> list[Self]:
        """Return the answers for the peers of a host."""
        countries = country_of([row.ip for row in rows]).tolist() if rows else []
        return [
            cls.model_validate(
                {
                    **traffic_fields(row),
                    "ip": row.ip,
                    "country": country,
                    "services": [service_of(protocol, port) for protocol, port in row.services],
                }
            )
            for row, country in zip(rows, countries, strict=True)
        ]


class HostPortAnswer(BaseModel):
    """One service, by where the first packets of its flows went."""

    model_config = example(_PORT)

    service: str
    protocol: Count
    protocol_name: str
    port: Count
    flows: Count
    peers: Count
    bytes: Count

    @classmethod
    def of(cls, row: HostPort) -> Self:
        """Return the answer for a row of the store."""
        same = ("protocol", "port", "flows", "peers", "bytes")
        named = {"service": service_of(row.protocol, row.port), "protocol_name": protocol_name(row.protocol)}
        return cls.model_validate({**named, **{name: getattr(row, name) for name in same}})


class HostPointAnswer(BaseModel):
    """One step of a time line."""

    model_config = example(_POINT)

    time: float = Field(description="Beginning of the step, seconds since the epoch.")
    bytes_sent: float = Field(description="Bytes within the step; a flow's are spread evenly over its time.")
    bytes_received: float
    flows_begun: Count = Field(description="Flows that began within it, by whomever.")


class HostSeenAnswer(BaseModel):
    """What one host did in a capture: in sum, over time, with whom and over which services."""

    model_config = example(
        {
            "ip": "203.0.113.7",
            "country": "US",
            "capture_id": "01kb2m9t8x7qd4",
            "from": 1234567890.0,
            "to": 1234568190.0,
            "step_s": 5,
            "total": _TRAFFIC,
            "peer_count": 3,
            "series": [_POINT],
            "peers": [_PEER],
            "offers": [],
            "uses": [_PORT],
            "baselines": {},
        }
    )

    ip: str
    country: str = Field(description="ISO 3166-1 alpha-2, or `LAN`, `LOCAL`, `UNKNOWN`.")
    capture_id: str
    from_: float = Field(alias="from", description="Beginning of the time line, seconds since the epoch.")
    to: float = Field(description="Its end.")
    step_s: Count = Field(description="Seconds of a step.")
    total: HostTrafficAnswer
    peer_count: Count
    series: list[HostPointAnswer] = Field(description="All steps of the time line, those without traffic as 0.")
    peers: list[HostPeerAnswer] = Field(description="Up to 50, most bytes first.")
    offers: list[HostPortAnswer] = Field(description="Services that others asked it for; up to 20, most flows first.")
    uses: list[HostPortAnswer] = Field(description="Services that it asked others for; up to 20, most flows first.")
    baselines: dict[BaselineKind, BaselineFigures] = Field(
        description="What is usual for it, as far as it was learnt; see `/api/baselines/hosts/{ip}`."
    )


def total_of(row: HostTotals) -> HostTrafficAnswer:
    """Return the answer for the sums of a host."""
    return HostTrafficAnswer.model_validate(traffic_fields(row))
