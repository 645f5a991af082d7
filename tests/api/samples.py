"""The Analyzer's and RL-IDS's own samples, and how an answer is compared with one."""

from __future__ import annotations

from typing import Any

ANYTHING = "…"
"""Stands in a sample where the document leaves a part out (``{...}``, ``[...]``)."""

SAMPLES: dict[str, str] = {
    "GET / (RL-IDS)": """{
        "service": "RL-based Intrusion Detection System API", "version": "1.2.0", "status": "running",
        "docs": "/docs"
    }""",
    "GET /health (Analyzer)": """{
        "status": "ok", "timestamp": "2026-01-09T17:41:06.493726", "mode": "pcap", "version": "1.0.0"
    }""",
    "GET /health (RL-IDS)": """{
        "status": "healthy", "timestamp": "2025-06-27T10:30:00.123456",
        "details": {
            "model_loaded": true, "model_path": "models/dqn_model_best.pt", "predictions_served": 1234,
            "uptime_seconds": 3600.5, "memory_usage_mb": 256.7
        }
    }""",
    "GET /health (RL-IDS, flat)": """{
        "status": "healthy", "timestamp": "2025-01-27T10:30:00.123456", "model_loaded": true,
        "model_path": "models/dqn_model_best.pt", "api_version": "1.2.0"
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
    "GET /api/anomalies/?type=packet_loss&severity=high&limit=20": """{
        "count": 3, "total": 12, "offset": 0, "limit": 100,
        "filters": {"type": "packet_loss", "severity": "high"},
        "anomalies": [{
            "type": "packet_loss", "severity": "high", "window_start": 1234567890.5, "window_end": 1234567900.5,
            "message": "High packet loss detected: 83.33% (5 retrans / 6 sent)",
            "metric": "packet_loss_percent", "current_value": 83.33,
            "flow_src": "10.0.15.35:51148", "flow_dst": "192.178.223.188:5228", "threshold": 70.0
        }]
    }""",
    "GET /api/anomalies/by-type": """{
        "total": 25,
        "by_type": {"packet_loss": {"count": 12, "by_severity": {"high": 10}}}
    }""",
    "GET /api/anomalies/window/0": '{"window_id": 0, "count": 2, "anomalies": ["…"]}',
    "GET /api/anomalies/top": """{
        "top": [{
            "type": "packet_loss", "severity": "high", "message": "High packet loss detected: 83.33%...",
            "count": 5, "first_seen": 1234567890.5, "last_seen": 1234567950.5
        }]
    }""",
    'POST /api/anomalies/detect {"force": false, "window_start": null, "window_end": null}': """{
        "success": true, "message": "Anomaly detection completed", "anomalies_file": "logs/anomalies.jsonl",
        "anomaly_count": 25, "detection_time": 1.23,
        "summary": {"by_type": {"packet_loss": 12}, "by_severity": {"high": 10}},
        "timestamp": "2026-01-09T17:44:27.456789"
    }""",
    "GET /api/baselines/": """{
        "available": 4,
        "baselines": {
            "bandwidth": {
                "mean": 9500.0, "median": 9200.0, "min": 1000.0, "max": 20000.0, "p95": 15000.0, "p99": 18000.0
            },
            "latency": {"mean": 45.2, "median": 42.5, "min": 5.0, "max": 250.0, "p95": 100.0, "p99": 150.0},
            "protocol": {"…": 0}, "connection": {"…": 0}
        },
        "timestamp": "2026-01-09T17:41:06.493726"
    }""",
    "GET /api/baselines/bandwidth": """{
        "type": "bandwidth",
        "baseline": {
            "mean": 9500.0, "median": 9200.0, "min": 1000.0, "max": 20000.0, "p95": 15000.0, "p99": 18000.0
        },
        "timestamp": "2026-01-09T17:41:06.493726"
    }""",
    "GET /api/baselines/bandwidth?source=nobody": '{"error": "Baseline not found", "type": "bandwidth"}',
    "GET /api/baselines/stats": """{
        "baseline_stats": {
            "bandwidth": {
                "mean_bps": 9500.0, "median_bps": 9200.0, "max_bps": 20000.0, "min_bps": 2000.0, "p95_bps": 15000.0
            },
            "latency": {"mean_rtt": 45.2, "median_rtt": 42.5, "p95_rtt": 100.0, "p99_rtt": 150.0},
            "protocol": {"distribution": {"…": 0}},
            "connection": {"mean_connections": 42.0, "median_connections": 40.0}
        },
        "timestamp": "2026-01-09T17:41:06.493726"
    }""",
    'POST /api/baselines/generate {"force": false, "types": ["bandwidth", "latency", "protocol", "connection"]}': """{
        "success": true, "message": "Baselines generated successfully", "baselines_dir": "app/baselines",
        "generated": {"bandwidth": true, "latency": true, "protocol": true, "connection": true},
        "generation_time": 0.85, "timestamp": "2026-01-09T17:44:28.789012"
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
    "GET /api/baselines/bandwidth?source=nobody": 404,
    'POST /api/metrics/compute {"pcap_file": "invalid/path.pcapng"}': 400,
    'POST /api/control/capture/start {"interface": "eth0", "duration": 300}': 400,
    "POST /api/control/capture/stop": 400,
}

VERBATIM = {"status", "message", "mode", "success", "platform", "running", "pong", "window_id", "docs", "service"}
"""Keys whose sampled value is the value, not an example of one."""


NULLABLE = (".flow_src", ".flow_dst")
"""Keys that are there where they apply; an anomaly that is about no single flow has null."""


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
    if answer is None and place.endswith(NULLABLE):
        return []
    if sample is None:
        return [] if answer is None or isinstance(answer, str) else [f"{place} is neither null nor a string"]
    if isinstance(sample, bool) or not isinstance(sample, int | float):
        return [] if type(answer) is type(sample) else [f"{place} is {answer!r}"]
    # A whole number in a sample may stand for a count, which never is a float.
    allowed = (int,) if isinstance(sample, int) else (int, float)
    return [] if type(answer) in allowed else [f"{place} is {answer!r}"]
