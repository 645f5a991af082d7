from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Collection
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.judge import HOST_REPORT_WINDOWS, REPORT_WINDOWS, Judge, Judged
from agents.state_bytes import FORMAT_VERSION
from schemas.analysis import Explanation
from schemas.anomalies import ANOMALY_SCHEMA
from schemas.baselines import BASELINE_SCHEMA
from schemas.enums import BaselineKind
from schemas.thresholds import Thresholds
from tests.agents.observations import (
    ATTACKER,
    HOUR,
    SERVER,
    contact,
    conversation,
    empty_window,
    found,
    host,
    ordinary,
    scan,
    service_client,
    signals,
    table,
    window,
)

QUICK = Thresholds(baseline_min_windows=5, baseline_block_s=200, baseline_accept_s=300)


def eventful(count: int = 90) -> list[dict[str, Any]]:
    """Return windows with everything that makes state: scans, floods, loss, spikes, silence, old connections."""
    rows = ordinary(count)
    for number in range(count):
        more: dict[str, Any] = {}
        if number % 4 == 1:
            more |= scan([contact(ATTACKER, SERVER, 100 * number + port) for port in range(15)])
        if number % 11 == 5:
            more["service_clients"] = [service_client(ATTACKER, 22, 5, name="ssh"), service_client(ATTACKER, 80, 100)]
        if number % 13 == 6:
            more |= {"tcp_retransmissions": 20, "bytes": 3_000_000, "host_traffic": [host(SERVER, 2_900_000, 100_000)]}
        if number > 40:
            age = number * 10**10
            more["conversations"] = [conversation(first_ts_ns=0, last_ts_ns=age, retransmissions_forward=number)]
        if number % 17 == 7:
            more["protocol_packets"] = [("quic", 200)]
        if number % 19 > 16:
            rows[number] = empty_window(number)
        rows[number] |= more
    return rows


def judged(parts: list[list[dict[str, Any]]], restore_at: Collection[int] = ()) -> Judged:
    judge = Judge("c", QUICK)
    results = []
    for number, part in enumerate(parts):
        if number in restore_at:
            judge = Judge.restore(judge.snapshot())
        results.append(judge.judge(table(part), is_live=False))
    results.append(judge.end("c"))
    return Judged(*(pa.concat_tables(tables) for tables in zip(*map(_tables, results), strict=True)))


def _tables(one: Judged) -> tuple[pa.Table, pa.Table, pa.Table]:
    return one.anomalies, one.baselines, one.corrections


ROWS = eventful()
WHOLE = judged([ROWS])


def test_the_example_has_every_kind_of_event() -> None:
    kinds = set(WHOLE.anomalies["signal"].to_pylist())
    assert kinds >= {"vertical_scan", "brute_force", "network_loss", "byte_spike", "host_spike", "old_connection"}
    assert WHOLE.anomalies.schema == ANOMALY_SCHEMA
    assert WHOLE.baselines.schema == BASELINE_SCHEMA


@settings(max_examples=25)
@given(st.lists(st.integers(0, len(ROWS)), max_size=6), st.sets(st.integers(0, 7)))
def test_neither_the_cuts_nor_a_restart_change_the_result(cuts: list[int], restore_at: set[int]) -> None:
    edges = [0, *sorted(cuts), len(ROWS)]
    parts = [ROWS[begin:end] for begin, end in pairwise(edges)]
    result = judged(parts, restore_at)
    assert result.anomalies.equals(WHOLE.anomalies)
    assert result.baselines.equals(WHOLE.baselines)


def test_a_restored_judge_has_the_same_state() -> None:
    judge = Judge("c", QUICK)
    judge.judge(table(ROWS), is_live=False)
    snapshot = judge.snapshot()
    assert Judge.restore(snapshot).snapshot() == snapshot


