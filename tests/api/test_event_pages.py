from __future__ import annotations

import time
from itertools import product

import pyarrow as pa
import pytest

from api import event_pages, queries_event_benign, queries_events
from api.event_filters import EventFilter
from api.traffic_figures import TrafficFigures
from infra.store import Store
from schemas.anomalies import CORRECTION_SCHEMA
from schemas.enums import AnomalyType, Severity, Threat
from schemas.honeypots import HoneypotType
from schemas.verdicts import ANOMALY_SCORES, threat_of
from tests.api.classifications import insert_verdicts, verdict_values
from tests.api.events import insert_traffic, listed, mapped
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.flows import insert_packets, packet_values
from tests.api.stack import ORIGIN_NS, Running, S, insert_stored_capture
from tests.api.test_routers_honeypots import insert_lines


@pytest.fixture
def judged(store: Store) -> str:
    """Three one-packet flows in window 0: of 10.0.0.1, of 10.0.0.5 and of an IPv6 host, the classifier at rest."""
    capture_id = insert_stored_capture(store)
    insert_packets(
        store,
        packet_values(capture_id, 1, 1, 2),
        packet_values(capture_id, 2, 5, 2),
        packet_values(capture_id, 3, 1, 2, src_ip=bytes(15) + b"\7", dst_ip=bytes(15) + b"\x08"),
    )
    quiet = {"class_name": "BENIGN", "attack_probability": 0.1, "new_fwd_packets": 1, "window_id": 0}
    verdicts = [
        verdict_values(capture_id, 0, first_frame=1, since_frame=1, last_frame=1, **quiet),
        verdict_values(
            capture_id, 0, flow_id=7, src_ip=mapped(5), dst_ip=mapped(2), src_port=443, dst_port=40_000,
            first_frame=2, since_frame=2, last_frame=2, **quiet,
        ),
        verdict_values(
            capture_id, 0, flow_id=8, src_ip=bytes(15) + b"\7", dst_ip=bytes(15) + b"\x08",
            first_frame=3, since_frame=3, last_frame=3, **quiet,
        ),
    ]  # fmt: skip
    insert_verdicts(store, *verdicts)
    return capture_id


def test_anomalies_raise_the_packets_of_their_source_in_their_window_by_type_and_severity(store: Store) -> None:
    capture_id = insert_stored_capture(store)
    kinds = list(product(AnomalyType, Severity))
    for number, (kind, severity) in enumerate(kinds):
        at = {"start_ns": ORIGIN_NS + number * 10 * S, "end_ns": ORIGIN_NS + number * 10 * S, "window_id": number}
        insert_packets(
            store, packet_values(capture_id, number + 1, 1, 2, ts_ns=at["start_ns"], src_port=40_000 + number)
        )
        frames = dict.fromkeys(("first_frame", "since_frame", "last_frame"), number + 1)
        quiet = {"class_name": "BENIGN", "attack_probability": 0.1, "new_fwd_packets": 1}
        insert_verdicts(store, verdict_values(capture_id, number, **at, **frames, **quiet))
        named = {"type": kind, "severity": severity, "source_ip": "10.0.0.1"}
        insert_anomalies(store, anomaly_values(capture_id, number, **named))
    scores = [max(10.0, ANOMALY_SCORES.get(kind, 0.0)) for kind in kinds]
    found = list(reversed(event_pages.events(store, EventFilter(), 100)))
    assert [event.threat_score for event in found] == pytest.approx(scores)
    assert [event.attack_class for event in found] == [
        kind if score >= 40 else "BENIGN" for (kind, _), score in zip(kinds, scores, strict=True)
    ]
    figures = TrafficFigures(store).of()
    assert figures.threatening == sum(score >= 40 for score in scores)
    assert figures.sources == 1
    assert figures.by_threat[""].score_sum == pytest.approx(sum(scores))


def test_the_figures_follow_when_late_packets_refute_an_anomaly(store: Store, judged: str) -> None:
    figures = TrafficFigures(store)
    insert_anomalies(store, anomaly_values(judged, 0, source_ip="10.0.0.1"))
    assert figures.of(judged).threatening == 1
    corrected = {"capture_id": judged, "window_id": 0, "version": 2, "signals": ["vertical_scan"]}
    store.insert("corrections", pa.Table.from_pylist([corrected], schema=CORRECTION_SCHEMA), f"corrected:{judged}")
    assert figures.of(judged).threatening == 0


def test_an_anomaly_that_names_a_flow_raises_that_flow_only(stack: Running, store: Store, judged: str) -> None:
    named = {"type": "long_lived_conn", "severity": "high", "source_ip": "::7"}
    insert_anomalies(store, anomaly_values(judged, 0, **named, flow_src="[::8]:443", flow_dst="[::7]:40000"))
    scores = {event["ip"]: event["threat_score"] for event in listed(stack)}
    assert scores == {"10.0.0.1": 10.0, "10.0.0.5": 10.0, "::7": 60.0}
    assert [event["ip"] for event in listed(stack, threat="SUSPICIOUS")] == ["::7"]


