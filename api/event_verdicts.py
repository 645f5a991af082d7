"""Packets with the verdicts on them.

A packet has the verdict of the first record of its flow that counts it: the one of its endpoints with the lowest
``last_frame`` that is not below its own number, if that record began with it or before (``since_frame``). The few
records that may count the packets of a page are asked for by their endpoints.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from api.queries_events import MINUTE_NS, Row
from api.record_verdicts import FlowKey, RecordsByFlow, judged, record_rows
from api.threat_anomalies import NEAR, ThreatAnomaly, threat_anomalies
from infra.store import Store
from schemas.enums import Threat
from schemas.verdicts import NO_VERDICT, REACH_NS

BESIDE_NS = 60 * MINUTE_NS
"""Of packets of no longer time, anomalies are asked for beside the records."""


class EventRow(BaseModel):
    """A packet with its verdict; see ``schemas.verdicts``. Addresses are texts."""

    model_config = ConfigDict(frozen=True)

    event_id: int
    capture_id: str
    ts_ns: int
    frame: int
    src_ip: str
    dst_ip: str
    src_port: int
    dst_port: int
    protocol: int
    ether_type: int
    length_bytes: int
    flow_id: int
    threat_score: float
    threat: Threat
    attack_class: str
    is_judged: bool


def event_row(packet: Row, records: RecordsByFlow) -> EventRow:
    """Return a packet with the verdict of the record that counts it, or with none."""
    record = records.of(key_of(packet), int(str(packet["frame"])))
    verdict = record.verdict if record else NO_VERDICT
    return EventRow.model_validate(
        packet
        | {
            "src_ip": packet["src_text"],
            "dst_ip": packet["dst_text"],
            "flow_id": record.flow_id if record else 0,
            "threat_score": verdict.score,
            "threat": verdict.threat,
            "attack_class": verdict.attack_class,
            "is_judged": record is not None,
        }
    )


def key_of(packet: Row) -> FlowKey:
    """Return what a packet has in common with the records of its flow.

    Fragments have no ports, so they are flows of their own with ports 0; see docs/flows.md.
    """
    ports = (0, 0) if packet["fragment"] else (int(str(packet["src_port"])), int(str(packet["dst_port"])))
    ends = frozenset(((str(packet["src_text"]), ports[0]), (str(packet["dst_text"]), ports[1])))
    return str(packet["capture_id"]), int(str(packet["protocol"])), int(str(packet["vlan"])), ends


@dataclass(frozen=True)
class About:
    """What verdicts on some packets are made from.

    Parameters
    ----------
    records : list of dict
        Those that may count the packets, newest first, without what anomalies make of them.
    anomalies : list of ThreatAnomaly or None
        Of their windows; None where they are still to be asked for.
    """

    records: list[Row]
    anomalies: list[ThreatAnomaly] | None


def about(store: Store, page: list[Row]) -> About:
    """Return what verdicts on packets are made from, asked for side by side.

    Of packets that are far between, the anomalies of all that time may be many: only those of the records' windows are
    asked for, once the records are known.
    """
    if not page:
        return About([], [])
    times = [int(str(packet["ts_ns"])) for packet in page]
    first_ns, last_ns = min(times), max(times)
    keys = {key_of(packet) for packet in page}
    if last_ns - first_ns > BESIDE_NS:
        return About(record_rows(store, keys, first_ns, last_ns), None)
    captures = {str(packet["capture_id"]) for packet in page}
    near: dict[str, object] = {"after_ns": first_ns - 1, "reach_ns": last_ns + REACH_NS}
    with ThreadPoolExecutor(1) as beside:
        anomalies = beside.submit(threat_anomalies, store, captures, NEAR, near)
        return About(record_rows(store, keys, first_ns, last_ns), anomalies.result())


def with_verdicts(store: Store, page: list[Row], known: About | None = None) -> list[EventRow]:
    """Return packets, newest first, with the verdicts on them.

    Parameters
    ----------
    known : About, optional
        What ``about`` says of them; asked for unless given.
    """
    known = known or about(store, page)
    records = RecordsByFlow(judged(store, known.records, known.anomalies))
    return [event_row(packet, records) for packet in page]
