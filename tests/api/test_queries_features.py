"""What events look back on, of one event and of many: the same as plain Python says, at every edge of the times."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.event_features import Features
from api.queries_features import look_backs
from infra.store import Store
from schemas.enums import AnomalyType, CaptureState, Severity
from schemas.verdicts import ANOMALY_SCORES, verdict_of
from tests.api.classifications import insert_verdicts
from tests.api.event_oracle import Known, features_of
from tests.api.events import mapped, records_of, text_of
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.flows import insert_packets, packet_values
from tests.api.stack import (
    ORIGIN_NS,
    S,
    capture_row,
    insert_captures,
    insert_stored_capture,
    insert_windows,
    window_values,
)

GAPS_NS = (0, 0, 1, S, 10 * S, 10 * S + 1, 60 * S, 60 * S, 60 * S + 1, 240 * S, 300 * S, 300 * S + 1)

seeds = count(1)

Row = dict[str, Any]

Step = tuple[int, int, int]
"""Pause before a packet, its source and its destination; a host may speak with itself."""

steps = st.lists(
    st.tuples(st.sampled_from(GAPS_NS), st.sampled_from((1, 1, 1, 2, 3)), st.sampled_from((1, 2, 3, 4))),
    min_size=1,
    max_size=40,
)


def stored(store: Store, made: list[Step], rng: random.Random) -> list[Known]:
    """Store a capture of packets with verdicts and anomalies; return its events and what is true of them."""
    capture_id = insert_stored_capture(store)
    offset, clock, packets = next(seeds), ORIGIN_NS, []
    for frame, (gap_ns, source, destination) in enumerate(made, 1):
        clock += gap_ns
        values = {"src_ip": mapped(source), "dst_ip": mapped(destination), "protocol": rng.choice([6, 17])}
        ports = {"src_port": rng.choice([80, 50_000]), "dst_port": rng.choice([80, 50_000])}
        fragment = {"fragment": 1} | dict.fromkeys(ports, 0) if rng.random() < 0.1 else {}
        moment = {"ts_ns": clock, "event_id": (offset << 18) + rng.randrange(100) * 1000 + frame}
        packets.append(
            packet_values(capture_id, frame, 1, 2, **{**values, **ports, **fragment, **moment}, length_bytes=60 + frame)
        )
    records, _ = records_of(packets, rng)
    kept = [record for record in records if rng.random() < 0.9]
    anomalies = [
        anomaly_values(
            capture_id, rng.choice(kept)["window_id"], anomaly_id=f"{number:016x}", type=rng.choice(list(AnomalyType)),
            severity=rng.choice(list(Severity)), source_ip=f"10.0.0.{rng.randrange(1, 5)}",
            **({"flow_src": "10.0.0.1:80", "flow_dst": "10.0.0.2:50000"} if number % 2 else {}),
        )
        for number in range(4 if kept else 0)
    ]  # fmt: skip
    insert_packets(store, *packets)
    if kept:
        insert_verdicts(store, *kept)
        insert_anomalies(store, *anomalies)
    return [known_of(packet, kept, anomalies) for packet in packets]


def known_of(packet: Row, records: list[Row], anomalies: list[Row]) -> Known:
    """Return an event with the verdict that plain Python finds for it."""
    own = [record for record in records if counts(record, packet)]
    assert len(own) <= 1
    score, attack_class = 0.0, "BENIGN"
    for record in own:
        raised = [
            (ANOMALY_SCORES.get((one["type"], one["severity"]), 0.0), str(one["type"]))
            for one in anomalies
            if one["window_id"] == record["window_id"] and names(one, record)
        ]
        verdict = verdict_of(record["attack_probability"], record["class_name"], raised)
        score, attack_class = verdict.score, verdict.attack_class
    return Known(
        event_id=packet["event_id"],
        ts_ns=packet["ts_ns"],
        src_ip=text_of(packet["src_ip"]),
        dst_ip=text_of(packet["dst_ip"]),
        dst_port=None if packet["fragment"] else packet["dst_port"],
        protocol=packet["protocol"],
        length=packet["length_bytes"],
        score=score,
        attack_class=attack_class,
    )


def ends(row: Row) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
    return (row["src_ip"], row["src_port"]), (row["dst_ip"], row["dst_port"])


def counts(record: Row, packet: Row) -> bool:
    frames = range(record["since_frame"], record["last_frame"] + 1)
    is_of_flow = sorted(ends(record)) == sorted(ends(packet))
    return bool(is_of_flow and record["protocol"] == packet["protocol"] and packet["frame"] in frames)


def names(anomaly: Row, record: Row) -> bool:
    of_record = {f"{text_of(address)}:{port}" for address, port in ends(record)}
    if anomaly["flow_src"]:
        return of_record == {anomaly["flow_src"], anomaly["flow_dst"]}
    return bool(anomaly["source_ip"] == text_of(record["src_ip"]))


def expected_of(event: Known, known: list[Known]) -> Row:
    return {
        name: pytest.approx(value, rel=1e-12, abs=1e-12) if isinstance(value, float) else value
        for name, value in features_of(event, known, {}).items()
    }


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(made=steps, seed=st.integers(0, 2**16))
def test_one_event_and_many_look_back_on_what_plain_python_says(
    session_store: Store, made: list[Step], seed: int
) -> None:
    rng = random.Random(seed)
    known = stored(session_store, made, rng)
    together = look_backs(session_store, [event.event_id for event in rng.sample(known, len(known))])
    assert together.keys() == {event.event_id for event in known}
    for event in known:
        assert Features.of(together[event.event_id]).model_dump() == expected_of(event, known)
    for event in rng.sample(known, min(6, len(known))):
        assert look_backs(session_store, [event.event_id]) == {event.event_id: together[event.event_id]}


def test_captures_and_their_hosts_are_told_apart(session_store: Store) -> None:
    rng = random.Random(11)
    several = [stored(session_store, [(S, 1 + n % 3, 4) for n in range(30)], rng) for _ in range(3)]
    found = look_backs(session_store, [event.event_id for known in several for event in known])
    for known in several:
        for event in known:
            assert Features.of(found[event.event_id]).model_dump() == expected_of(event, known)


def test_an_event_that_the_store_does_not_have_is_left_out(session_store: Store) -> None:
    [event] = stored(session_store, [(0, 1, 2)], random.Random(1))
    missing = replace(event, event_id=2**52 + 1).event_id
    assert look_backs(session_store, [missing, event.event_id]).keys() == {event.event_id}
    assert look_backs(session_store, [missing]) == {}
    assert look_backs(session_store, []) == {}


def test_events_of_a_batch_that_was_another_captures_are_settled_by_their_own_windows(store: Store) -> None:
    before = insert_stored_capture(store)
    insert_packets(store, packet_values(before, 5, 1, 2))
    assert look_backs(store, [5])[5].is_settled
    store.delete_captures([before])
    insert_captures(store, capture_row("running", state=CaptureState.RUNNING, ended_ns=None))
    insert_packets(store, packet_values("running", 5, 1, 2))
    insert_windows(store, *(window_values("running", number) for number in range(3)))
    for _ in range(2):  # first taken for the other capture's, then for what it was last time
        assert look_backs(store, [5])[5].is_settled
