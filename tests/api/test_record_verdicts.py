"""One verdict, wherever it is asked for: view, function, list of events, features and figures."""

from __future__ import annotations

import random

import pytest

from api import queries_features, queries_stats
from api.event_filters import EventFilter
from api.event_pages import events
from api.record_verdicts import RECORD_COLUMNS, judged
from infra.store import Store
from schemas.enums import AnomalyType, Severity, Threat
from tests.api.classifications import insert_verdicts, verdict_values
from tests.api.events import mapped
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.flows import insert_packets, packet_values
from tests.api.stack import ORIGIN_NS, S, insert_stored_capture

N_RECORDS = 120
WINDOWS = 4


@pytest.fixture
def capture_id(store: Store) -> str:
    """One-packet flows between few ends, and anomalies of every kind that name some of them, rightly or nearly so."""
    rng = random.Random(7)
    capture_id = insert_stored_capture(store)
    packets, verdicts, anomalies = [], [], []
    for frame in range(1, N_RECORDS + 1):
        (a, b), window = rng.sample((1, 2, 3), 2), rng.randrange(WINDOWS)
        ports = {"src_port": rng.choice([1000, 2000]), "dst_port": rng.choice([80, 443])}
        at_ns = ORIGIN_NS + window * 10 * S + frame
        packets.append(packet_values(capture_id, frame, a, b, **ports, ts_ns=at_ns, src_ip=mapped(a), dst_ip=mapped(b)))
        frames = dict.fromkeys(("first_frame", "since_frame", "last_frame"), frame)
        made = {
            "attack_probability": rng.choice([0.1, 0.4, 0.5, 0.8, 0.9]),
            "class_name": rng.choice(["DDoS", "BENIGN"]),
        }
        verdicts.append(
            verdict_values(
                capture_id, frame, **ports, **frames, **made, src_ip=mapped(a), dst_ip=mapped(b), window_id=window,
                start_ns=at_ns, end_ns=at_ns, new_fwd_packets=1, new_bwd_packets=0,
            )
        )  # fmt: skip
    for number in range(16):
        a, b = rng.sample((1, 2, 3), 2)
        flow = {"flow_src": f"10.0.0.{a}:1000", "flow_dst": f"10.0.0.{b}:80"} if number % 2 else {}
        anomalies.append(
            anomaly_values(
                capture_id, rng.randrange(WINDOWS), anomaly_id=f"{number:016x}", source_ip=f"10.0.0.{a}",
                type=rng.choice(list(AnomalyType)), severity=rng.choice(list(Severity)), **flow,
            )
        )  # fmt: skip
    insert_packets(store, *packets)
    insert_verdicts(store, *verdicts)
    insert_anomalies(store, *anomalies)
    return capture_id


def test_view_function_events_features_and_figures_agree(store: Store, capture_id: str) -> None:
    view = {
        int(str(row["last_frame"])): (row["threat_score"], row["threat"], row["attack_class"])
        for row in store.query("SELECT last_frame, threat_score, threat, attack_class FROM record_verdicts")
    }
    assert {threat for _, threat, _ in view.values()} == set(Threat)
    records = judged(store, store.query(f"SELECT {RECORD_COLUMNS} FROM packet_verdicts"))
    assert {r.last_frame: (r.verdict.score, r.verdict.threat, r.verdict.attack_class) for r in records} == view
    listed = [event for threat in Threat for event in events(store, EventFilter(threat=threat), N_RECORDS)]
    assert {one.frame: (one.threat_score, one.threat, one.attack_class) for one in listed} == view
    scores = {event.event_id: event.threat_score for event in listed}
    found = queries_features.look_backs(store, list(scores))
    assert {event_id: row.threat_score for event_id, row in found.items()} == scores
    figures = queries_stats.threats(store, capture_id)
    assert figures[""].score_sum == pytest.approx(sum(scores.values()))
    for threat in Threat:
        assert figures[threat].packets == sum(one.threat == threat for one in listed)
    threatening = {one.src_ip for one in listed if one.threat != Threat.BENIGN}
    assert figures[""].sources == len(threatening)