def test_a_corrected_window_replaces_its_anomalies_and_is_learnt_once() -> None:
    judge = Judge("c", QUICK)
    rows = ordinary(20)
    rows[15] = window(15, tcp_retransmissions=10)
    first = judge.judge(table(rows), is_live=False).anomalies.to_pylist()
    state = judge.baselines.state()
    corrected = window(15, version=230, tcp_retransmissions=20)
    (again,) = judge.judge(table([corrected]), is_live=False).anomalies.to_pylist()
    (before,) = [one for one in first if one["window_id"] == 15]
    assert again["anomaly_id"] == before["anomaly_id"]
    assert (before["version"], again["version"], again["severity"]) == (200, 230, "high")
    assert (again["incident_id"], again["incident_count"]) == (before["incident_id"], before["incident_count"])
    assert judge.baselines.state() == state


def scanning(number: int, ports: range, **more: int) -> dict[str, Any]:
    return window(number, **scan([contact(ATTACKER, SERVER, port) for port in ports]), **more)


def test_a_correction_that_finds_nothing_any_more_takes_the_anomaly_back() -> None:
    judge = Judge("c", QUICK)
    first = judge.judge(table([window(0), scanning(1, range(30)), window(2)]), is_live=False)
    assert (first.anomalies["signal"].to_pylist(), first.corrections.num_rows) == (["vertical_scan"], 0)
    again = judge.judge(table([window(1, version=230)]), is_live=False)
    assert again.anomalies.num_rows == 0
    (row,) = again.corrections.to_pylist()
    assert (row["capture_id"], row["window_id"], row["version"]) == ("c", 1, 230)
    assert {"vertical_scan", "flow_loss"} <= set(row["signals"])
    assert not {"byte_spike", "old_connection", "silence", "slow_round_trips"} & set(row["signals"])


def test_what_was_answered_late_counts_for_no_later_scan() -> None:
    judge = Judge("c", QUICK)
    judge.judge(table([scanning(0, range(15)), window(1)]), is_live=False)
    judge.judge(table([scanning(0, range(5), version=230)]), is_live=False)
    assert judge.judge(table([scanning(2, range(20, 35))]), is_live=False).anomalies.num_rows == 0
    assert judge.judge(table([scanning(3, range(40, 42))]), is_live=False).anomalies.num_rows == 1


@pytest.mark.parametrize(("behind", "takes_back"), [(6, True), (7, False)])
def test_a_window_too_far_back_to_be_judged_in_full_keeps_its_anomalies(behind: int, takes_back: bool) -> None:
    judge = Judge("c", QUICK)
    judge.judge(table([window(number) for number in range(20)]), is_live=False)
    corrected = judge.judge(table([window(19 - behind, version=230)]), is_live=False)
    assert bool(corrected.corrections.num_rows) is takes_back


@pytest.mark.parametrize("behind", range(7))
def test_a_correction_within_a_minute_remembers_the_minute_before(behind: int) -> None:
    judge = Judge("c", QUICK)
    rows = [scanning(number, range(5 * number, 5 * number + 5)) for number in range(6)]
    rows += [window(6 + number) for number in range(behind)]
    first = judge.judge(table(rows), is_live=False).anomalies.to_pylist()
    again = judge.judge(table([rows[5] | {"version": 230}]), is_live=False).anomalies.to_pylist()
    assert [one["current_value"] for one in first if one["window_id"] == 5] == [30]
    assert [(one["window_id"], one["current_value"]) for one in again] == [(5, 30)]


def test_a_correction_can_complete_a_scan() -> None:
    judge = Judge("c", QUICK)
    rows = ordinary(3)
    rows[1] |= scan([contact(ATTACKER, SERVER, port) for port in range(15)])
    assert not judge.judge(table(rows), is_live=False).anomalies.num_rows
    corrected = rows[1] | scan([contact(ATTACKER, SERVER, port) for port in range(25)]) | {"version": 210}
    assert judge.judge(table([corrected]), is_live=False).anomalies["signal"].to_pylist() == ["vertical_scan"]


