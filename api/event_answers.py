"""Answers of PhantomNet: events, the live feed and the dashboard's figures.

Each model's example is the document's own sample, extended by what we add.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.config import JsonDict

from api.answers import example
from api.event_verdicts import EventRow
from api.filters import NS_PER_S
from api.flow_rows import hex_id
from api.traffic_figures import Figures
from infra.countries import country_of
from schemas.enums import Threat
from schemas.packets import NO_PROTOCOL
from schemas.protocols import ICMP, ICMPV6, ether_type_name, protocol_name


def type_of(row: EventRow) -> str:
    """Return a packet's protocol as the document names it: TCP, UDP, ICMP, or another keyword in capitals."""
    if row.protocol in (ICMP, ICMPV6):
        return "ICMP"
    name = ether_type_name(row.ether_type) if row.protocol == NO_PROTOCOL else protocol_name(row.protocol)
    return name.upper()


_EVENT: JsonDict = {
    "time": "2026-01-05 14:12:33",
    "ip": "192.168.1.10",
    "type": "TCP",
    "port": 0,
    "threat": "SUSPICIOUS",
    "details": "Suspicious TCP traffic detected",
    "id": 230854516543,
    "timestamp": 1767622353.25,
    "destination_ip": "192.168.1.52",
    "source_port": 51148,
    "length": 64,
    "threat_score": 62.1,
    "attack_class": "PortScan",
    "is_judged": True,
    "flow_id": "5d41402abc4b2a76",
    "capture_id": "01kb2m9t8x7qd4",
    "location": "LAN",
}


