"""The verdict on a packet: how threatening it is, from what a model and the detectors said of its flow.

A flow record counts the packets that came since the one before; they have its verdict, and keep it. So a packet's
verdict is known once its window is over, and what comes later does not change it. The threat score is the larger of
two: 100 times the probability that the flow is an attack, as its record was judged, and the score of an anomaly of the
same window that names the flow, or the host that began it. View ``record_verdicts`` defines it for whoever asks
the store; ``verdict_of`` says the same of one record, and ``api.verdict_sql`` within larger statements.
"""

# ruff: noqa: E501 - a column is one line

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.classifications import STORED_CLASSIFICATION_COLUMNS
from schemas.columns import Column
from schemas.enums import AnomalyType, Severity, Threat

SUSPICIOUS_FROM = 40.0
MALICIOUS_FROM = 80.0
"""Threat scores from which a packet is suspicious, and malicious."""

ANOMALY_SCORES: dict[tuple[AnomalyType, Severity], float] = {
    (AnomalyType.PORT_SCAN, Severity.MEDIUM): 60.0,
    (AnomalyType.PORT_SCAN, Severity.HIGH): 85.0,
    (AnomalyType.TRAFFIC_SPIKE, Severity.MEDIUM): 60.0,
    (AnomalyType.TRAFFIC_SPIKE, Severity.HIGH): 85.0,
    (AnomalyType.PROTOCOL_ANOMALY, Severity.MEDIUM): 40.0,
    (AnomalyType.PROTOCOL_ANOMALY, Severity.HIGH): 60.0,
    (AnomalyType.LONG_LIVED_CONN, Severity.MEDIUM): 40.0,
    (AnomalyType.LONG_LIVED_CONN, Severity.HIGH): 60.0,
}
"""What an anomaly that names a flow or its source makes of the flow's packets. Scans and floods of high severity are
malicious; a connection that is old, or a protocol that is unusual, is worth a look. Latency and loss say that a network
is unwell, not that somebody attacks it: they are not here."""

REACH_NS = 600 * 10**9
"""The first record that has a packet ends at most so long after it: a window (300 s at most) and the time for which a
flow may be quiet."""


@dataclass(frozen=True)
class Verdict:
    """What a packet is taken for.

    Parameters
    ----------
    score : float
        How threatening it is, 0 to 100.
    threat : Threat
    attack_class : str
        Class of the classifier or type of an anomaly; ``BENIGN`` where the score is low.
    """

    score: float
    threat: Threat
    attack_class: str


NO_VERDICT = Verdict(0.0, Threat.BENIGN, "BENIGN")
"""On packets that no record counts."""


def threat_of(score: float) -> Threat:
    """Return the threat that a score means."""
    return (
        Threat.MALICIOUS
        if score >= MALICIOUS_FROM
        else Threat.SUSPICIOUS
        if score >= SUSPICIOUS_FROM
        else Threat.BENIGN
    )


def verdict_of(attack_probability: float, class_name: str, raised: Iterable[tuple[float, str]]) -> Verdict:
    """Return the verdict on the packets of a record; view ``record_verdicts`` says the same.

    Parameters
    ----------
    attack_probability : float
        Of its flow, 0 to 1.
    class_name : str
        The classifier's.
    raised : iterable of tuple of float and str
        Score and type of each anomaly that names the flow or who began it; of equal scores the type first by name
        counts.
    """
    by_classifier = 100 * attack_probability
    by_anomaly, kind = min(raised, key=lambda one: (-one[0], one[1]), default=(0.0, ""))
    score = max(by_classifier, by_anomaly)
    if score < SUSPICIOUS_FROM:
        return Verdict(score, Threat.BENIGN, "BENIGN")
    threat = threat_of(score)
    if by_classifier >= SUSPICIOUS_FROM and class_name != "BENIGN":
        return Verdict(score, threat, class_name)
    return Verdict(score, threat, kind if by_anomaly >= SUSPICIOUS_FROM else "UNKNOWN")


def verdicts_of(
    attack_probabilities: npt.NDArray[np.float32],
    class_names: npt.NDArray[np.object_],
    anomaly_scores: npt.NDArray[np.float64],
    anomaly_types: npt.NDArray[np.object_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.object_]]:
    """Return score and attack class of many records; ``verdict_of`` says the same of one.

    Parameters
    ----------
    attack_probabilities, class_names, anomaly_scores, anomaly_types : numpy.ndarray
        Shape (n_records,). Of each the anomaly that counts, score 0 where none names the record.

    Returns
    -------
    tuple of numpy.ndarray and numpy.ndarray
        Shape (n_records,).
    """
    by_classifier = 100 * attack_probabilities.astype(np.float64)
    scores = np.maximum(by_classifier, anomaly_scores)
    is_classified = (by_classifier >= SUSPICIOUS_FROM) & (class_names != "BENIGN")
    raised = np.where(anomaly_scores >= SUSPICIOUS_FROM, anomaly_types, "UNKNOWN")
    classes = np.where(is_classified, class_names, raised)
    return scores, np.where(scores < SUSPICIOUS_FROM, "BENIGN", classes)


_VERDICT_PARTS = (
    *("capture_id", "flow_id", "model", "window_id", "start_ns", "end_ns", "since_frame", "last_frame"),
    *("src_ip", "dst_ip", "src_port", "dst_port", "protocol", "vlan", "new_fwd_packets", "new_bwd_packets"),
    *("class_name", "confidence", "attack_probability", "is_uncertain"),
)

_CLASSIFICATION = {column.name: column for column in STORED_CLASSIFICATION_COLUMNS}

RECORD_VERDICT_COLUMNS: tuple[Column, ...] = tuple(
    replace(column, codec=column.codec.replace("ZSTD(1)", "LZ4"))
    for column in (_CLASSIFICATION[name] for name in _VERDICT_PARTS)
)
"""Columns of ``packet_verdicts``: of each record what joins packets to it, and the champion's verdict.

They are read whenever events are, and of every record where threats are rare: with LZ4 that takes a quarter less.
"""

TRAFFIC_STATS_COLUMNS: tuple[Column, ...] = (
    Column("capture_id", pa.string(), "LowCardinality(String)", "", "The capture it belongs to."),
    Column("minute_ns", pa.int64(), "Int64", "Delta(8), LZ4", "Start of the minute in which the records end, ns since the Unix epoch, UTC."),
    Column("threat", pa.string(), "LowCardinality(String)", "", "By the classifier alone (enum Threat)."),
    Column("class_name", pa.string(), "LowCardinality(String)", "", "Class of the records."),
    Column("packets", pa.uint64(), "SimpleAggregateFunction(sum, UInt64)", "", "Packets."),
    Column("score_sum", pa.float64(), "SimpleAggregateFunction(sum, Float64)", "", "Their threat scores added up."),
    Column("sources", pa.binary(), "AggregateFunction(uniq, IPv6)", "", "Who sent them; nothing where they are benign."),
    Column("attackers", pa.binary(), "AggregateFunction(uniq, IPv6)", "", "Who began their flows; nothing where they are benign."),
)  # fmt: skip
"""Columns of ``traffic_stats``. Sum and merge them when reading: rows of one key are only added up by merges."""