def test_anomalies_near_each_other_are_one_incident() -> None:
    lossy = {"tcp_retransmissions": 10}
    rows = [window(number, **(lossy if number in (2, 3, 9, 20) else {})) for number in range(25)]
    anomalies = found(rows)
    names = [one["incident_id"] for one in anomalies]
    assert [one["incident_count"] for one in anomalies] == [1, 2, 3, 1]
    assert names[0] == names[1] == names[2] != names[3]
    assert anomalies[2]["incident_start_ns"] == rows[2]["window_start_ns"]


def test_a_storm_folds_into_a_few_anomalies() -> None:
    targets = [contact(f"10.0.9.{source}", SERVER, port) for source in range(1, 11) for port in range(20 + source)]
    anomalies = found([window(0, **scan(targets))])
    assert [one["folded"] for one in anomalies] == [7, 0, 0]
    assert [one["source_ip"] for one in anomalies] == ["10.0.9.10", "10.0.9.9", "10.0.9.8"]
    assert anomalies[0]["incident_count"] == 8


def test_the_explanation_has_the_rule_the_baseline_and_the_contributions() -> None:
    rows = [*ordinary(40), window(40, bytes=5_000_000, host_traffic=[host(SERVER, 4_900_000, 100_000)])]
    spike = next(one for one in found(rows) if one["signal"] == "byte_spike")
    explanation = Explanation.model_validate_json(spike["explanation"])
    assert explanation.baseline is not None
    assert explanation.baseline["mean"] == spike["baseline_mean"]
    assert explanation.threshold == spike["threshold"] < explanation.value == spike["current_value"]
    assert "standard deviations" in explanation.rule
    assert explanation.contributions[0].name == SERVER


def test_names_differ_by_run_and_are_the_same_each_time() -> None:
    row = window(0, tcp_retransmissions=50)
    names = {
        run: Judge("c", run_id=run).judge(table([row]), is_live=False).anomalies["anomaly_id"].to_pylist()
        for run in ("", "r1")
    }
    assert names[""] != names["r1"]
    assert all(len(name) == 16 for ids in names.values() for name in ids)


def test_the_first_window_of_a_port_is_not_learnt() -> None:
    for is_live, learnt in ((True, 4), (False, 5)):
        judge = Judge("sensor/eth0", QUICK)
        judge.judge(table(ordinary(5)), is_live=is_live)
        assert judge.baselines.windows_of(BaselineKind.BANDWIDTH) == learnt


def test_a_port_keeps_its_baseline_from_capture_to_capture() -> None:
    judge = Judge("sensor/eth0", QUICK)
    judge.judge(table(ordinary(30)), is_live=True)
    judge.end("c")
    later = [row | {"capture_id": "d", "window_id": number} for number, row in enumerate(ordinary(3, first=100))]
    later[2] |= {"bytes": 5_000_000}
    (spike,) = judge.judge(table(later), is_live=True).anomalies.to_pylist()
    assert (spike["capture_id"], spike["window_id"], spike["signal"]) == ("d", 2, "byte_spike")


def test_another_window_size_starts_over(caplog: pytest.LogCaptureFixture) -> None:
    judge = Judge("sensor/eth0", QUICK)
    judge.judge(table(ordinary(30)), is_live=False)
    last = window(400)
    judge.judge(table([last | {"window_end_ns": last["window_start_ns"] + 10**9}]), is_live=False)
    assert judge.baselines.windows_of(BaselineKind.BANDWIDTH) == 1
    assert "learning starts over" in caplog.text


