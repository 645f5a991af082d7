"""What the queries of events and of features read: what the keys allow of it, and no more."""

from __future__ import annotations

import re
from typing import Any

import pytest

from api import queries_features
from api.event_filters import EventFilter
from api.event_pages import events
from infra.store import Store
from schemas.enums import Threat
from tests.api.events import Traffic, insert_traffic
from tests.api.listening import Listening, plans_of


@pytest.fixture(scope="module")
def traffic(module_store: Store) -> Traffic:
    return insert_traffic(module_store, 100)


@pytest.mark.parametrize("threat", [None, *Threat])
def test_a_page_is_read_in_the_order_of_the_key_and_its_records_by_key_and_ends(
    module_store: Store, traffic: Traffic, threat: Threat | None
) -> None:
    listening: Any = Listening(module_store)
    assert events(listening, EventFilter(threat=threat, given={"capture_id": traffic.capture_id}), 5)
    pages, records = plans_of(listening, "packet_logs"), plans_of(listening, "packet_verdicts")
    assert pages
    assert records
    for plan in pages:
        assert "InReverseOrder" in plan
        assert {"capture_id", "ts_ns"} <= key_of(plan)
    for plan in records:
        assert {"capture_id", "end_ns"} <= key_of(plan)
    if threat is None:
        assert all("by_src_ip" in plan for plan in records)


@pytest.mark.parametrize("threat", [None, *Threat])
def test_what_is_wanted_is_asked_of_packets_before_anything_else(
    module_store: Store, traffic: Traffic, threat: Threat | None
) -> None:
    listening: Any = Listening(module_store)
    given = {"capture_id": traffic.capture_id, "source_ip": "10.0.0.1", "port": 80, "protocols": [6]}
    events(listening, EventFilter(threat=threat, given=given), 5)
    pages = plans_of(listening, "packet_logs")
    assert pages
    for plan in pages:
        asked = next(line for line in plan.splitlines() if "Prewhere filter column" in line)
        assert {"protocol", "dst_port", "src_ip"} <= set(re.findall(r"\w+", asked))
        assert not {"ts_ns", "capture_id"} & set(re.findall(r"\w+", asked))


def key_of(plan: str) -> set[str]:
    """Return the columns of the primary key that a plan narrows the table down by."""
    lines = plan[plan.index("PrimaryKey") :].partition("Keys:")[2].partition("Condition")[0]
    return set(lines.split())


@pytest.mark.parametrize("events_asked", [1, 3])
def test_features_are_read_by_key_and_events_by_the_index_of_their_batches(
    module_store: Store, traffic: Traffic, events_asked: int
) -> None:
    listening: Any = Listening(module_store)
    asked_ids = [event.event_id for event in traffic.known[50 : 50 + events_asked]]
    assert len(queries_features.look_backs(listening, asked_ids)) == events_asked
    asked, everything = plans_of(listening, "packet_logs")
    assert "Name: batch" in asked
    assert "by_src_ip" in everything
    assert {"capture_id", "ts_ns"} <= key_of(everything)
    records = plans_of(listening, "packet_verdicts")[-1]
    assert "by_src_ip" in records
    assert {"capture_id", "end_ns"} <= key_of(records.rpartition("packet_verdicts")[2])
