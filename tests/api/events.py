"""A capture of random packets with their flows' verdicts, as storage writes them, and what is true of it."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import takewhile
from typing import Any

from infra.store import Store
from tests.api.classifications import insert_verdicts, verdict_values
from tests.api.event_oracle import Known
from tests.api.flows import insert_packets, packet_values
from tests.api.stack import ORIGIN_NS, Running, S, insert_stored_capture

EVENTS = "/api/events"

WINDOW_NS = 10 * S
CLASSES = ("PortScan", "DoS Hulk", "BENIGN")

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Verdict:
    """What the oracle gave the packets of one record."""

    probability: float
    class_name: str

    @property
    def score(self) -> float:
        return 100 * self.probability

    @property
    def attack_class(self) -> str:
        if self.score < 40:
            return "BENIGN"
        return self.class_name if self.class_name != "BENIGN" else "UNKNOWN"


def text_of(octets: bytes) -> str:
    """Return an address as answers show it."""
    found = ip_address(octets)
    return str(getattr(found, "ipv4_mapped", None) or found)


def mapped(number: int) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes([10, 0, 0, number])


def random_packets(capture_id: str, count: int, rng: random.Random, offset: int) -> list[dict[str, Any]]:
    """Return packets of a few hosts over some minutes; times go back now and then, some are equal."""
    packets, clock = [], ORIGIN_NS
    for frame in range(1, count + 1):
        clock += rng.choice([0, 1_000_000, S, 7 * S, -500_000]) if frame % 60 else 75 * S
        source, destination = rng.sample((1, 2, 3, 4), 2)
        protocol = rng.choice([6, 6, 17, 1])
        ports = (rng.choice([40_000, 50_000]), rng.choice([80, 8080])) if protocol != 1 else (0, 0)
        if source > destination:
            ports = ports[::-1]
        values = {
            "event_id": (rng.randrange(2) << 46) | (offset << 18) | frame,
            "ts_ns": clock,
            "src_ip": mapped(source),
            "dst_ip": mapped(destination),
            "src_port": ports[0],
            "dst_port": ports[1],
            "protocol": protocol,
            "ether_type": 0x0800,
            "length_bytes": rng.randrange(60, 1500),
            "fragment": int(frame % 29 == 0),
        }
        if frame % 37 == 0:  # without IP: no flow has it
            values |= {"src_ip": bytes(16), "dst_ip": bytes(16), "src_port": 0, "dst_port": 0, "protocol": 255}
            values |= {"ether_type": 0x0806}
        packets.append(packet_values(capture_id, frame, 1, 2, **values))
    return packets


def ends_of(packet: dict[str, Any]) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
    """Return address and port of both ends of the flow that a packet is in: a fragment has no ports there."""
    ports = (0, 0) if packet["fragment"] else (packet["src_port"], packet["dst_port"])
    return (packet["src_ip"], ports[0]), (packet["dst_ip"], ports[1])


def records_of(packets: list[dict[str, Any]], rng: random.Random) -> tuple[list[dict[str, Any]], dict[int, Verdict]]:
    """Return verdicts on records of some packets each, and the verdict of each frame that one counts."""
    by_key: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for packet in packets:
        if packet["protocol"] != 255:
            source, destination = ends_of(packet)
            by_key[(packet["protocol"], *sorted((source, destination)))].append(packet)
    verdicts, of_frame = [], {}
    for number, (key, own) in enumerate(by_key.items()):
        first = own[0]
        (src_ip, src_port), (dst_ip, dst_port) = ends_of(first)
        start = 0
        while start < len(own):
            window = own[start]["ts_ns"] // WINDOW_NS
            few = own[start : start + rng.randrange(1, 6)]
            part = list(takewhile(lambda packet, window=window: packet["ts_ns"] // WINDOW_NS == window, few))
            verdict = Verdict(rng.choice([0.05, 0.39, 0.41, 0.79, 0.81, 0.99]), rng.choice(CLASSES))
            is_forward = [packet["src_ip"] == first["src_ip"] for packet in part]
            end_ns = max(packet["ts_ns"] for packet in own[: start + len(part)])
            verdicts.append(
                verdict_values(
                    first["capture_id"],
                    flow_id=1000 + number,
                    end_reason="interim" if start + len(part) < len(own) else "idle",
                    src_ip=src_ip,
                    dst_ip=dst_ip,
                    src_port=src_port,
                    dst_port=dst_port,
                    protocol=key[0],
                    start_ns=first["ts_ns"],
                    end_ns=end_ns,
                    window_id=max(0, end_ns - ORIGIN_NS) // WINDOW_NS,
                    first_frame=first["frame"],
                    since_frame=own[start - 1]["frame"] + 1 if start else first["frame"],
                    last_frame=part[-1]["frame"],
                    fwd_packets=start + sum(is_forward),
                    bwd_packets=len(is_forward) - sum(is_forward),
                    new_fwd_packets=sum(is_forward),
                    new_bwd_packets=len(is_forward) - sum(is_forward),
                    class_name=verdict.class_name,
                    attack_probability=verdict.probability,
                )
            )
            of_frame |= {packet["frame"]: verdict for packet in part}
            start += len(part)
    return verdicts, of_frame


@dataclass(frozen=True)
class Traffic:
    """A stored capture, and what an oracle knows of its events."""

    capture_id: str
    known: list[Known]


def insert_traffic(store: Store, count: int = 400, seed: int = 1, offset: int = 0) -> Traffic:
    """Store a capture of random packets with the verdicts on them; ``offset`` is its messages' in Kafka."""
    rng = random.Random(seed)
    capture_id = insert_stored_capture(store)
    packets = random_packets(capture_id, count, rng, offset)
    verdicts, of_frame = records_of(packets, rng)
    insert_packets(store, *packets)
    insert_verdicts(store, *verdicts)
    benign = Verdict(0.0, "BENIGN")
    known = [
        Known(
            event_id=packet["event_id"],
            ts_ns=packet["ts_ns"],
            src_ip=text_of(packet["src_ip"]),
            dst_ip=text_of(packet["dst_ip"]),
            dst_port=packet["dst_port"] if packet["protocol"] in (6, 17) else None,
            protocol=packet["protocol"],
            length=packet["length_bytes"],
            score=of_frame.get(packet["frame"], benign).score,
            attack_class=of_frame.get(packet["frame"], benign).attack_class,
            is_fragment=bool(packet["fragment"]),
        )
        for packet in packets
    ]
    return Traffic(capture_id, known)


def listed(served: Running, **query: Any) -> list[dict[str, Any]]:
    answer = served.http.get(EVENTS, params={"limit": 1000, **query})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found
