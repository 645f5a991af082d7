"""The detectors, one noun each; what they find in a window is a list of findings."""

from __future__ import annotations

from agents.detectors.brute_force import brute_force
from agents.detectors.flood import flood
from agents.detectors.high_latency import high_latency
from agents.detectors.long_lived_conn import long_lived_conn
from agents.detectors.packet_loss import packet_loss
from agents.detectors.port_scan import port_scan
from agents.detectors.protocol_anomaly import protocol_anomaly
from agents.detectors.traffic_spike import traffic_spike
from agents.findings import Detector

DETECTORS: tuple[Detector, ...] = (
    traffic_spike,
    flood,
    brute_force,
    port_scan,
    high_latency,
    packet_loss,
    protocol_anomaly,
    long_lived_conn,
)
"""All of them, in the order in which their anomalies are listed."""
