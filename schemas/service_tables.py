"""The tables of what the service itself did: audit, blocks, models, its own figures, and the logs of honeypots."""

from __future__ import annotations

from schemas.audit import AUDIT_COLUMNS
from schemas.blocks import BLOCK_COLUMNS
from schemas.honeypots import DEAD_LETTER_COLUMNS, STORED_LOG_COLUMNS, HoneypotType
from schemas.models import DRIFT_COLUMNS, MODEL_COLUMNS, ROLE_COLUMNS
from schemas.pipeline import PIPELINE_COLUMNS
from schemas.table import SkipIndex, Table
from schemas.table_parts import INSERTED_AT, PACKED, WHOLE_PARTS

BLOCKS = Table(
    name="blocks",
    columns=BLOCK_COLUMNS,
    computed=(INSERTED_AT,),
    engine="ReplacingMergeTree(version)",
    order_by=("block_id",),
    settings=(PACKED,),
    doc="One row per block and change of it, kept for ever; read blocks_now for the newest.",
)

MODELS = Table(
    name="models",
    columns=MODEL_COLUMNS,
    engine="ReplacingMergeTree(registered_ns)",
    order_by=("fingerprint",),
    settings=(PACKED,),
    doc="One row per registered model, with its bundle; read models_now.",
)

MODEL_ROLES = Table(
    name="model_roles",
    columns=ROLE_COLUMNS,
    engine="ReplacingMergeTree",
    order_by=("role", "changed_ns"),
    settings=(PACKED,),
    doc="One row per change of who is champion or challenger; read model_roles_now for who is it now.",
)

MODEL_DRIFT = Table(
    name="model_drift",
    columns=DRIFT_COLUMNS,
    engine="ReplacingMergeTree(version)",
    order_by=("model", "signal"),
    settings=(PACKED,),
    doc="Whether what a model sees, or says, has changed; read model_drift_now for the newest.",
)

AUDIT = Table(
    name="audit",
    columns=AUDIT_COLUMNS,
    computed=(INSERTED_AT,),
    retention="audit_ttl_days",
    engine="MergeTree",
    order_by=("at_ns", "entry_id"),
    settings=(PACKED, WHOLE_PARTS),
    doc="One row per call that acts, refused ones included, and per thing that the service did by itself.",
)

PIPELINE = Table(
    name="pipeline",
    columns=PIPELINE_COLUMNS,
    computed=(INSERTED_AT,),
    retention="windows_ttl_days",
    engine="MergeTree",
    order_by=("at_ns", "process", "figure", "subject"),
    settings=(PACKED, WHOLE_PARTS),
    doc="How the pipeline itself does, minute by minute; read panel_pipeline.",
)

HONEYPOT_TABLES: tuple[Table, ...] = tuple(
    Table(
        name=kind.table,
        columns=STORED_LOG_COLUMNS,
        computed=(INSERTED_AT,),
        retention="honeypots_ttl_days",
        engine="ReplacingMergeTree",
        order_by=("ts_ns", "log_id"),
        indexes=(SkipIndex("by_source_ip", "source_ip", "bloom_filter", "Lines about a source."),),
        settings=(PACKED,),
        doc=f"One row per line of {kind.value} honeypots' logs; read with FINAL.",
    )
    for kind in HoneypotType
)
"""One table per honeypot, all alike."""

HONEYPOT_DEAD_LETTERS = Table(
    name="honeypot_dead_letters",
    columns=DEAD_LETTER_COLUMNS,
    computed=(INSERTED_AT,),
    retention="honeypots_ttl_days",
    engine="ReplacingMergeTree(read_ns)",
    order_by=("letter_id",),
    settings=(PACKED,),
    doc="One row per line of honeypots' logs that could not be understood; read with FINAL.",
)

SERVICE_TABLES: tuple[Table, ...] = (
    AUDIT,
    BLOCKS,
    MODELS,
    MODEL_ROLES,
    MODEL_DRIFT,
    PIPELINE,
    *HONEYPOT_TABLES,
    HONEYPOT_DEAD_LETTERS,
)
"""Every other table: what the service itself did; no capture's deletion touches it."""
