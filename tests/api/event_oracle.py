"""The features of events once more, in plain Python over a list of all events of a capture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

S = 10**9


@dataclass(frozen=True)
class Known:
    """An event and the verdict on it, as an oracle knows it."""

    event_id: int
    ts_ns: int
    src_ip: str
    dst_ip: str
    dst_port: int | None
    protocol: int
    length: int
    score: float
    attack_class: str
    is_fragment: bool = False


def features_of(event: Known, events: Sequence[Known], honeypots: Mapping[str, Sequence[int]]) -> dict[str, object]:
    """Return the 15 features of an event.

    Parameters
    ----------
    events : sequence of Known
        All of its capture.
    honeypots : mapping of str to sequence of int
        By source, when honeypots heard from it, ns.
    """
    own = sorted(
        (
            other
            for other in events
            if other.src_ip == event.src_ip
            and event.ts_ns - 300 * S < other.ts_ns
            and (other.ts_ns, other.event_id) <= (event.ts_ns, event.event_id)
        ),
        key=lambda other: (other.ts_ns, other.event_id),
    )
    lengths = [Fraction(other.length) for other in own]
    mean = sum(lengths) / len(lengths)
    squares = sum((length - mean) ** 2 for length in lengths)
    variance = squares / (len(lengths) - 1) if len(lengths) > 1 else Fraction(0)
    begin = own[-1].ts_ns
    for later, earlier in zip(reversed(own), reversed(own[:-1]), strict=False):
        if later.ts_ns - earlier.ts_ns > 60 * S:
            break
        begin = earlier.ts_ns
    rate = sum(other.ts_ns > event.ts_ns - 60 * S for other in own) / 60
    burst = sum(other.ts_ns > event.ts_ns - 10 * S for other in own) / 10
    port = _port_of(event)
    return {
        "packet_length": event.length,
        "protocol_encoding": {6: 1, 17: 2, 1: 3, 58: 3}.get(event.protocol, 0),
        "source_ip_event_rate": rate,
        "destination_port_class": "none"
        if port is None
        else "well_known"
        if port < 1024
        else "registered"
        if port < 49152
        else "ephemeral",
        "threat_score": round(event.score, 1),
        "malicious_flag_ratio": sum(other.score >= 80 for other in own) / len(own),
        "attack_type_frequency": sum(other.attack_class == event.attack_class for other in own),
        "time_of_day_deviation": datetime.fromtimestamp(event.ts_ns // S, UTC).hour in (22, 23, 0, 1, 2, 3, 4, 5),
        "burst_rate": burst,
        "packet_size_variance": float(variance),
        "honeypot_interaction_count": sum(at <= event.ts_ns for at in honeypots.get(event.src_ip, ())),
        "session_duration_estimate": (event.ts_ns - begin) / S,
        "unique_destination_count": len({other.dst_ip for other in own}),
        "rolling_average_deviation": burst / rate,
        "z_score_anomaly": float(event.length - mean) / math.sqrt(variance) if variance else 0.0,
    }


def _port_of(event: Known) -> int | None:
    """Return the port that a flow has of an event: fragments have none."""
    return None if event.is_fragment else event.dst_port
