from __future__ import annotations

from tests.agents.observations import CLIENT, SERVER, START_NS, WINDOW_NS, Row, conversation, found, ordinary, signals


def lasting(count: int, usual_p95_s: int = 10, **fields: int) -> list[Row]:
    """Return windows through which one connection lasts from the beginning."""
    rows = ordinary(count)
    for number, row in enumerate(rows):
        last_ns = START_NS + (number + 1) * WINDOW_NS
        row["conversations"] = [conversation(first_ts_ns=START_NS, last_ts_ns=last_ns, **fields)]
        row["age_p95_ns"] = usual_p95_s * 10**9
    return rows


def test_an_old_connection_is_found_at_its_true_age_and_again_at_twice_that() -> None:
    anomalies = found(lasting(70))
    assert signals(anomalies) == [(30, "old_connection", "high"), (61, "old_connection", "high")]
    first = anomalies[0]
    assert (first["current_value"], first["flow_src"], first["flow_dst"]) == (310, f"{CLIENT}:40000", f"{SERVER}:443")
    assert first["incident_id"] == anomalies[1]["incident_id"]
    assert first["incident_start_ns"] == anomalies[1]["incident_start_ns"]


def test_where_connections_get_old_it_takes_longer() -> None:
    anomalies = found(lasting(95, usual_p95_s=500))
    assert signals(anomalies) == [(75, "old_connection", "medium")]


def test_nothing_is_old_without_a_baseline() -> None:
    rows = lasting(60)
    assert found([row | {"age_p95_ns": None} for row in rows]) == []


def test_a_conversation_without_connection_is_none() -> None:
    assert found(lasting(60, protocol=17)) == []
