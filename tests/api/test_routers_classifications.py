from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from infra.model_runtime import Model
from infra.model_topic import row_of, send_bundle
from infra.settings import SHIPPED_MODEL
from infra.store import Store
from schemas.classes import CLASS_NAMES
from schemas.flows import FEATURE_NAMES
from tests.api.classifications import MODEL, insert_verdicts, verdict_values
from tests.api.flows import FLOW_ID, flow_values, insert_flows, mapped
from tests.api.models import stored_at_once
from tests.api.stack import (
    ORIGIN_NS,
    Running,
    S,
    insert_stored_capture,
    running,
    settings_in,
)
from tests.model_variants import stubborn

LIST = "/api/classifications/"
SUMMARY = "/api/classifications/summary"
BRUTE_FORCE = "Web Attack – Brute Force"


def asked(stack: Running, path: str, **query: Any) -> dict[str, Any]:
    answer = stack.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def listed(stack: Running, **query: Any) -> list[int]:
    """Return the numbers of the flows whose verdicts a list shows."""
    return [int(row["flow_id"], 16) - FLOW_ID for row in asked(stack, LIST, **query)["classifications"]]


@pytest.fixture(scope="module")
def stack(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for all: every test has a capture of its own."""
    with running(settings_in(tmp_path_factory.mktemp("state")), module_store) as stack:
        yield stack


@pytest.fixture(scope="module")
def judged(module_store: Store, stack: Running) -> str:
    """A capture that no test changes."""
    return insert_judged_capture(module_store)


def insert_judged_capture(store: Store) -> str:
    """Insert a capture with five judged flows, one of them by a challenger as well, and one that goes on."""
    capture_id = insert_stored_capture(store)
    benign = {"class_name": "BENIGN", "attack_probability": 0.125, "reason_features": [], "reason_values": []}
    benign["reason_contributions"] = []
    insert_verdicts(
        store,
        verdict_values(capture_id, 0),
        verdict_values(capture_id, 1, **benign, protocol=17, dst_port=53, confidence=0.9375),
        verdict_values(capture_id, 2, class_name="DDoS", is_uncertain=True, confidence=0.25, src_ip=mapped(3)),
        verdict_values(capture_id, 2, class_name="Bot", role="challenger", model="ba9876543210", src_ip=mapped(3)),
        verdict_values(capture_id, 3, class_name=BRUTE_FORCE, confidence=0.5, fwd_packets=70),
        verdict_values(capture_id, 4, **benign, confidence=0.625, end_reason="interim", end_ns=ORIGIN_NS + 60 * S),
    )
    return capture_id


@pytest.fixture
def capture_id(module_store: Store, stack: Running) -> str:
    """A capture as ``insert_judged_capture`` makes it, which a test may add to."""
    return insert_judged_capture(module_store)


def test_an_empty_store_lists_no_verdict_and_sums_up_none(stack: Running) -> None:
    body = asked(stack, LIST)
    assert (body["count"], body["total"], body["classifications"], body["capture_id"]) == (0, 0, [], None)
    body = asked(stack, SUMMARY)
    assert (body["flows"], body["classes"], body["mean_confidence"], body["uncertain_share"]) == (0, [], None, 0)


def test_a_capture_without_verdicts_says_so(stack: Running, module_store: Store) -> None:
    insert_stored_capture(module_store)
    assert asked(stack, LIST)["classifications"] == []
    assert asked(stack, SUMMARY)["flows"] == 0


def test_a_verdict_is_one_flat_object_with_its_reasons(stack: Running, judged: str) -> None:
    [verdict] = asked(stack, LIST, capture=judged, order="oldest", limit=1)["classifications"]
    assert (verdict["flow_id"], verdict["capture_id"], verdict["role"]) == (f"{FLOW_ID:016x}", judged, "champion")
    assert (verdict["class_name"], verdict["confidence"], verdict["attack_probability"]) == ("PortScan", 0.75, 0.875)
    assert (verdict["is_attack"], verdict["is_uncertain"], verdict["is_interim"]) == (True, False, False)
    assert (verdict["source_ip"], verdict["destination_port"], verdict["protocol_name"]) == ("10.0.0.1", 443, "tcp")
    assert (verdict["packets"], verdict["start"], verdict["model"]) == (5, ORIGIN_NS / S, MODEL)
    assert verdict["reasons"] == [
        {"feature": "Flow Duration", "value": 0.5, "contribution": 3.0},
        {"feature": "Bwd Packets/s", "value": 8.0, "contribution": 2.0},
        {"feature": "FIN Flag Count", "value": 0.0, "contribution": 0.5},
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"order": "oldest"}, [0, 1, 2, 3, 4]),
        ({"order": "confidence"}, [1, 0, 4, 3, 2]),
        ({"order": "packets", "limit": 1}, [3]),
        ({"order": "attack_probability", "limit": 3}, [3, 2, 0]),
        ({"class": "PortScan"}, [0]),
        ({"class": "web attack - brute force"}, [3]),
        ({"is_attack": True}, [3, 0]),
        ({"is_attack": False}, [4, 2, 1]),
        ({"uncertain": True}, [2]),
        ({"uncertain": False, "class": "DDoS"}, []),
        ({"min_confidence": 0.625}, [4, 1, 0]),
        ({"source_ip": "10.0.0.3"}, [2]),
        ({"destination_ip": "::ffff:10.0.0.2", "limit": 1}, [4]),
        ({"ip": "10.0.0.3"}, [2]),
        ({"port": 53}, [1]),
        ({"source_port": 40_003}, [3]),
        ({"destination_port": 443, "protocol": "tcp"}, [4, 3, 2, 0]),
        ({"from": ORIGIN_NS / S + 10}, [4]),
        ({"to": ORIGIN_NS / S + 1}, [0]),
        ({"role": "challenger"}, [2]),
        ({"model": "ba9876543210"}, []),
        ({"role": "challenger", "model": "ba9876543210", "class": "Bot"}, [2]),
    ],
)
def test_filters_and_orders(stack: Running, judged: str, query: dict[str, Any], expected: list[int]) -> None:
    assert listed(stack, capture=judged, **query) == expected
    assert asked(stack, LIST, capture=judged, **query)["total"] >= len(expected)


@pytest.mark.parametrize("order", ["newest", "oldest", "confidence", "attack_probability", "packets"])
def test_pages_follow_one_another_in_every_order(stack: Running, judged: str, order: str) -> None:
    whole = listed(stack, capture=judged, order=order)
    page = asked(stack, LIST, capture=judged, order=order, limit=2)
    found = page["classifications"]
    while page["next_cursor"]:
        page = asked(stack, LIST, limit=2, cursor=page["next_cursor"])
        found += page["classifications"]
    assert [int(row["flow_id"], 16) - FLOW_ID for row in found] == whole


def test_what_cannot_be_is_refused(stack: Running) -> None:
    wrong = {"class": "Nonsense", "source_ip": "here", "cursor": "n.x.1.", "min_confidence": "1.5", "role": "king"}
    for name, value in {**wrong, "order": "size", "model": "x", "uncertain": "null"}.items():
        assert stack.http.get(LIST, params={name: value}).status_code == 400, name


def test_the_verdict_on_the_newest_record_counts(stack: Running, module_store: Store, capture_id: str) -> None:
    insert_verdicts(module_store, verdict_values(capture_id, 4, class_name="Bot", confidence=0.875))
    [verdict] = asked(stack, LIST, capture=capture_id, limit=1)["classifications"]
    assert (verdict["class_name"], verdict["is_interim"]) == ("Bot", False)
    assert asked(stack, LIST, capture=capture_id)["total"] == 5


def test_the_summary_counts_by_class_and_keeps_doubts_apart(stack: Running, judged: str) -> None:
    body = asked(stack, SUMMARY, capture=judged)
    assert (body["flows"], body["attacks"], body["benign"], body["uncertain"]) == (5, 2, 2, 1)
    assert (body["packets"], body["uncertain_share"], body["models"]) == (92, 0.2, [MODEL])
    assert body["mean_confidence"] == pytest.approx((0.75 + 0.9375 + 0.25 + 0.5 + 0.625) / 5)
    assert body["guesses"] == {"DDoS": 1}
    rows = {row["class_name"]: row for row in body["classes"]}
    assert list(rows) == ["BENIGN", "PortScan", BRUTE_FORCE]
    assert (rows["BENIGN"]["flows"], rows["BENIGN"]["share"], rows["BENIGN"]["is_attack"]) == (2, 0.4, False)
    assert rows["BENIGN"]["least_confidence"] == 0.625
    assert (rows["BENIGN"]["first_seen"], rows["BENIGN"]["last_seen"]) == (ORIGIN_NS / S + 1, ORIGIN_NS / S + 60)
    assert rows["PortScan"]["is_attack"]


def test_the_summary_takes_the_filters_of_the_list(stack: Running, judged: str) -> None:
    assert asked(stack, SUMMARY, capture=judged, ip="10.0.0.3")["guesses"] == {"DDoS": 1}
    body = asked(stack, SUMMARY, capture=judged, role="challenger")
    assert (body["role"], body["models"], body["flows"]) == ("challenger", ["ba9876543210"], 1)


def test_another_capture_is_asked_for_by_its_id(stack: Running, module_store: Store, capture_id: str) -> None:
    insert_stored_capture(module_store)
    assert listed(stack) == []
    assert listed(stack, capture=capture_id) == [4, 3, 2, 1, 0]
    assert stack.http.get(SUMMARY, params={"capture": "nowhere"}).status_code == 404


def test_flows_tell_what_they_are_said_to_be(stack: Running, module_store: Store, capture_id: str) -> None:
    insert_flows(module_store, *(flow_values(capture_id, number) for number in (0, 1, 9)))
    rows = asked(stack, "/api/flows/", capture=capture_id, order="oldest")["flows"]
    said = [row["classification"] and row["classification"]["class_name"] for row in rows]
    assert said == ["PortScan", "BENIGN", None]
    assert rows[0]["classification"]["reasons"][0]["feature"] == "Flow Duration"


def test_a_flow_tells_what_was_said_before_and_by_the_challenger(
    stack: Running, module_store: Store, capture_id: str
) -> None:
    insert_flows(module_store, flow_values(capture_id, 4), flow_values(capture_id, 2))
    insert_verdicts(module_store, verdict_values(capture_id, 4, class_name="Bot", confidence=0.875))
    flow = asked(stack, f"/api/flows/{FLOW_ID + 4:016x}", capture=capture_id)
    assert (flow["classification"]["class_name"], flow["challenger"]) == ("Bot", None)
    [earlier] = flow["earlier_verdicts"]
    assert (earlier["class_name"], earlier["confidence"], earlier["end"]) == ("BENIGN", 0.625, ORIGIN_NS / S + 60)
    flow = asked(stack, f"/api/flows/{FLOW_ID + 2:016x}", capture=capture_id)
    assert (flow["classification"]["is_uncertain"], flow["challenger"]["class_name"]) == (True, "Bot")
    assert flow["earlier_verdicts"] == []


def test_a_verdict_without_reasons_is_explained_when_its_flow_is_read(
    stack: Running, module_store: Store, capture_id: str
) -> None:
    fingerprint = Model.load(SHIPPED_MODEL).facts.fingerprint
    silent: dict[str, Any] = {"reason_features": [], "reason_values": [], "reason_contributions": []}
    insert_flows(module_store, *(flow_values(capture_id, number) for number in (7, 8)))
    insert_verdicts(module_store, verdict_values(capture_id, 7, **silent, model=fingerprint))
    insert_verdicts(module_store, verdict_values(capture_id, 8, **silent))
    flow = asked(stack, f"/api/flows/{FLOW_ID + 7:016x}", capture=capture_id)
    reasons = flow["classification"]["reasons"]
    assert len(reasons) == 3
    for reason in reasons:
        assert reason["value"] == flow["features"][reason["feature"]]
        assert reason["feature"] in FEATURE_NAMES
    # Nobody knows the model that judged the other one.
    other = asked(stack, f"/api/flows/{FLOW_ID + 8:016x}", capture=capture_id)
    assert (other["classification"]["reasons"], other["alone"]) == (None, None)


def test_a_flow_tells_what_it_is_without_its_company(stack: Running, module_store: Store, capture_id: str) -> None:
    shipped = Model.load(SHIPPED_MODEL)
    insert_flows(module_store, flow_values(capture_id, 7))
    insert_verdicts(module_store, verdict_values(capture_id, 7, model=shipped.facts.fingerprint, class_name="Bot"))
    flow = asked(stack, f"/api/flows/{FLOW_ID + 7:016x}", capture=capture_id)
    named = shipped.predict(np.array([[flow["features"][name] for name in FEATURE_NAMES]], np.float32))
    assert flow["classification"]["class_name"] == "Bot"
    assert flow["alone"] == {
        "class_name": CLASS_NAMES[named.classes[0]],
        "confidence": pytest.approx(float(named.confidence[0]), rel=1e-4),
        "attack_probability": pytest.approx(float(1 - named.probabilities[0, 0]), abs=1e-4),
    }


def test_a_verdict_is_explained_by_the_model_that_made_it_when_another_judges_now(
    stack: Running, module_store: Store, capture_id: str
) -> None:
    silent: dict[str, Any] = {"reason_features": [], "reason_values": [], "reason_contributions": []}
    bundle = stubborn("PortScan")
    past = Model.from_bytes(bundle, "past")
    send_bundle(stored_at_once(module_store), row_of(past.facts, "alice", ""), bundle)
    insert_flows(module_store, flow_values(capture_id, 7))
    insert_verdicts(module_store, verdict_values(capture_id, 7, **silent, model=past.facts.fingerprint))
    flow = asked(stack, f"/api/flows/{FLOW_ID + 7:016x}", capture=capture_id)
    features = np.array([[flow["features"][name] for name in FEATURE_NAMES]], np.float32)
    parts = past.contributions(features, np.array([CLASS_NAMES.index("PortScan")], np.int64))[0]
    named = {FEATURE_NAMES[place]: float(parts[place]) for place in np.argsort(-parts)[:3]}
    reasons = {reason["feature"]: reason["contribution"] for reason in flow["classification"]["reasons"]}
    assert reasons == pytest.approx(named, rel=1e-4)


def test_verdicts_are_exported_with_those_of_the_challenger(stack: Running, judged: str) -> None:
    answer = stack.http.get("/api/export/classifications", params={"format": "jsonl", "capture": judged})
    rows = [line for line in answer.text.splitlines() if line]
    assert (answer.status_code, len(rows), answer.headers["x-total-rows"]) == (200, 6, "6")
    columns = {"capture": judged, "columns": "class_name,source_ip"}
    assert stack.http.get("/api/export/classifications", params=columns).status_code == 400
    columns = {"capture": judged, "columns": "flow_id,src_ip,class_name,reason_features"}
    first = stack.http.get("/api/export/classifications", params=columns).text.splitlines()[1]
    assert first.startswith(f'"{FLOW_ID:016x}","10.0.0.1","PortScan","[')


def test_verdicts_are_counted_for_prometheus(stack: Running, judged: str) -> None:
    figures = stack.http.get("/metrics").text
    assert 'spanwatch_verdicts_total{class="BENIGN",uncertain="false"}' in figures
    doubts = next(line for line in figures.splitlines() if 'class="DDoS",uncertain="true"' in line)
    assert float(doubts.split()[-1]) >= 1
    assert 'spanwatch_verdicts_total{class="Heartbleed",uncertain="false"} 0.0' in figures
