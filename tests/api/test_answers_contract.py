"""The documents' own samples: every documented key is there, with the documented type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.store import Store
from tests.api.stack import Running, insert_stored_capture, running, settings_in, write_as_storage

ANYTHING = "…"
"""Stands in a sample where the document leaves a part out (``{...}``, ``[...]``)."""

SAMPLES: dict[str, str] = {
    "GET / (PhantomNet)": '{"message": "PhantomNet Active Defense System: ONLINE"}',
    "GET / (RL-IDS)": """{
        "service": "RL-based Intrusion Detection System API", "version": "1.2.0", "status": "running",
        "docs": "/docs"
    }""",
    "GET /health (Analyzer)": """{
        "status": "ok", "timestamp": "2026-01-09T17:41:06.493726", "mode": "pcap", "version": "1.0.0"
    }""",
    "GET /health (PhantomNet)": '{"status": "healthy", "database": "connected"}',
    "GET /health (RL-IDS)": """{
        "status": "healthy", "timestamp": "2025-06-27T10:30:00.123456",
        "details": {
            "model_loaded": true, "model_path": null, "predictions_served": 1234, "uptime_seconds": 3600.5,
            "memory_usage_mb": 256.7
        }
    }""",
    "GET /health (RL-IDS, flat)": """{
        "status": "healthy", "timestamp": "2025-01-27T10:30:00.123456", "model_loaded": true,
        "model_path": null, "api_version": "1.2.0"
    }""",
    "GET /api/status": """{
        "api": {"status": "running", "version": "1.0.0", "timestamp": "2026-01-09T17:41:06.493726"},
        "system": {
            "mode": "pcap", "pcap_file": "data/raw/pcapng/test_net_traffic.pcapng", "interface": null,
            "window_size": 10, "metrics_dir": "logs", "baselines_dir": "app/baselines"
        },
        "data": {"metrics": true, "baselines": true, "anomalies": true}
    }""",
    "GET /api/control/status": """{
        "api": {"status": "running", "mode": "pcap", "version": "1.0.0"},
        "system": {
            "python_version": "3.10.12", "platform": "linux", "tshark_available": true,
            "project_structure": {"…": true}
        },
        "data": {
            "metrics": true, "anomalies": true, "baselines": false, "metric_count": 25, "anomaly_count": 25
        },
        "capture": {"running": false, "start_time": null, "interface": null}
    }""",
    "GET /api/control/config": """{
        "mode": "pcap", "pcap_file": "data/raw/pcapng/test_net_traffic.pcapng", "interface": null,
        "window_size": 10,
        "directories": {"metrics": "logs", "baselines": "app/baselines", "anomalies": "logs"}
    }""",
    "GET /api/control/ping": '{"pong": true, "timestamp": "2026-01-09T17:43:23.523582"}',
    "GET /api/control/capture/status": '{"running": false, "message": "No active capture"}',
    "GET /api/control/logs": """{
        "log_file": "logs/app.log", "limit": 100, "total_lines": 1250, "returned_lines": 100,
        "logs": ["2026-01-09 17:40:02 [INFO] API server started"]
    }""",
    "GET /api/metrics/": """{
        "count": 25, "total": 25, "offset": 0, "limit": 50,
        "metrics": [{
            "window_start": 1234567890.5, "window_end": 1234567900.5,
            "bandwidth": {
                "avg_bps": 9568.5, "avg_pps": 87.9, "duration_s": 9.9,
                "top_src_bytes": ["…"], "top_dst_bytes": ["…"]
            },
            "latency": {"mean_rtt": 45.2, "max_rtt": 120.5, "p95_rtt": 90.1},
            "connections": {"total": 42, "protocols": {"…": 0}},
            "protocol": {"…": 0},
            "record_count": 362
        }]
    }""",
    "GET /api/metrics/0": """{
        "window_id": 0, "window_start": 1234567890.5, "window_end": 1234567900.5,
        "bandwidth": {"…": 0}, "latency": {"…": 0}, "connections": {"…": 0}, "protocol": {"…": 0}
    }""",
    "GET /api/metrics/999": '{"error": "Window not found", "window_id": 999, "total_windows": 25}',
    "GET /api/metrics/summary": """{
        "total_windows": 25, "time_span": 250.5,
        "bandwidth": {"mean_bps": 9500.0, "max_bps": 15000.0, "min_bps": 2000.0},
        "latency": {"mean_rtt": 45.2, "max_rtt": 250.0},
        "connections": {"total_across_windows": 1050, "mean_per_window": 42.0}
    }""",
    "POST /api/metrics/compute": """{
        "success": true, "message": "Metrics computed successfully", "metrics_file": "logs/metrics.jsonl",
        "window_count": 25, "window_size": 10, "computation_time": 2.45,
        "timestamp": "2026-01-09T17:44:26.123456"
    }""",
    'POST /api/metrics/compute {"pcap_file": "invalid/path.pcapng"}': """{
        "success": false, "error": "PCAP file not found: invalid/path.pcapng"
    }""",
    'POST /api/control/capture/start {"interface": "eth0", "duration": 300}': """{
        "success": false,
        "error": "Cannot start live capture in pcap mode. Start API with --mode live"
    }""",
    "POST /api/control/capture/stop": '{"success": false, "error": "No capture currently running"}',
    "GET /nowhere": """{
        "error": "Error type", "message": "Detailed error message", "timestamp": "2026-01-09T17:44:30.123456"
    }""",
}

STATUS = {
    "GET /api/metrics/999": 404,
    "GET /nowhere": 404,
    'POST /api/metrics/compute {"pcap_file": "invalid/path.pcapng"}': 400,
    'POST /api/control/capture/start {"interface": "eth0", "duration": 300}': 400,
    "POST /api/control/capture/stop": 400,
}

VERBATIM = {"status", "message", "mode", "success", "platform", "running", "pong", "window_id", "docs", "service"}
"""Keys whose sampled value is the value, not an example of one."""


def lacks(sample: Any, answer: Any, place: str = "") -> list[str]:
    """Return where an answer lacks a documented key or has another type."""
    if isinstance(sample, dict):
        if not isinstance(answer, dict):
            return [f"{place} is no object"]
        keys = [key for key in sample if key != ANYTHING]
        missing = [f"{place}.{key} is missing" for key in keys if key not in answer]
        return missing + [
            fault for key in keys if key in answer for fault in lacks(sample[key], answer[key], f"{place}.{key}")
        ]
    if isinstance(sample, list):
        if not isinstance(answer, list):
            return [f"{place} is no list"]
        return [fault for item in answer if sample != [ANYTHING] for fault in lacks(sample[0], item, f"{place}[]")]
    if sample is None:
        return [] if answer is None or isinstance(answer, str) else [f"{place} is neither null nor a string"]
    if isinstance(sample, bool) or not isinstance(sample, int | float):
        return [] if type(answer) is type(sample) else [f"{place} is {answer!r}"]
    # A whole number in a sample may stand for a count, which never is a float.
    allowed = (int,) if isinstance(sample, int) else (int, float)
    return [] if type(answer) in allowed else [f"{place} is {answer!r}"]


@pytest.fixture
def computed(store: Store, tmp_path: Path) -> Any:
    pcap = tmp_path / "web.pcap"
    pcap.write_bytes(b"x")
    insert_stored_capture(store)
    settings = settings_in(tmp_path, pcap=pcap)
    with running(settings, store, lambda request: write_as_storage(store, request)) as stack:
        yield stack


@pytest.mark.parametrize("request_line", SAMPLES)
def test_an_answer_has_every_documented_key_and_type(computed: Running, request_line: str) -> None:
    line, _, _ = request_line.partition(" (")
    method, path, body = [*line.split(" ", 2), ""][:3]
    client = computed.analyzer if "Analyzer" in request_line else computed.http
    answer = client.request(method, path, content=body)
    sample, got = json.loads(SAMPLES[request_line]), answer.json()
    assert answer.status_code == STATUS.get(request_line, 200)
    assert lacks(sample, got) == []
    if request_line != "GET /nowhere":
        verbatim = VERBATIM & sample.keys()
        assert {key: got[key] for key in verbatim} == {key: sample[key] for key in verbatim}


def test_the_comparison_sees_a_missing_key_and_another_type() -> None:
    sample = {"a": {"b": 1}, "c": [{"d": "x"}], "e": 1.5}
    assert lacks(sample, {"a": {"b": 2}, "c": [], "e": 1}) == []
    assert lacks(sample, {"a": {}, "c": [{"d": 3}], "e": None}) == [".a.b is missing", ".c[].d is 3", ".e is None"]
    assert lacks(sample, {"a": {"b": 1.0}, "c": {}, "e": True}) == [".a.b is 1.0", ".c is no list", ".e is True"]
