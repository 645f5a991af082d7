"""PhantomNet's contract: every path, sample and status code of the document as amended, on a running stack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.remote import url_of
from tests.api.samples import lacks
from tests.integration.stack import Stack

FEATURES = """{
    "packet_length": 512, "protocol_encoding": 1, "source_ip_event_rate": 8.3,
    "destination_port_class": "well_known", "threat_score": 72.4, "malicious_flag_ratio": 0.6,
    "attack_type_frequency": 4, "time_of_day_deviation": true, "burst_rate": 12.1, "packet_size_variance": 220.5,
    "honeypot_interaction_count": 2, "session_duration_estimate": 480.0, "unique_destination_count": 6,
    "rolling_average_deviation": 1.9, "z_score_anomaly": 2.6
}"""

SAMPLES = {
    "GET /": '{"message": "PhantomNet Active Defense System: ONLINE"}',
    "GET /health": '{"status": "healthy", "database": "connected"}',
    "GET /analyze-traffic": """{
        "status": "success", "count": 50, "data": [{
            "packet_info": {
                "src": "192.168.1.10", "dst": "192.168.1.52", "proto": "TCP", "length": 64, "location": "IN"
            },
            "ai_analysis": {"prediction": "SUSPICIOUS", "threat_score": 0.62, "confidence_percent": "62%"}
        }]
    }""",
    "GET /api/stats": """{
        "totalEvents": 1840, "uniqueIPs": 7, "activeHoneypots": 1, "avgThreatScore": 0.0, "criticalAlerts": 0
    }""",
    "GET /api/events": """[{
        "time": "2026-01-05 14:12:33", "ip": "192.168.1.10", "type": "TCP", "port": 0, "threat": "SUSPICIOUS",
        "details": "Suspicious TCP traffic detected"
    }]""",
    "GET /api/ml/features/{event_id}": f'{{"event_id": 12345, "features": {FEATURES}}}',
    "POST /active-defense/block/203.0.113.7": '{"status": "success", "message": "IP blocked successfully"}',
}
"""The document's own; a number that is a mean or a time may have a fraction, as its definition says."""

VERBATIM = {"message", "status", "database"}

THREATS = {"BENIGN": (0, 40), "SUSPICIOUS": (40, 80), "MALICIOUS": (80, 101)}


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url_of(stack.settings), timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def newest(stack: Stack, sample: Path, http: httpx.Client) -> dict[str, Any]:
    """The newest event of the bundled capture."""
    found: list[dict[str, Any]] = http.get("/api/events", params={"limit": 1, **of_sample(stack, sample)}).json()
    return found[0]


def of_sample(stack: Stack, sample: Path) -> dict[str, str]:
    """Return the filter for events of the sample: older computes of it may be on their way out of the store."""
    return {"capture": stack.compute(sample)["capture_id"]}


@pytest.mark.parametrize("line", SAMPLES)
def test_every_sample_is_answered_with_its_keys_and_types(
    http: httpx.Client, newest: dict[str, Any], line: str
) -> None:
    method, path = line.format(event_id=newest["id"]).split()
    answer = http.request(method, path)
    assert answer.status_code == 200, answer.text
    shown, got = json.loads(SAMPLES[line]), answer.json()
    assert got
    assert lacks(shown, got) == []
    if isinstance(shown, dict):
        verbatim = VERBATIM & shown.keys()
        assert {key: got[key] for key in verbatim} == {key: shown[key] for key in verbatim}


@pytest.mark.parametrize("path", ["/health", "/analyze-traffic", "/api/stats", "/api/events"])
def test_paths_end_with_a_slash_or_without(http: httpx.Client, newest: dict[str, Any], path: str) -> None:
    assert newest
    answer = http.get(f"{path}/", follow_redirects=False)
    assert answer.status_code in (200, 308)
    assert http.get(f"{path}/", follow_redirects=True).status_code == 200


def test_events_are_newest_first_a_hundred_unless_told_otherwise_with_the_documented_values(
    http: httpx.Client, newest: dict[str, Any]
) -> None:
    events = http.get("/api/events").json()
    assert len(events) == 100
    assert events[0] == newest
    times = [event["time"] for event in events]
    assert times == sorted(times, reverse=True)
    for event in events:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", event["time"])
        low, high = THREATS[event["threat"]]
        assert low <= event["threat_score"] < high
        assert event["type"] in event["details"]
    assert len(http.get("/api/events", params={"limit": 7}).json()) == 7


@pytest.mark.parametrize("threat", ["BENIGN", "SUSPICIOUS", "MALICIOUS", "malicious", "Benign"])
@pytest.mark.parametrize("protocol", ["TCP", "udp", "Icmp"])
def test_filters_are_in_any_case_and_let_nothing_else_through(
    http: httpx.Client, newest: dict[str, Any], threat: str, protocol: str
) -> None:
    assert newest
    events = http.get("/api/events", params={"threat": threat, "protocol": protocol, "limit": 20}).json()
    assert {(event["threat"], event["type"]) for event in events} <= {(threat.upper(), protocol.upper())}
    assert events or (threat.upper(), protocol.upper()) != ("BENIGN", "TCP")


