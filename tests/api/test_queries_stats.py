from __future__ import annotations

from typing import Any

from api.queries_stats import threats
from infra.store import Store
from tests.api.events import insert_traffic
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.listening import Listening, plans_of


def test_records_that_anomalies_raise_are_found_by_their_windows(module_store: Store) -> None:
    traffic = insert_traffic(module_store, 100)
    insert_anomalies(module_store, anomaly_values(traffic.capture_id))
    listening: Any = Listening(module_store)
    assert threats(listening, traffic.capture_id)
    (plan,) = plans_of(listening, "packet_verdicts")
    assert "Name: by_window" in plan
