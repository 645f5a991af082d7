"""The topics, what is on them and how they are kept."""

from __future__ import annotations

from dataclasses import dataclass

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Largest message on any topic: a full batch of packets is 27 MB before compression."""


@dataclass(frozen=True)
class Topic:
    """One Kafka topic.

    Parameters
    ----------
    name : str
        Name, before the prefix from the settings.
    is_partitioned : bool
        Whether it has as many partitions as ``packets``; otherwise one.
    retention_s : int
        How long messages are kept, -1 for ever.
    is_compacted : bool
        Whether only the newest message of each key is kept.
    doc : str
        One sentence.
    """

    name: str
    is_partitioned: bool
    retention_s: int
    is_compacted: bool
    doc: str


DAY_S = 86_400

PACKETS = Topic("packets", True, DAY_S, False, "Batches of packets (Arrow IPC), partitioned by their two hosts.")
WINDOW_PARTIALS = Topic("window-partials", True, DAY_S, False, "Partial windows of one partition, key = capture id.")
FLOWS = Topic(
    "flows", True, DAY_S, False, "Flow records (Arrow IPC) of the same partition's packets, key = capture id."
)
CLASSIFICATIONS = Topic(
    "classifications",
    True,
    DAY_S,
    False,
    "Verdicts on the same partition's flow records (Arrow IPC), key = capture id.",
)
WINDOWS = Topic("windows", True, 7 * DAY_S, False, "Merged windows (Arrow IPC), key = what is learnt from them.")
CAPTURES = Topic("captures", True, 7 * DAY_S, False, "State and ledger of captures (JSON), key = capture id.")
ANOMALIES = Topic(
    "anomalies", True, 7 * DAY_S, False, "Anomalies (Arrow IPC), key = what was learnt from (see baselines)."
)
BASELINES = Topic(
    "baselines", True, 7 * DAY_S, False, "Baselines after a window (Arrow IPC), key = what was learnt from."
)
ANALYSIS_REQUESTS = Topic(
    "analysis-requests", True, DAY_S, False, "Windows to judge or learn again (Arrow IPC), key = what was learnt from."
)
OPERATOR_STATE = Topic(
    "operator-state",
    True,
    -1,
    True,
    "Snapshots of stages' state with the offset they stand for, key = stage, slot and chunk.",
)
MODELS = Topic(
    "models",
    False,
    -1,
    True,
    "Model bundles, key = model/fingerprint, and who has a role (JSON), key = role/name of the role.",
)
HONEYPOT_LOGS = Topic(
    "honeypot-logs", False, 7 * DAY_S, False, "Lines of honeypots' logs (Arrow IPC), a message per block and honeypot."
)
HONEYPOT_DEAD_LETTERS = Topic(
    "honeypot-dead-letters", False, 7 * DAY_S, False, "Lines that could not be understood, with the reason (Arrow IPC)."
)
CAPTURE_REQUESTS = Topic("capture-requests", True, DAY_S, False, "Files to read (JSON), key = capture id.")

WORKER_GROUP = "worker"
"""Consumer group of the computing agents, before the prefix from the settings."""

STORAGE_GROUP = "storage"
"""Consumer group of the storage agents, before the prefix from the settings."""

TOPICS: tuple[Topic, ...] = (
    PACKETS,
    WINDOW_PARTIALS,
    FLOWS,
    CLASSIFICATIONS,
    WINDOWS,
    ANOMALIES,
    BASELINES,
    CAPTURES,
    CAPTURE_REQUESTS,
    ANALYSIS_REQUESTS,
    OPERATOR_STATE,
    MODELS,
    HONEYPOT_LOGS,
    HONEYPOT_DEAD_LETTERS,
)
