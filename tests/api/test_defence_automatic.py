from __future__ import annotations

import time
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from api.defence import Defence
from api.defence_automatic import AutomaticDefence
from infra.settings import Settings
from infra.store import Store
from schemas.classifications import STORED_CLASSIFICATION_SCHEMA
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.flows import mapped
from tests.api.stack import S, blank_of, insert_stored_capture, running, settings_in

_tokens = count()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, defence_auto="dry-run", defence_auto_flows=5, defence_allow="10.0.0.2")


def automatic(settings: Settings, store: Store) -> AutomaticDefence:
    return AutomaticDefence(Defence(settings, store), settings, store)


def insert_verdicts(store: Store, capture_id: str, source: int, flows: int = 5, **changed: Any) -> None:
    """Insert verdicts on flows that ended a second ago."""
    now_ns = time.time_ns()
    blank = {field.name: blank_of(field) for field in STORED_CLASSIFICATION_SCHEMA}
    values = {
        **blank,
        "capture_id": capture_id,
        "role": "champion",
        "model": "0123456789ab",
        "src_ip": mapped(source),
        "dst_ip": mapped(1),
        "protocol": 6,
        "start_ns": now_ns - 2 * S,
        "end_ns": now_ns - S,
        "end_reason": "rst",
        "fwd_packets": 2,
        "class_name": "PortScan",
        "confidence": 0.99,
        "attack_probability": 0.99,
        "is_uncertain": False,
        **changed,
    }
    rows = [{**values, "flow_id": source * 1000 + number} for number in range(flows)]
    table = pa.Table.from_pylist(rows, schema=STORED_CLASSIFICATION_SCHEMA)
    store.insert("classifications", table, f"verdicts:{next(_tokens)}")


def audit(store: Store) -> list[tuple[object, ...]]:
    sql = "SELECT who, action, target, outcome FROM audit WHERE who = 'policy' ORDER BY at_ns"
    return [tuple(row.values()) for row in store.query(sql)]


def test_who_sends_attacks_on_a_live_port_is_blocked_once_with_reason_and_evidence(
    store: Store, settings: Settings
) -> None:
    live = insert_stored_capture(store, source="live")
    insert_verdicts(store, live, 7)
    insert_verdicts(store, live, 8, flows=4)
    insert_verdicts(store, live, 9, confidence=0.9)
    insert_verdicts(store, live, 10, is_uncertain=True)
    insert_verdicts(store, live, 11, class_name="BENIGN")
    insert_verdicts(store, live, 12, role="challenger")
    insert_verdicts(store, live, 13, start_ns=time.time_ns() - 3600 * S, end_ns=time.time_ns() - 3500 * S)
    insert_verdicts(store, live, 2)
    task = automatic(settings, store)
    [order] = task.look()
    assert (str(order.address), order.reason) == ("10.0.0.7", "PortScan: 5 flows within 60 s, confidence 0.99 or more")
    assert order.evidence.startswith(f"/api/flows/?capture={live}&source_ip=10.0.0.7&from=")
    assert task.look() == []
    assert audit(store) == [("policy", "block.add", "10.0.0.7", "done")]
    counted = {sample.labels["outcome"]: sample.value for family in task.collect() for sample in family.samples}
    assert counted == {"blocked": 1, "failed": 0, "protected": 2, "let_go": 0, "budget": 0}


def test_what_an_old_file_shows_is_no_reason_to_block(store: Store, settings: Settings) -> None:
    insert_verdicts(store, insert_stored_capture(store), 7)
    assert automatic(settings, store).look() == []


def test_anomalies_of_one_source_are_a_reason_as_well(store: Store, settings: Settings) -> None:
    live = insert_stored_capture(store, source="live")
    now_ns = time.time_ns()
    times = {"window_start_ns": now_ns - 10 * S, "window_end_ns": now_ns}
    insert_anomalies(store, *(anomaly_values(live, number, source_ip="203.0.113.9", **times) for number in (1, 2)))
    insert_anomalies(store, *(anomaly_values(live, number, source_ip="", **times) for number in (3, 4)))
    insert_anomalies(store, anomaly_values(live, 5, source_ip="203.0.113.10", **times))
    [order] = automatic(settings, store).look()
    assert (str(order.address), order.reason) == (
        "203.0.113.9",
        "port scan: 2 anomalies of severity high within 60 s",
    )


def test_the_budget_outlives_a_restart_and_refused_blocks_use_it_up(store: Store, tmp_path: Path) -> None:
    broken = {"defence_firewall": "nftables", "defence_nft": "no-such-program"}
    settings = settings_in(tmp_path, defence_auto="on", defence_auto_flows=5, defence_auto_per_hour=2, **broken)
    live = insert_stored_capture(store, source="live")
    for source in (7, 8, 9):
        insert_verdicts(store, live, source)
    assert len(automatic(settings, store).look()) == 2
    assert automatic(settings, store).look() == []
    assert [row[3] for row in audit(store)] == ["failed", "failed"]


def test_a_service_that_is_told_to_blocks_by_itself(store: Store, settings: Settings) -> None:
    insert_verdicts(store, insert_stored_capture(store, source="live"), 7)
    with running(settings, store) as stack:
        end_s = time.monotonic() + 60
        while not (blocks := stack.http.get("/active-defense/block").json()["blocks"]):
            assert time.monotonic() < end_s
            time.sleep(0.05)
        assert (blocks[0]["ip"], blocks[0]["blocked_by"], blocks[0]["is_automatic"]) == ("10.0.0.7", "policy", True)
        assert stack.http.get(blocks[0]["evidence"]).status_code == 200
        assert 'spanwatch_automatic_blocks_total{outcome="blocked"} 1.0' in stack.http.get("/metrics").text
