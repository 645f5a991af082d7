"""The thresholds of what one source does to others: floods, brute force and scans."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AttackThresholds(BaseModel):
    """What of a source is an attack; part of the thresholds. Docs: ``docs/detection.md``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    flood_connections: int = Field(
        default=120,
        ge=1,
        le=1_000_000,
        description="Connections of one source to one service within a minute that are a flood: 2 per second for a "
        "whole minute, more than people and their browsers open.",
    )
    flood_ratio: float = Field(
        default=3.0,
        ge=1,
        le=1000,
        description="Where connections are learnt, a flood also exceeds their 99th percentile by this factor, and a "
        "third of the bound within one window is enough: a busy proxy is no flood, and small networks feel small ones.",
    )
    flood_sources: int = Field(
        default=100,
        ge=2,
        le=1_000_000,
        description="Sources that ask one host and go no further within a window: a flood with forged or many sources.",
    )
    flood_packets_per_s: float = Field(
        default=500.0,
        ge=1,
        le=1e9,
        description="Packets per second of UDP without an answer from one source to one service: "
        "above a video stream of 5 Mbit/s.",
    )
    flood_requests_per_s: float = Field(
        default=30.0,
        ge=1,
        le=1e9,
        description="Packets per second with requests from one client to one TCP service, where they are learnt: "
        "below it nobody floods, however quiet the service is.",
    )
    flood_icmp_per_s: float = Field(
        default=10.0,
        ge=1,
        le=1e9,
        description="ICMP packets per second from one source to one host: twice what ping allows ordinary users.",
    )
    brute_force_connections: int = Field(
        default=8,
        ge=2,
        le=1_000_000,
        description="Connections of one source to one login service (SSH, FTP, Telnet, RDP …) within a minute: "
        "servers end a connection after three to six wrong passwords.",
    )
    brute_force_ratio: float = Field(
        default=1.25,
        ge=1,
        le=1000,
        description="Where logins are learnt, brute force also exceeds their 99th percentile by this factor: "
        "deployment tools and backups log in often.",
    )
    brute_force_burst: int = Field(
        default=4,
        ge=2,
        le=1_000_000,
        description="The same within one window: guessing tools work with four connections or more at a time.",
    )
    port_scan_ports: int = Field(
        default=20,
        ge=1,
        le=65_535,
        description="Failed ports of one host from one source that are passed by a scan (contract).",
    )
    port_scan_hosts: int = Field(
        default=50,
        ge=1,
        le=1_000_000,
        description="Failed hosts on one port from one source that are passed by a scan (contract).",
    )
    port_scan_s: float = Field(
        default=60.0, ge=1, le=3600, description="Seconds within which they are counted (contract)."
    )
    port_scan_failed_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of a source's targets that failed: a scan is mostly unanswered or refused.",
    )
    port_scan_high_factor: float = Field(
        default=2.5,
        ge=1,
        le=1000,
        description="So many times the bound of a scan, a flood or brute force is high (contract).",
    )
    slow_scan_ports: int = Field(
        default=30,
        ge=1,
        le=65_535,
        description="The same for slow scans: 1.5 times as many, since chance failures add up in an hour.",
    )
    slow_scan_hosts: int = Field(
        default=50, ge=1, le=1_000_000, description="The same for hosts on one port; few fail at so many by chance."
    )
    slow_scan_s: float = Field(
        default=3600.0, ge=60, le=86_400, description="Seconds within which a slow scan's targets are counted."
    )