def test_baselines_are_reported_now_and_then_and_at_the_end() -> None:
    judge = Judge("c", QUICK)
    rows = judge.judge(table(ordinary(HOST_REPORT_WINDOWS + 1)), is_live=False).baselines.to_pylist()
    network = [row for row in rows if not row["subject"]]
    assert sorted({row["window_id"] for row in network}) == list(
        range(REPORT_WINDOWS - 1, HOST_REPORT_WINDOWS, REPORT_WINDOWS)
    )
    assert {row["kind"] for row in network} == {kind.value for kind in BaselineKind}
    assert [row["subject"] for row in rows if row["subject"]] == [SERVER]
    versions = [row["version"] for row in network if row["kind"] == "latency"]
    last = judge.end("c").baselines.to_pylist()
    assert versions == sorted(set(versions))
    assert {row["window_id"] for row in last} == {HOST_REPORT_WINDOWS}
    assert min(row["version"] for row in last) > versions[-1]
    protocol = next(row for row in last if row["kind"] == "protocol")
    assert dict(protocol["distribution"]) == pytest.approx({"dns": 0.1, "http": 0.9})
    connection = next(row for row in last if row["kind"] == "connection")
    assert dict(connection["extra"])["age_p95_s"] == pytest.approx(10, rel=0.01)


def test_kinds_with_too_few_windows_are_not_generated_and_say_why() -> None:
    judge = Judge("c", QUICK)
    rows = [row | {"rtt_count": 0} for row in ordinary(20)]
    judge.judge(table(rows), is_live=False)
    generated = judge.generated()
    assert generated.generated == {kind: kind is not BaselineKind.LATENCY for kind in BaselineKind}
    assert set(generated.reasons) == {BaselineKind.LATENCY}


def test_generated_baselines_replace_those_of_a_kind() -> None:
    learner, judge = Judge("c", QUICK, run_id="r", origin="generated"), Judge("c", QUICK)
    judge.judge(table(ordinary(20)), is_live=False)
    learner.judge(table([row | {"bytes": 10 * row["bytes"]} for row in ordinary(20)]), is_live=False)
    rows = judge.adopt(learner, [BaselineKind.BANDWIDTH]).to_pylist()
    assert {(row["kind"], row["origin"]) for row in rows} == {("bandwidth", "generated")}
    assert next(row for row in rows if not row["subject"])["mean"] == pytest.approx(100_000, rel=0.1)
    assert judge.end("c").baselines.to_pylist()[0]["origin"] == "learnt"


def _with_header(version: int = FORMAT_VERSION, river: bytes = b"0.0.1") -> bytes:
    body = b"{}"
    packed = bytes(pa.compress(body, codec="zstd", asbytes=True))
    return struct.pack("<4sH16sIQ", b"swan", version, river, zlib.crc32(body), len(body)) + packed


def _flipped(snapshot: bytes) -> bytes:
    return snapshot[:-20] + bytes(octet ^ 0xFF for octet in snapshot[-20:])


@pytest.mark.parametrize(
    "snapshot",
    [
        b"",
        b"nonsense",
        b"swan" + bytes(60),
        _with_header(version=FORMAT_VERSION + 1),
        _with_header(river=b"0.0.1"),
        _flipped(Judge("c").snapshot()),
        Judge("c").snapshot()[:-5],
    ],
    ids=["empty", "short", "zeros", "newer format", "other river", "damaged", "cut"],
)
def test_a_snapshot_that_cannot_be_read_means_learning_anew(snapshot: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        judge = Judge.restore(snapshot, "sensor/eth0", QUICK)
    assert "learning starts over" in caplog.text
    assert judge.judge(table(ordinary(3)), is_live=True).anomalies.num_rows == 0
    assert (judge.source, judge.thresholds) == ("sensor/eth0", QUICK)


def test_a_thousand_hosts_take_a_few_megabytes() -> None:
    judge = Judge("sensor/eth0")
    for number in range(32):
        for block in range(16):
            hosts = [host(f"10.{block}.0.{n}", 1000 * (n + number * 37 % 100 + 1), 10 * number) for n in range(64)]
            judge.judge(table([window(number * 16 + block, host_traffic=hosts)]), is_live=False)
    assert len(judge.baselines.hosts) == 1000
    assert len(judge.snapshot()) < 4_000_000


def test_an_hour_of_ordinary_windows_after_an_hour_of_learning_has_no_anomaly() -> None:
    anomalies = found(ordinary(2 * HOUR))
    assert [one for one in signals(anomalies) if one[0] >= HOUR] == []