def test_an_anomaly_of_another_window_changes_nothing(stack: Running, store: Store, judged: str) -> None:
    insert_anomalies(store, anomaly_values(judged, 1, type="port_scan", severity="high", source_ip="10.0.0.5"))
    assert {event["threat"] for event in listed(stack)} == {"BENIGN"}


def test_an_empty_store_has_no_events(stack: Running) -> None:
    assert listed(stack) == []
    assert listed(stack, threat="MALICIOUS") == []
    assert stack.http.get("/analyze-traffic").json() == {"status": "success", "count": 0, "data": []}
    stats = stack.http.get("/api/stats").json()
    assert {name: stats[name] for name in ("totalEvents", "uniqueIPs", "activeHoneypots", "criticalAlerts")} == {
        "totalEvents": 0, "uniqueIPs": 0, "activeHoneypots": 0, "criticalAlerts": 0,
    }  # fmt: skip


def test_honeypots_that_were_heard_from_today_are_active(stack: Running, store: Store) -> None:
    insert_lines(store, HoneypotType.SSH, {"log_id": 1, "ts_ns": time.time_ns()})
    insert_lines(store, HoneypotType.FTP, {"log_id": 2, "ts_ns": ORIGIN_NS})
    assert stack.http.get("/api/stats").json()["activeHoneypots"] == 1


@pytest.mark.parametrize("group_packets", [1, 250, 10_000])
@pytest.mark.parametrize("threat", [None, *Threat])
def test_captures_of_the_same_time_are_merged(
    store: Store, monkeypatch: pytest.MonkeyPatch, group_packets: int, threat: Threat | None
) -> None:
    monkeypatch.setattr(queries_events, "GROUP_PACKETS", group_packets)
    monkeypatch.setattr(event_pages, "THREAT_PACKETS", group_packets)
    known = [event for number in range(4) for event in insert_traffic(store, 100, number, number).known]
    expected = [
        event.event_id
        for event in sorted(known, key=lambda event: (event.ts_ns, event.event_id), reverse=True)
        if threat in (None, threat_of(event.score))
    ]
    found = [event.event_id for event in event_pages.events(store, EventFilter(threat=threat), 50)]
    assert found == expected[:50]
    everything = [event.event_id for event in event_pages.events(store, EventFilter(threat=threat), 1000)]
    assert everything == expected


def test_an_anomaly_raises_no_packets_of_the_same_window_of_another_capture(store: Store) -> None:
    captures = [insert_stored_capture(store) for _ in range(3)]
    for number, capture_id in enumerate(captures):
        insert_packets(store, packet_values(capture_id, 1, 1, 2, event_id=number))
        insert_verdicts(
            store,
            verdict_values(
                capture_id, 0, window_id=0, class_name="BENIGN", attack_probability=0.1, new_fwd_packets=1,
                first_frame=1, since_frame=1, last_frame=1,
            ),
        )  # fmt: skip
    scan = {"type": "port_scan", "severity": "high"}
    insert_anomalies(store, anomaly_values(captures[0], 0, **scan, source_ip="10.0.0.1"))
    flow = {"flow_src": "10.0.0.1:40000", "flow_dst": "10.0.0.2:443"}
    insert_anomalies(store, anomaly_values(captures[1], 0, **scan, source_ip="10.0.0.1", **flow))
    found = event_pages.events(store, EventFilter(threat=Threat.MALICIOUS), 10)
    assert {event.capture_id for event in found} == set(captures[:2])
    quiet = event_pages.events(store, EventFilter(threat=Threat.BENIGN), 10)
    assert [event.capture_id for event in quiet] == captures[2:]


@pytest.mark.parametrize("page_packets", [7, 10_000])
@pytest.mark.parametrize("given", [{}, {"source_ip": "10.0.0.1"}, {"protocols": [6], "port": 80}])
def test_few_benign_events_among_threats_are_found_page_by_page(
    store: Store, monkeypatch: pytest.MonkeyPatch, page_packets: int, given: dict[str, object]
) -> None:
    monkeypatch.setattr(queries_event_benign, "PAGE", page_packets)
    known = [event for number in range(2) for event in insert_traffic(store, 200, number, number).known]
    expected = [
        event.event_id
        for event in sorted(known, key=lambda event: (event.ts_ns, event.event_id), reverse=True)
        if event.score < 40
        and event.src_ip == given.get("source_ip", event.src_ip)
        and event.dst_port == given.get("port", event.dst_port)
        and event.protocol in given.get("protocols", [event.protocol])  # type: ignore[operator]
    ]
    wanted = EventFilter(threat=Threat.BENIGN, given=given)
    found: list[int] = []
    behind = None
    while page := event_pages.events(store, wanted, 3, behind):
        found += [event.event_id for event in page]
        behind = queries_events.EventsBehind(page[-1].ts_ns, page[-1].event_id)
    assert found == expected
