"""A report as the documentation shows it: that of the bundled capture, with one item of each list."""

from __future__ import annotations

from pydantic.config import JsonDict

REPORT_EXAMPLE: JsonDict = {
    "report_schema": 1,
    "version": "0.1.0",
    "made_at": "2026-11-22T14:13:22.472986",
    "file": {
        "name": "samples/mixed.pcap.gz",
        "size_bytes": 1874821,
        "sha256": "26217ee60eab84350ec9ab5de7f12fb6e19aaea8eb2ae8f2758e567e8323043f",
    },
    "capture": {
        "capture_id": "1m81sn5j9m9tm5b",
        "state": "complete",
        "is_complete": True,
        "source": "pcap",
        "name": "samples/mixed.pcap.gz",
        "sensor": "probe-1",
        "window_size": 10,
        "partitions": 2,
        "started_at": "2026-11-22T14:13:12.431255",
        "ended_at": "2026-11-22T14:13:15.877495",
        "first_packet": 1795322852.2310379,
        "last_packet": 1795323153.1664436,
        "packets": 46373,
        "bytes": 20005035,
        "file_bytes": 1874821,
        "is_truncated": False,
        "error": "",
    },
    "models": [{"fingerprint": "afa8d0b6c59f", "version": "1.2.0"}],
    "settings": [
        {"name": "SPANWATCH_WINDOW_S", "value": "10", "default": "10", "meaning": "Size of a window, seconds."}
    ],
    "worst": "high",
    "findings": [
        {
            "concern": "high",
            "kind": "incident",
            "name": "traffic_spike",
            "count": 4,
            "sentence": "4 incidents of type traffic spike, severity high",
        }
    ],
    "summary": {
        "total_windows": 31,
        "time_span": 310.0,
        "bandwidth": {
            "mean_bps": 70457.74661504161,
            "max_bps": 209317.74559630256,
            "min_bps": 11651.896978426297,
            "total_bytes": 20005035,
            "overall_bps": 64532.37096774193,
        },
        "latency": {
            "mean_rtt": 7.180804740758499,
            "max_rtt": 1058.787349,
            "overall_mean_rtt": 4.946699717277222,
            "count": 19818,
        },
        "connections": {"total_across_windows": 5356, "mean_per_window": 172.7741935483871},
        "packets": 46373,
        "capture_id": "1m81sn5j9m9tm5b",
    },
    "timeline": [
        {
            "number": 0,
            "start": 1795322852.2310379,
            "end": 1795322862.2310379,
            "windows": 1,
            "packets": 461,
            "bytes": 196581,
            "bits_per_s": 157264.8,
            "protocols": {"https": 115443, "http": 43539},
            "connections": 32,
            "failed": 0,
            "half_open": 0,
            "data_segments": 221,
            "retransmissions": 2,
            "rtt_count": 190,
            "mean_rtt": 6.508083415789474,
            "p95_rtt": 40.393106,
            "max_rtt": 272.733207,
            "lost_upstream": 0,
            "sampling_rate": 1.0,
        }
    ],
    "protocols": [{"name": "http", "packets": 26760, "bytes": 7514383, "byte_share": 0.375624586510346}],
    "talkers": [{"ip": "10.77.0.11", "sent_bytes": 3833297, "received_bytes": 7173372}],
    "round_trips": {
        "total": 19818,
        "counted": 10128,
        "bins": [{"from_ms": 0.005623413251903491, "to_ms": 0.01, "count": 89}],
    },
    "incidents_total": 11,
    "incidents": [
        {
            "incident_id": "0980d9a0b92e6505",
            "capture_id": "1m81sn5j9m9tm5b",
            "type": "traffic_spike",
            "signal": "connection_flood",
            "subject": "10.77.0.66 > 10.77.0.10:80",
            "severity": "high",
            "message": "Flood detected: 10.77.0.66 opened 338 connections to 10.77.0.10:80",
            "metric": "connections_begun",
            "peak_value": 341.0,
            "threshold": 300.0,
            "source_ip": "10.77.0.66",
            "destination_ip": "10.77.0.10",
            "protocol": "http",
            "count": 2,
            "windows": 2,
            "first_seen": 1795322982.2310379,
            "last_seen": 1795323032.2310379,
            "ended": 1795323042.2310379,
            "last_anomaly_id": "10a89bb13bfd3e1e",
            "explanation": {
                "signal": "connection_flood",
                "value": 338.0,
                "unit": "connections begun",
                "threshold": 300.0,
                "rule": "> 120 connections of one source to one service within a minute (high: x 2.5)",
                "baseline": None,
                "contributions": [],
                "context": {"sources": 1},
            },
        }
    ],
    "lanes": [
        {"kind": "anomaly", "name": "packet_loss", "count": 2, "cells": [{"point": 8, "count": 1, "concern": "medium"}]}
    ],
    "verdicts": {
        "capture_id": "1m81sn5j9m9tm5b",
        "role": "champion",
        "models": ["afa8d0b6c59f"],
        "flows": 5217,
        "packets": 46215,
        "attacks": 4385,
        "benign": 767,
        "uncertain": 65,
        "uncertain_share": 0.012459267778416714,
        "mean_confidence": 0.7818424592295529,
        "classes": [
            {
                "class_name": "DDoS",
                "is_attack": True,
                "flows": 3240,
                "packets": 11400,
                "share": 0.621046578493387,
                "mean_confidence": 0.6821300828714429,
                "least_confidence": 0.5032158493995667,
                "sources": 6,
                "destinations": 1,
                "first_seen": 1795322942.1964476,
                "last_seen": 1795323082.3015366,
            }
        ],
        "guesses": {"BENIGN": 42, "Web Attack – XSS": 21, "DDoS": 2},
    },
    "ledger": {
        "capture_id": "1m81sn5j9m9tm5b",
        "is_complete": True,
        "is_balanced": True,
        "difference": 0,
        "undecodable": {},
        "hops": [
            {"hop": "read", "packets_in": 46373, "packets_out": 46373, "upstream": None, "difference": 0, "lost": {}}
        ],
    },
}
