from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from api import telemetry_traffic
from infra.store import Store
from schemas.captures import LedgerRow
from schemas.enums import CaptureState, Hop
from tests.api.feed import anomaly_values, insert_anomalies
from tests.api.stack import (
    Running,
    capture_row,
    insert_captures,
    insert_ledger,
    insert_stored_capture,
    insert_windows,
    running,
    settings_in,
    window_values,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def families(stack: Running) -> dict[str, Metric]:
    return {family.name: family for family in parse(stack.http.get("/metrics").text)}


def values(stack: Running, name: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a name by the values of their labels, in the order of the labels' names."""
    samples = [sample for family in families(stack).values() for sample in family.samples if sample.name == name]
    return {tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in samples}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures that are late are left out; on a busy machine they may be."""
    monkeypatch.setattr(telemetry_traffic, "PATIENCE_S", 60.0)


@pytest.fixture
def busy(stack: Running, store: Store) -> Running:
    """A stack in which everything that is counted has happened."""
    capture_id = insert_stored_capture(store, started_ns=5)
    still = capture_row(
        "r", source="live", name="eth0", state=CaptureState.RUNNING, started_ns=1, packets=10, bytes=1000
    )
    insert_captures(store, still)
    lost = LedgerRow(capture_id=capture_id, hop=Hop.KERNEL, reason="ring_full", packets_in=7, packets_out=0)
    insert_ledger(store, [lost])
    insert_anomalies(store, anomaly_values(capture_id, 1), anomaly_values(capture_id, 0, run_id="again"))
    stack.http.get("/api/metrics/", params={"capture": capture_id})
    stack.http.get("/api/metrics/0")
    stack.http.get("/api/captures/nobody")
    stack.http.get("/wp-login.php")
    stack.http.request("BREW", "/health")
    return stack


def test_the_figures_obey_prometheus_conventions(busy: Running) -> None:
    """What ``promtool check metrics`` looks at: names, base units, suffixes, help, order of buckets."""
    found = families(busy)
    ours = {name for name in found if name.startswith("spanwatch_")}
    assert ours >= {"spanwatch_http_requests", "spanwatch_store_up", "spanwatch_anomalies", "spanwatch_build_info"}
    assert {name for name in found if not name.startswith("spanwatch_")} >= {"process_cpu_seconds"}
    for name in ours:
        family = found[name]
        assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", name), name
        assert family.documentation.endswith("."), name
        assert not re.search(r"(_ms|_us|_ns|_minutes|_hours|_kb|_mb|_bits|_percent|_count|_sum|_total)$", name), name
        for sample in family.samples:
            assert set(sample.labels) <= {
                *("method", "route", "status", "operation", "table", "group", "topic", "source", "state", "type"),
                *("severity", "hop", "direction", "reason", "kind", "capture", "version", "python", "le", "outcome"),
                *("class", "uncertain", "model", "role", "signal", "champion", "challenger"),
            }, sample
        if family.type == "counter":
            assert {s.name for s in family.samples} <= {f"{name}_total", f"{name}_created"}, name
        if family.type == "histogram":
            buckets = [float(s.labels["le"]) for s in family.samples if s.name == f"{name}_bucket"]
            assert all(low < high for low, high in pairwise(buckets[: buckets.index(float("inf")) + 1])), name
            assert name.endswith(("_seconds", "_rows")), name


def test_the_text_is_also_openmetrics_when_asked_for(busy: Running) -> None:
    answer = busy.http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert {family.name for family in parse_openmetrics(answer.text)} >= {"spanwatch_windows"}


def test_every_figure_is_documented_and_nothing_else(busy: Running) -> None:
    shown = {
        f"{name}_total" if family.type == "counter" else name
        for name, family in families(busy).items()
        if name.startswith("spanwatch_")
    }
    documented = set(re.findall(r"^\| `(spanwatch_[a-z_]+)`", PAGE.read_text(), re.MULTILINE))
    only_with_a_broker = {"spanwatch_kafka_lag_messages"}
    assert documented == shown | only_with_a_broker


def test_requests_are_counted_by_the_route_that_answered_and_not_by_what_was_asked(busy: Running) -> None:
    counted = values(busy, "spanwatch_http_requests_total")
    assert counted["GET", "/api/captures/{capture_id}", "404"] == 1
    assert counted["GET", "/api/metrics/", "200"] == 1
    assert counted["GET", "unmatched", "404"] == 1
    assert [(route, status) for method, route, status in counted if method == "other"] == [("/health", "405")]
    assert not any("nobody" in route or "wp-login" in route for _, route, _ in counted)
    took = values(busy, "spanwatch_http_request_duration_seconds_count")
    assert took["GET", "/api/captures/{capture_id}"] == 1


def test_the_traffic_is_what_the_store_has(busy: Running) -> None:
    assert values(busy, "spanwatch_captured_packets_total") == {("pcap",): 87, ("live",): 10}
    assert values(busy, "spanwatch_captured_bytes_total") == {("pcap",): 9900, ("live",): 1000}
    assert values(busy, "spanwatch_captures")["live", "running"] == 1
    assert values(busy, "spanwatch_windows_total") == {(): 2}
    anomalies = values(busy, "spanwatch_anomalies_total")
    assert len(anomalies) == 12
    assert {key: count for key, count in anomalies.items() if count} == {("high", "port_scan"): 1}
    assert values(busy, "spanwatch_lost_packets_total") == {("kernel", "ring_full"): 7}
    assert values(busy, "spanwatch_undecoded_packets_total") == {("truncated_network",): 3}
    assert values(busy, "spanwatch_ledger_packets_total")["out", "store"] == 87


def test_the_last_window_is_the_current_captures_and_one_series(busy: Running) -> None:
    [((capture_id,), rate)] = values(busy, "spanwatch_current_packets_per_second").items()
    assert rate == pytest.approx(8.7)
    assert busy.http.get(f"/api/captures/{capture_id}").status_code == 200


def test_figures_are_asked_for_once_in_a_while(stack: Running, store: Store) -> None:
    insert_windows(store, window_values("c", 0))
    before = values(stack, "spanwatch_windows_total")
    insert_windows(store, window_values("c", 1))
    assert values(stack, "spanwatch_windows_total") == before == {(): 1}


def test_a_broker_that_does_not_answer_is_a_zero_and_no_error(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("lag", "topic_reader"):
        monkeypatch.setattr(f"infra.{module}.REQUEST_TIMEOUT_S", 1.0)
    with running(settings_in(tmp_path, kafka="127.0.0.1:9"), store) as stack:
        _check_without_broker(stack)


def _check_without_broker(stack: Running) -> None:
    assert values(stack, "spanwatch_kafka_up") == {(): 0}
    assert values(stack, "spanwatch_store_up") == {(): 1}
    assert "spanwatch_kafka_lag_messages" not in families(stack)


def test_calls_of_the_store_are_timed(stack: Running, store: Store) -> None:
    before = values(stack, "spanwatch_store_call_duration_seconds_count").get(("insert",), 0)
    insert_windows(store, window_values("c", 0))
    assert values(stack, "spanwatch_store_call_duration_seconds_count")["insert",] == before + 1
    assert values(stack, "spanwatch_store_inserted_rows_total")["windows",] >= 1