@pytest.mark.parametrize(
    ("query", "statuses"),
    [({"threat": "EVIL"}, {422}), ({"protocol": "tpc"}, {400, 422}), ({"limit": 0}, {422}), ({"limit": "x"}, {422})],
)
def test_nonsense_is_refused_with_detail(http: httpx.Client, query: dict[str, str], statuses: set[int]) -> None:
    for path in ("/api/events", "/analyze-traffic"):
        answer = http.get(path, params=query)
        assert answer.status_code in statuses
        assert answer.json()["detail"]


def test_the_live_feed_shows_the_newest_packets_with_scores_from_0_to_1(
    http: httpx.Client, newest: dict[str, Any]
) -> None:
    body = http.get("/analyze-traffic").json()
    assert body["count"] == len(body["data"]) == 50
    assert body["data"][0]["packet_info"]["src"] == newest["ip"]
    for entry in body["data"]:
        analysis = entry["ai_analysis"]
        assert 0 <= analysis["threat_score"] <= 1
        assert abs(int(analysis["confidence_percent"].removesuffix("%")) - 100 * analysis["threat_score"]) < 1
        assert re.fullmatch(r"[A-Z]{2}|LAN|LOCAL|UNKNOWN", entry["packet_info"]["location"])


def test_the_figures_are_real_values(http: httpx.Client, newest: dict[str, Any]) -> None:
    assert newest
    stats = http.get("/api/stats").json()
    assert stats["totalEvents"] > 0
    assert stats["uniqueIPs"] > 0
    assert 0 < stats["avgThreatScore"] < 100
    assert 0 <= stats["activeHoneypots"] <= 4
    assert stats["packets"] >= stats["totalEvents"]


def test_a_batch_keeps_its_order_and_says_of_each_event_what_it_would_alone(
    http: httpx.Client, newest: dict[str, Any], stack: Stack, sample: Path
) -> None:
    events = http.get("/api/events", params={"limit": 5, **of_sample(stack, sample)}).json()
    ids = [event["id"] for event in events][::-1]
    assert newest["id"] in ids
    answer = http.post("/api/ml/features/batch", json={"event_ids": [*ids, 2**53 - 1]})
    assert answer.status_code == 200
    *known, unknown = answer.json()["results"]
    assert [item["event_id"] for item in known] == ids
    assert known == [http.get(f"/api/ml/features/{event_id}").json() for event_id in ids]
    for item in known:
        assert lacks(json.loads(FEATURES), item["features"]) == []
        assert item["features"].keys() == json.loads(FEATURES).keys()
    assert unknown == {"event_id": 2**53 - 1, "error": "Event not found"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/ml/features/9007199254740991", "", 404),
        ("GET", "/api/ml/features/x", "", 422),
        ("POST", "/api/ml/features/batch", "", 400),
        ("POST", "/api/ml/features/batch", '{"event_ids": "101"}', 400),
        ("POST", "/api/ml/features/batch", json.dumps({"event_ids": list(range(1001))}), 413),
        ("POST", "/api/ml/features/batch", '{"event_ids": [9007199254740991]}', 422),
        ("GET", "/api/nowhere", "", 404),
        ("DELETE", "/api/events", "", 405),
    ],
)
def test_every_error_has_its_documented_status_and_detail(
    http: httpx.Client, method: str, path: str, body: str, status: int
) -> None:
    answer = http.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["detail"], str)
    assert answer.json()["detail"]


@pytest.mark.parametrize("ip", ["127.0.0.1", "localhost", "::1"])
def test_localhost_is_protected_in_the_documented_words(http: httpx.Client, ip: str) -> None:
    answer = http.post(f"/active-defense/block/{ip}")
    assert answer.status_code == 400
    body = answer.json()
    assert {"status": body["status"], "message": body["message"]} == {
        "status": "error",
        "message": "Cannot block localhost",
    }


def test_a_block_is_idempotent_listed_undone_and_in_the_audit(http: httpx.Client) -> None:
    path = "/active-defense/block/203.0.113.9"
    for is_new in (True, False):
        assert http.post(path).json()["is_new"] is is_new
    listed = http.get("/active-defense/block").json()
    assert "203.0.113.9" in [block["ip"] for block in listed["blocks"]]
    assert http.delete(path).json()["status"] == "success"
    assert "203.0.113.9" not in [block["ip"] for block in http.get("/active-defense/block").json()["blocks"]]
    entries = http.get("/api/audit", params={"target": "203.0.113.9"}).json()
    assert [entry["action"] for entry in entries["entries"]][:3] == ["block.remove", "block.add", "block.add"]
