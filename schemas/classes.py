"""The classes of traffic that the classifier tells apart: those of the RL-IDS contract."""

from __future__ import annotations

CLASS_NAMES: tuple[str, ...] = (
    "BENIGN",
    "Web Attack – Brute Force",
    "Web Attack – XSS",
    "Web Attack – Sql Injection",
    "FTP-Patator",
    "SSH-Patator",
    "PortScan",
    "DoS slowloris",
    "DoS Slowhttptest",
    "DoS Hulk",
    "DoS GoldenEye",
    "Heartbleed",
    "Bot",
    "DDoS",
    "Infiltration",
)
"""Their names in the contract's order, which is the order of every list of probabilities; the dashes are en dashes."""

N_CLASSES = len(CLASS_NAMES)
"""15."""

BENIGN = CLASS_NAMES.index("BENIGN")
"""Number of the one class that is no attack."""
