"""The verdict: what a model says a flow is, how sure that is, and what spoke for it."""

from __future__ import annotations

import pyarrow as pa

from schemas.classes import BENIGN, CLASS_NAMES
from schemas.columns import Column, arrow_schema
from schemas.flows import FLOW_COLUMNS

TOP_REASONS = 3
"""Features named as the reasons of a verdict."""

STEP_NS = 2_000_000_000
"""Flow records that are due in the same two seconds of the capture's clock are judged together."""

STRAGGLERS_NS = 2_000_000_000
"""How long after a step its records may still be written: a meter looks for what is due once a second, and packets
may be a little out of order."""

JUDGED_AFTER_NS = STEP_NS + STRAGGLERS_NS
"""How much later than its record a verdict may be given, by the capture's clock."""

BENIGN_NAME = CLASS_NAMES[BENIGN]
"""The one class that is no attack, as rows name it."""

_FLOW = {column.name: column for column in FLOW_COLUMNS}

FLOW_PARTS = (
    *("src_ip", "dst_ip", "src_port", "dst_port", "protocol", "vlan", "start_ns", "end_ns", "end_reason", "window_id"),
    # Which packets are its own: those of its endpoints from its first frame on, until the next flow of theirs begins.
    *("first_frame", "last_frame", "since_frame", "fwd_packets", "bwd_packets", "new_fwd_packets", "new_bwd_packets"),
)
"""Columns of the flow record that a verdict repeats: what joins packets to the verdict on their flow."""

CLASSIFICATION_COLUMNS: tuple[Column, ...] = (
    _FLOW["flow_id"],
    Column("role", pa.dictionary(pa.int8(), pa.string()), "LowCardinality(String)", "", "Of the model when it said so (enum ModelRole): champion, or challenger, which only watches."),
    Column("model", pa.dictionary(pa.int8(), pa.string()), "LowCardinality(String)", "", "Fingerprint of the model, 12 hexadecimal digits."),
    *(_FLOW[name] for name in FLOW_PARTS),
    Column("class_name", pa.dictionary(pa.int8(), pa.string()), "LowCardinality(String)", "", "The likeliest of the 15 classes; a guess where is_uncertain."),
    Column("confidence", pa.float32(), "Float32", "ZSTD(1)", "Calibrated probability of that class."),
    Column("attack_probability", pa.float32(), "Float32", "ZSTD(1)", "Calibrated probability that the flow is an attack of any class: 1 less that of BENIGN."),
    Column("is_uncertain", pa.bool_(), "Bool", "", "Whether the confidence is below classify_confidence."),
    Column("outside", pa.float32(), "Float32", "ZSTD(1)", "Share of its features beyond the range of the training data."),
    Column("reason_features", pa.list_(pa.string()), "Array(LowCardinality(String))", "ZSTD(1)", "Features that speak most for the class, strongest first, at most 3; empty where the verdict was not explained when it was made."),
    Column("reason_values", pa.list_(pa.float32()), "Array(Float32)", "ZSTD(1)", "Their values, in the features' units."),
    Column("reason_contributions", pa.list_(pa.float32()), "Array(Float32)", "ZSTD(1)", "What each adds to the class over the next likeliest; compare them with one another only."),
)  # fmt: skip
"""Columns of a batch on the ``classifications`` topic, in order."""

CLASSIFICATION_SCHEMA: pa.Schema = arrow_schema(CLASSIFICATION_COLUMNS)
"""Arrow schema of a batch on the ``classifications`` topic."""

STORED_CLASSIFICATION_COLUMNS: tuple[Column, ...] = (
    Column("capture_id", pa.dictionary(pa.int8(), pa.string()), "LowCardinality(String)", "", "The capture it belongs to."),
    *CLASSIFICATION_COLUMNS,
)  # fmt: skip
"""Columns of the ``classifications`` table: the topic's, and what storage adds."""

STORED_CLASSIFICATION_SCHEMA: pa.Schema = arrow_schema(STORED_CLASSIFICATION_COLUMNS)
"""Arrow schema of what is inserted into ``classifications``."""
