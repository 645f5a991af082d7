from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from api.queries import SETTLES_NS
from infra.store import Store
from schemas.enums import CaptureState
from schemas.honeypots import HoneypotType
from tests.api.classifications import insert_verdicts, verdict_values
from tests.api.event_oracle import features_of
from tests.api.events import Traffic, insert_traffic, mapped
from tests.api.flows import insert_packets, packet_values
from tests.api.stack import (
    ORIGIN_NS,
    Running,
    S,
    capture_row,
    insert_captures,
    insert_windows,
    running,
    settings_in,
    window_values,
)
from tests.api.test_routers_honeypots import insert_lines

ONE, BATCH = "/api/ml/features/{}", "/api/ml/features/batch"

HEARD_NS = [ORIGIN_NS - S, ORIGIN_NS + 100 * S, ORIGIN_NS + 2000 * S]


@pytest.fixture(scope="module")
def traffic(module_store: Store) -> Traffic:
    for number, at_ns in enumerate(HEARD_NS):
        kind = list(HoneypotType)[number]
        insert_lines(module_store, kind, {"log_id": number, "ts_ns": at_ns, "source_ip": mapped(3)})
    insert_traffic(module_store, 100, seed=2, offset=1)  # another capture with the same hosts is none of theirs
    return insert_traffic(module_store)


@pytest.fixture(scope="module")
def served(module_store: Store, traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_in(tmp_path_factory.mktemp("features")), module_store) as running_stack:
        yield running_stack


def batch_of(served: Running, ids: list[int]) -> list[dict[str, Any]]:
    answer = served.http.post(BATCH, json={"event_ids": ids})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_features_equal_those_of_plain_python(served: Running, traffic: Traffic) -> None:
    shuffled = random.Random(3).sample(traffic.known, len(traffic.known))
    found = batch_of(served, [event.event_id for event in shuffled])
    for item, event in zip(found, shuffled, strict=True):
        assert item["event_id"] == event.event_id
        expected = features_of(event, traffic.known, {"10.0.0.3": HEARD_NS})
        assert item["features"] == {
            name: pytest.approx(value, rel=1e-12, abs=1e-12) if isinstance(value, float) else value
            for name, value in expected.items()
        }


def test_alone_in_a_batch_twice_and_in_any_order_they_are_identical(served: Running, traffic: Traffic) -> None:
    ids = [event.event_id for event in traffic.known[::50]]
    together = {item["event_id"]: item for item in batch_of(served, ids)}
    assert batch_of(served, [*ids[::-1], ids[0]]) == [together[event_id] for event_id in [*ids[::-1], ids[0]]]
    assert [served.http.get(ONE.format(event_id)).json() for event_id in ids] == [together[i] for i in ids]


def test_what_comes_later_changes_nothing(served: Running, module_store: Store, traffic: Traffic) -> None:
    event = traffic.known[200]
    before = served.http.get(ONE.format(event.event_id)).json()
    later = max(other.ts_ns for other in traffic.known) + S
    insert_packets(
        module_store,
        *(packet_values(traffic.capture_id, 9000 + n, 1, 2, ts_ns=later + n, src_ip=mapped(1)) for n in range(20)),
        *(packet_values(traffic.capture_id, 9100 + n, 1, 2, ts_ns=later + n, src_ip=mapped(3)) for n in range(20)),
    )
    assert served.http.get(ONE.format(event.event_id)).json() == before


def test_an_unknown_event_is_not_found_alone_and_told_beside_others(served: Running, traffic: Traffic) -> None:
    answer = served.http.get(ONE.format(2**53 - 1))
    assert (answer.status_code, answer.json()["detail"]) == (404, "Event not found")
    known = traffic.known[0].event_id
    results = batch_of(served, [2**53 - 1, known])
    assert results[0] == {"event_id": 2**53 - 1, "error": "Event not found"}
    assert results[1]["event_id"] == known
    assert "features" in results[1]
    nothing = served.http.post(BATCH, json={"event_ids": [2**53 - 1, 2**53 - 2]})
    assert nothing.status_code == 422
    assert [item["error"] for item in nothing.json()["results"]] == ["Event not found"] * 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[1, 2]", 400),
        (b'{"event_ids": []}', 400),
        (b'{"event_ids": "1"}', 400),
        (b'{"event_ids": ["1"]}', 400),
        (b'{"event_ids": [-1]}', 400),
        (b'{"event_ids": [1.5]}', 400),
        (b'{"event_ids": [true]}', 400),
        (b'{"event_ids": [' + b"1," * 1000 + b"1]}", 413),
    ],
)
def test_a_malformed_batch_is_refused(served: Running, body: bytes, status: int) -> None:
    answer = served.http.post(BATCH, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, bool(answer.json()["detail"])) == (status, True)


def test_asking_writes_nothing(served: Running, module_store: Store, traffic: Traffic) -> None:
    def written() -> list[dict[str, object]]:
        return module_store.query(
            "SELECT table, sum(rows) AS rows, max(modification_time) AS changed FROM system.parts "
            "WHERE database = currentDatabase() AND active GROUP BY table ORDER BY table"
        )

    before = written()
    batch_of(served, [event.event_id for event in traffic.known[:100]])
    assert served.http.get(ONE.format(traffic.known[0].event_id)).status_code == 200
    assert [row["rows"] for row in written()] == [row["rows"] for row in before]


def test_an_event_has_features_once_its_flow_must_have_been_judged(stack: Running, store: Store) -> None:
    insert_captures(store, capture_row("running", state=CaptureState.RUNNING, ended_ns=None))
    settled_ns = ORIGIN_NS + 20 * S - SETTLES_NS
    # Ids that no event of the made-up traffic has.
    before, after = (1 << 44), (1 << 44) + 1
    times_ns = {before: settled_ns - 1, after: settled_ns}
    insert_packets(
        store, *(packet_values("running", 5, 1, 2, event_id=one, ts_ns=at_ns) for one, at_ns in times_ns.items())
    )
    insert_verdicts(store, verdict_values("running", last_frame=5))  # its flow has ended
    for number in range(2):
        answer = stack.http.get(ONE.format(before))
        assert (answer.status_code, "not over" in answer.json()["detail"]) == (422, True)
        insert_windows(store, window_values("running", number))
    insert_windows(store, window_values("running", 2))
    assert [stack.http.get(ONE.format(one)).status_code for one in (before, after)] == [200, 422]
    insert_windows(store, window_values("running", 3))
    assert stack.http.get(ONE.format(after)).status_code == 200
