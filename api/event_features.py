"""The 15 features of an event, as PhantomNet's contract names them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from api.filters import NS_PER_S
from api.look_back import BURST_NS, RATE_NS
from api.queries_features import LookBack
from schemas.protocols import ICMP, ICMPV6, TCP, UDP

PROTOCOL_CODES = {TCP: 1, UDP: 2, ICMP: 3, ICMPV6: 3}
"""``protocol_encoding``; 0 for every other protocol."""

FIRST_REGISTERED, FIRST_EPHEMERAL = 1024, 49_152
"""Where the classes of ports begin (RFC 6335, section 6)."""

NIGHT_ENDS, NIGHT_BEGINS = 6, 22
"""Hours, UTC."""

PortClass = Literal["well_known", "registered", "ephemeral", "none"]


class Features(BaseModel):
    """What is known of an event when it happens; rates are of its source in its capture."""

    packet_length: int = Field(description="Bytes on the wire.")
    protocol_encoding: int = Field(description="TCP 1, UDP 2, ICMP 3, other 0.")
    source_ip_event_rate: float = Field(description="Events of the source in the last 60 s, per second.")
    destination_port_class: PortClass = Field(description="By RFC 6335; none without a port.")
    threat_score: float = Field(description="0 to 100.")
    malicious_flag_ratio: float = Field(description="Share of the source's events that are MALICIOUS.")
    attack_type_frequency: int = Field(description="The source's events of this event's attack class.")
    time_of_day_deviation: bool = Field(description="Whether it is before 06 or from 22 o'clock, UTC.")
    burst_rate: float = Field(description="Events of the source in the last 10 s, per second.")
    packet_size_variance: float = Field(description="Of the source's packet lengths, bytes² (n - 1).")
    honeypot_interaction_count: int = Field(description="Lines of honeypots about the source until then.")
    session_duration_estimate: float = Field(description="Seconds since the first event of its session.")
    unique_destination_count: int = Field(description="Distinct destinations of the source.")
    rolling_average_deviation: float = Field(description="burst_rate over source_ip_event_rate.")
    z_score_anomaly: float = Field(description="How far its length is off the source's mean, standard deviations.")

    @classmethod
    def of(cls, row: LookBack) -> Self:
        """Compute them from what the event looks back on."""
        rate, burst = row.n_rate / (RATE_NS / NS_PER_S), row.n_burst / (BURST_NS / NS_PER_S)
        variance = _variance(row)
        mean = row.length_sum / row.n
        return cls(
            packet_length=row.length_bytes,
            protocol_encoding=PROTOCOL_CODES.get(row.protocol, 0),
            source_ip_event_rate=rate,
            destination_port_class=_port_class(row),
            threat_score=round(row.threat_score, 1),
            malicious_flag_ratio=row.n_malicious / row.n,
            attack_type_frequency=row.n_same_class,
            time_of_day_deviation=not NIGHT_ENDS <= _hour(row.ts_ns) < NIGHT_BEGINS,
            burst_rate=burst,
            packet_size_variance=variance,
            honeypot_interaction_count=row.n_honeypot,
            session_duration_estimate=(row.ts_ns - row.session_ns) / NS_PER_S,
            unique_destination_count=row.n_destinations,
            rolling_average_deviation=burst / rate,
            z_score_anomaly=(row.length_bytes - mean) / math.sqrt(variance) if variance else 0.0,
        )


def _variance(row: LookBack) -> float:
    """Return the sample variance of the lengths, from whole numbers; 0 for fewer than two."""
    if row.n < 2:
        return 0.0
    return (row.n * row.length_squares - row.length_sum**2) / (row.n * (row.n - 1))


def _port_class(row: LookBack) -> PortClass:
    if not row.has_port:
        return "none"
    if row.dst_port < FIRST_REGISTERED:
        return "well_known"
    return "registered" if row.dst_port < FIRST_EPHEMERAL else "ephemeral"


def _hour(ts_ns: int) -> int:
    return datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).hour
