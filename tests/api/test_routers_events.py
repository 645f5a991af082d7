from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from infra.store import Store
from tests.api.event_oracle import Known
from tests.api.events import EVENTS, Traffic, insert_traffic, listed
from tests.api.stack import ORIGIN_NS, Running, S, running, settings_in


@pytest.fixture(scope="module")
def traffic(module_store: Store) -> Traffic:
    return insert_traffic(module_store)


@pytest.fixture(scope="module")
def served(module_store: Store, traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_in(tmp_path_factory.mktemp("events")), module_store) as running_stack:
        yield running_stack


def threat_of(score: float) -> str:
    return "MALICIOUS" if score >= 80 else "SUSPICIOUS" if score >= 40 else "BENIGN"


def newest_first(known: list[Known]) -> list[Known]:
    return sorted(known, key=lambda event: (event.ts_ns, event.event_id), reverse=True)


def test_every_packet_is_an_event_with_the_verdict_of_the_first_record_that_counts_it(
    served: Running, traffic: Traffic
) -> None:
    events = listed(served)
    assert [event["id"] for event in events] == [event.event_id for event in newest_first(traffic.known)]
    for event, known in zip(events, newest_first(traffic.known), strict=True):
        assert event["threat_score"] == pytest.approx(known.score, abs=0.051)
        assert (event["threat"], event["attack_class"]) == (threat_of(known.score), known.attack_class)
        assert event["is_judged"] == (known.protocol != 255)


@pytest.mark.parametrize("threat", ["BENIGN", "SUSPICIOUS", "malicious"])
@pytest.mark.parametrize(
    ("query", "lets_through"),
    [
        ({}, lambda event: True),
        ({"protocol": "TCP"}, lambda event: event.protocol == 6),
        ({"protocol": "icmp"}, lambda event: event.protocol == 1),
        ({"source_ip": "10.0.0.2"}, lambda event: event.src_ip == "10.0.0.2"),
        ({"destination_ip": "10.0.0.3", "port": 80}, lambda event: event.dst_ip == "10.0.0.3" and event.dst_port == 80),
        (
            {"from": str(ORIGIN_NS // S + 60), "to": str(ORIGIN_NS // S + 200)},
            lambda event: ORIGIN_NS // S + 60 <= event.ts_ns / S < ORIGIN_NS // S + 200,
        ),
    ],
)
def test_filters_let_through_what_they_say(
    served: Running, traffic: Traffic, threat: str, query: dict[str, Any], lets_through: Any
) -> None:
    expected = [
        event.event_id
        for event in newest_first(traffic.known)
        if threat_of(event.score) == threat.upper() and lets_through(event)
    ]
    assert [event["id"] for event in listed(served, threat=threat, **query)] == expected


@pytest.mark.parametrize("query", [{}, {"threat": "MALICIOUS"}, {"threat": "BENIGN", "protocol": "udp"}])
def test_pages_hold_every_event_once_and_in_order(served: Running, query: dict[str, Any]) -> None:
    whole = [event["id"] for event in listed(served, **query)]
    pages: list[int] = []
    cursor = None
    while True:
        answer = served.http.get(EVENTS, params={"limit": 37, **query, **({"cursor": cursor} if cursor else {})})
        pages += [event["id"] for event in answer.json()]
        cursor = answer.headers.get("X-Next-Cursor")
        if cursor is None:
            break
        assert 'rel="next"' in answer.headers["Link"]
    assert pages == whole


def test_the_figures_are_those_of_the_events(served: Running, traffic: Traffic) -> None:
    stats = served.http.get("/api/stats").json()
    threats = Counter(threat_of(event.score) for event in traffic.known)
    assert stats["totalEvents"] == threats["SUSPICIOUS"] + threats["MALICIOUS"]
    assert (stats["suspiciousEvents"], stats["maliciousEvents"]) == (threats["SUSPICIOUS"], threats["MALICIOUS"])
    assert stats["uniqueIPs"] == len({event.src_ip for event in traffic.known if event.score >= 40})
    assert stats["packets"] == len(traffic.known)
    mean = sum(event.score for event in traffic.known) / len(traffic.known)
    assert stats["avgThreatScore"] == pytest.approx(mean, abs=0.01)


def test_the_live_feed_shows_the_newest_packets_as_documented(served: Running, traffic: Traffic) -> None:
    body = served.http.get("/analyze-traffic").json()
    assert (body["status"], body["count"], len(body["data"])) == ("success", 50, 50)
    newest = newest_first(traffic.known)[0]
    packet, analysis = body["data"][0]["packet_info"], body["data"][0]["ai_analysis"]
    assert (packet["src"], packet["dst"], packet["length"]) == (newest.src_ip, newest.dst_ip, newest.length)
    assert analysis["prediction"] == threat_of(newest.score)
    assert analysis["threat_score"] == pytest.approx(newest.score / 100, abs=0.001)
    assert analysis["confidence_percent"] == f"{round(newest.score)}%"


@pytest.mark.parametrize(
    "query",
    [{"threat": "EVIL"}, {"protocol": "tpc"}, {"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"port": 65_536}],
)
def test_what_makes_no_sense_is_refused(served: Running, query: dict[str, Any]) -> None:
    answer = served.http.get(EVENTS, params=query)
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]