class EventAnswer(BaseModel):
    """A packet and what it is taken for."""

    model_config = example(_EVENT)

    time: str = Field(description="UTC, to the second.")
    ip: str = Field(description="Source address.")
    type: str = Field(description="TCP, UDP, ICMP, or another protocol's keyword.")
    port: int = Field(description="Destination port; 0 without ports.")
    threat: Threat
    details: str
    id: int = Field(description="Event id: the packet's in `packet_logs`.")
    timestamp: float = Field(description="Seconds since the epoch.")
    destination_ip: str
    source_port: int
    length: int = Field(description="Bytes on the wire.")
    threat_score: float = Field(description="0 to 100.", ge=0, le=100)
    attack_class: str = Field(description="Class by the classifier, or type of the anomaly; BENIGN below 40.")
    is_judged: bool = Field(
        description="Whether a record of its flow counts it: later, at the end of its window, or never without IP."
    )
    flow_id: str | None = Field(description="Its flow; null while it is not judged.")
    capture_id: str
    location: str = Field(description="Country of the source (ISO 3166-1), LAN, LOCAL or UNKNOWN.")

    @classmethod
    def of(cls, rows: list[EventRow]) -> list[Self]:
        """Return the answers for rows of the store."""
        places = country_of([row.src_ip for row in rows])
        return [cls._of(row, place) for row, place in zip(rows, places, strict=True)]

    @classmethod
    def _of(cls, row: EventRow, place: str) -> Self:
        kind = type_of(row)
        moment = datetime.fromtimestamp(row.ts_ns // NS_PER_S, UTC)
        benign = f"Normal {kind} traffic"
        return cls(
            time=moment.strftime("%Y-%m-%d %H:%M:%S"),
            ip=row.src_ip,
            type=kind,
            port=row.dst_port,
            threat=row.threat,
            details=benign if row.threat is Threat.BENIGN else f"{row.threat.title()} {kind} traffic detected",
            id=row.event_id,
            timestamp=row.ts_ns / NS_PER_S,
            destination_ip=row.dst_ip,
            source_port=row.src_port,
            length=row.length_bytes,
            threat_score=round(row.threat_score, 1),
            attack_class=row.attack_class,
            is_judged=row.is_judged,
            flow_id=hex_id(row.flow_id) if row.is_judged else None,
            capture_id=row.capture_id,
            location=place,
        )


class EventsAnswer(RootModel[list[EventAnswer]]):
    """Packets and what they are taken for, newest first."""

    model_config = ConfigDict(json_schema_extra={"example": [_EVENT]})


class PacketInfo(BaseModel):
    """A packet of the live feed."""

    src: str
    dst: str
    proto: str
    length: int = Field(description="Bytes on the wire.")
    location: str = Field(description="Country of the source (ISO 3166-1), LAN, LOCAL or UNKNOWN.")
    id: int = Field(description="Event id.")
    timestamp: float = Field(description="Seconds since the epoch.")
    src_port: int
    dst_port: int


class AiAnalysis(BaseModel):
    """What it is taken for."""

    prediction: Threat
    threat_score: float = Field(description="0 to 1.", ge=0, le=1)
    confidence_percent: str = Field(description="The threat score in per cent, rounded.")
    attack_class: str
    is_judged: bool


class LiveEvent(BaseModel):
    """One entry of the live feed."""

    packet_info: PacketInfo
    ai_analysis: AiAnalysis

    @classmethod
    def of(cls, rows: list[EventRow]) -> list[Self]:
        """Return the entries for rows of the store."""
        places = country_of([row.src_ip for row in rows])
        return [
            cls(
                packet_info=PacketInfo(
                    src=row.src_ip,
                    dst=row.dst_ip,
                    proto=type_of(row),
                    length=row.length_bytes,
                    location=place,
                    id=row.event_id,
                    timestamp=row.ts_ns / NS_PER_S,
                    src_port=row.src_port,
                    dst_port=row.dst_port,
                ),
                ai_analysis=AiAnalysis(
                    prediction=row.threat,
                    threat_score=round(row.threat_score / 100, 3),
                    confidence_percent=f"{round(row.threat_score)}%",
                    attack_class=row.attack_class,
                    is_judged=row.is_judged,
                ),
            )
            for row, place in zip(rows, places, strict=True)
        ]


class LiveAnswer(BaseModel):
    """The newest packets and what they are taken for."""

    model_config = example(
        {
            "status": "success",
            "count": 1,
            "data": [
                {
                    "packet_info": {
                        "src": "192.168.1.10",
                        "dst": "192.168.1.52",
                        "proto": "TCP",
                        "length": 64,
                        "location": "IN",
                        "id": 230854516543,
                        "timestamp": 1767622353.25,
                        "src_port": 51148,
                        "dst_port": 80,
                    },
                    "ai_analysis": {
                        "prediction": "SUSPICIOUS",
                        "threat_score": 0.62,
                        "confidence_percent": "62%",
                        "attack_class": "PortScan",
                        "is_judged": True,
                    },
                }
            ],
        }
    )

    status: Literal["success"] = "success"
    count: int
    data: list[LiveEvent]


class StatsAnswer(BaseModel):
    """Figures for the dashboard."""

    model_config = example(
        {
            "totalEvents": 1840,
            "uniqueIPs": 7,
            "activeHoneypots": 1,
            "avgThreatScore": 4.2,
            "criticalAlerts": 3,
            "suspiciousEvents": 240,
            "maliciousEvents": 1600,
            "uniqueAttackers": 5,
            "packets": 46373,
        }
    )

    totalEvents: int = Field(description="Suspicious and malicious packets.")  # noqa: N815 - the contract's names
    uniqueIPs: int = Field(description="Who sent them; exact up to 65,536, then within about 1 %.")  # noqa: N815
    activeHoneypots: int = Field(description="Types of honeypots heard from in the last 24 hours.")  # noqa: N815
    avgThreatScore: float = Field(description="Mean threat score of all packets, 0 to 100.")  # noqa: N815
    criticalAlerts: int = Field(description="Anomalies of high severity.")  # noqa: N815
    suspiciousEvents: int  # noqa: N815
    maliciousEvents: int  # noqa: N815
    uniqueAttackers: int = Field(description="Who began the flows of these packets.")  # noqa: N815
    packets: int = Field(description="All packets stored.")

    @classmethod
    def of(cls, figures: Figures, honeypots: int) -> Self:
        """Return the answer for figures of the store."""
        count = {name: row.packets for name, row in figures.by_threat.items()}
        return cls(
            totalEvents=figures.threatening,
            uniqueIPs=figures.sources,
            activeHoneypots=honeypots,
            avgThreatScore=round(figures.mean_score, 2),
            criticalAlerts=figures.counts.alerts,
            suspiciousEvents=count.get(Threat.SUSPICIOUS, 0),
            maliciousEvents=count.get(Threat.MALICIOUS, 0),
            uniqueAttackers=figures.attackers,
            packets=figures.counts.packets,
        )
