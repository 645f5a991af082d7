"""Events of a real capture, through the whole stack: what stands for its packets, and their features."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.remote import url_of
from tests.api.event_oracle import Known, S, features_of
from tests.integration.stack import Stack

PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMP": 1}


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url_of(stack.settings), timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def capture_id(stack: Stack, sample: Path) -> str:
    return str(stack.compute(sample)["capture_id"])


@pytest.fixture(scope="module")
def events(http: httpx.Client, capture_id: str) -> list[dict[str, Any]]:
    """Every event of the sample, page by page."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"limit": 1000, "capture": capture_id, **({"cursor": cursor} if cursor else {})}
        answer = http.get("/api/events", params=query)
        assert answer.status_code == 200, answer.text
        found += answer.json()
        cursor = answer.headers.get("X-Next-Cursor")
        if cursor is None:
            return found


def test_every_packet_is_an_event_once_newest_first_and_judged_where_it_has_ip(
    stack: Stack, capture_id: str, events: list[dict[str, Any]]
) -> None:
    assert len(events) == len({event["id"] for event in events}) == stack.remote.capture(capture_id)["packets"]
    assert [event["timestamp"] for event in events] == sorted((event["timestamp"] for event in events), reverse=True)
    assert {event["type"] for event in events if not event["is_judged"]} <= {"ARP"}


def test_the_figures_are_those_of_the_events(http: httpx.Client, capture_id: str, events: list[dict[str, Any]]) -> None:
    stats = http.get("/api/stats", params={"capture": capture_id}).json()
    threats = Counter(event["threat"] for event in events)
    assert (stats["suspiciousEvents"], stats["maliciousEvents"]) == (threats["SUSPICIOUS"], threats["MALICIOUS"])
    assert stats["uniqueIPs"] == len({event["ip"] for event in events if event["threat"] != "BENIGN"})
    assert stats["packets"] == len(events)
    mean = sum(event["threat_score"] for event in events) / len(events)
    assert stats["avgThreatScore"] == pytest.approx(mean, abs=0.06)  # events show one digit


def test_the_scanner_is_malicious_while_it_scans(events: list[dict[str, Any]]) -> None:
    threats = Counter(event["threat"] for event in events if event["attack_class"] in ("PortScan", "port_scan"))
    assert threats["MALICIOUS"] > 100


def test_features_of_real_packets_equal_those_of_plain_python(http: httpx.Client, events: list[dict[str, Any]]) -> None:
    known = [
        Known(
            event_id=len(events) - place,  # times of answers are floats of seconds: the list's order decides
            ts_ns=round(event["timestamp"] * S),
            src_ip=event["ip"],
            dst_ip=event["destination_ip"],
            dst_port=event["port"] if event["type"] in ("TCP", "UDP") else None,
            protocol=PROTOCOLS.get(event["type"], 0),
            length=event["length"],
            score=event["threat_score"],
            attack_class=event["attack_class"],
        )
        for place, event in enumerate(events)
    ]
    chosen = random.Random(5).sample(known, 30)
    ids = [events[len(events) - event.event_id]["id"] for event in chosen]
    answer = http.post("/api/ml/features/batch", json={"event_ids": ids})
    assert answer.status_code == 200, answer.text
    for item, event in zip(answer.json()["results"], chosen, strict=True):
        expected = features_of(event, known, {})
        assert item["features"] == {
            name: pytest.approx(value, rel=1e-6, abs=1e-6) if isinstance(value, float) else value
            for name, value in expected.items()
        }
