"""Rows about single hosts, as the queries return them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)


class HostTraffic(_Row):
    """What one host, or one pair of hosts, said; sent and received are seen from the host that is asked about.

    ``begun`` flows are those whose first packet the host sent, ``answered`` the others.
    """

    begun: int
    answered: int
    packets_sent: int
    packets_received: int
    bytes_sent: int
    bytes_received: int
    first_ns: int
    last_ns: int


class HostRow(HostTraffic):
    """One host of a list."""

    ip: str
    peers: int
    attacks: int
    anomalies: int


class HostTotals(HostTraffic):
    """All that one host said."""

    peers: int


class HostPeer(HostTraffic):
    """One host at the other end; services are pairs of protocol and port, the most used first."""

    ip: str
    services: list[tuple[int, int]]


class HostPort(_Row):
    """One service that a host offers, or that it uses at others."""

    is_own: bool
    protocol: int
    port: int
    flows: int
    peers: int
    bytes: int


class HostStep(_Row):
    """One step of a host's time line."""

    step: int
    bytes_sent: float
    bytes_received: float
    flows: int
