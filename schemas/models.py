"""The registry of models: what a model is, which role it has, and how well it does; as stored and on the wire."""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from schemas.columns import Column, arrow_schema
from schemas.enums import ModelRole

MAX_BUNDLE_BYTES = 16 * 1024 * 1024
"""Largest bundle that is registered; the shipped one is a fortieth of that, and a message of Kafka's holds it."""

SETTINGS = "settings"
"""Who registers the model that the setting ``model_path`` names."""

FINGERPRINT = r"^[0-9a-f]{12}$"
"""What names a model: 12 digits of the SHA-256 over all numbers that decide a verdict."""


class RoleAction(StrEnum):
    """Why a role changed."""

    CONFIGURED = "configured"
    """The setting ``model_path`` names another model than at the last start."""
    PROMOTE = "promote"
    """Somebody made a model the champion."""
    ROLLBACK = "rollback"
    """Somebody brought the champion before back."""
    SHADOW = "shadow"
    """Somebody made a model the challenger."""
    END = "end"
    """The challenger is one no longer: somebody said so, or it is the champion now."""


MODEL_COLUMNS: tuple[Column, ...] = (
    Column("fingerprint", pa.string(), "String", "", "Names the model: 12 hexadecimal digits of the SHA-256 over all numbers that decide a verdict."),
    Column("version", pa.string(), "String", "", "What its makers call it."),
    Column("trained_at", pa.string(), "String", "", "When it was trained, ISO 8601, UTC."),
    Column("registered_ns", pa.int64(), "Int64", "", "When it was registered, ns since the epoch."),
    Column("registered_by", pa.string(), "String", "", "Who registered it: a key's name, or settings for the model of model_path."),
    Column("note", pa.string(), "String", "", "Why, in its registrant's words."),
    Column("data_sha256", pa.string(), "String", "", "Of the flows it was trained on."),
    Column("n_features", pa.uint16(), "UInt16", "", "Features it takes."),
    Column("classes", pa.list_(pa.string()), "Array(String)", "", "Classes it tells apart, in order."),
    Column("epochs", pa.uint32(), "UInt32", "", "Times it saw its training data."),
    Column("metrics", pa.map_(pa.string(), pa.float64()), "Map(String, Float64)", "", "Its figures from flows that were set aside in training, by name."),
    Column("flows_by_class", pa.map_(pa.string(), pa.uint64()), "Map(String, UInt64)", "", "Flows it was trained on."),
    Column("plan", pa.map_(pa.string(), pa.string()), "Map(String, String)", "", "Every number of its training plan."),
    Column("size_bytes", pa.uint64(), "UInt64", "", "Size of the bundle."),
    Column("bundle", pa.binary(), "String", "ZSTD(1)", "The bundle itself, as it was given."),
)  # fmt: skip
"""Columns of ``models``."""

MODEL_SCHEMA: pa.Schema = arrow_schema(MODEL_COLUMNS)

ROLE_COLUMNS: tuple[Column, ...] = (
    Column("role", pa.string(), "LowCardinality(String)", "", "enum ModelRole."),
    Column("changed_ns", pa.uint64(), "UInt64", "", "When it changed, ns since the epoch; the highest counts."),
    Column("fingerprint", pa.string(), "String", "", "Who has the role from now on; empty for nobody."),
    Column("previous", pa.string(), "String", "", "Whom a rollback gives the role to; empty for nobody."),
    Column("changed_by", pa.string(), "LowCardinality(String)", "", "Who changed it: a key's name, local without one, or settings at a start."),
    Column("action", pa.string(), "LowCardinality(String)", "", "enum RoleAction."),
    Column("reason", pa.string(), "String", "", "Why, in words."),
)  # fmt: skip
"""Columns of ``model_roles``: one row for each change."""

ROLE_SCHEMA: pa.Schema = arrow_schema(ROLE_COLUMNS)

DRIFT_COLUMNS: tuple[Column, ...] = (
    Column("model", pa.string(), "LowCardinality(String)", "", "Fingerprint of the model."),
    Column("signal", pa.string(), "LowCardinality(String)", "", "What is watched (enum DriftSignal)."),
    Column("version", pa.uint64(), "UInt64", "", "When this was computed, ns since the epoch; the highest counts."),
    Column("windows", pa.uint32(), "UInt32", "", "Windows looked at: those of the last day."),
    Column("verdicts", pa.uint64(), "UInt64", "", "Verdicts in these windows."),
    Column("mean", pa.float64(), "Float64", "", "Mean over the windows since the last change."),
    Column("before", pa.float64(), "Nullable(Float64)", "", "Mean before the last change; null without one."),
    Column("changes", pa.uint32(), "UInt32", "", "Changes found in these windows."),
    Column("changed_ns", pa.int64(), "Nullable(Int64)", "", "Newest packet of the window with which the last change began, ns since the epoch; null without one."),
    Column("changed_capture", pa.string(), "String", "", "That window's capture; empty without a change."),
)  # fmt: skip
"""Columns of ``model_drift``."""

DRIFT_SCHEMA: pa.Schema = arrow_schema(DRIFT_COLUMNS)


_COUNT = "SimpleAggregateFunction(sum, UInt64)"
_TOTAL = "SimpleAggregateFunction(sum, Float64)"

MODEL_WINDOW_COLUMNS: tuple[Column, ...] = (
    Column("model", pa.string(), "LowCardinality(String)", "", "Fingerprint of the model."),
    Column("role", pa.string(), "LowCardinality(String)", "", "Of the model when it judged (enum ModelRole)."),
    Column("capture_id", pa.string(), "LowCardinality(String)", "", "The capture."),
    Column("window_id", pa.uint32(), "UInt32", "", "The window of the flow record that was judged."),
    Column("slot", pa.uint8(), "UInt8", "", "flow_id modulo 4: drift is looked for in four random parts of each window."),
    Column("verdicts", pa.uint64(), _COUNT, "", "Verdicts on flow records, interim ones included."),
    Column("uncertain", pa.uint64(), _COUNT, "", "Those of them that are uncertain."),
    Column("attacks", pa.uint64(), _COUNT, "", "Those of them that name an attack and are not uncertain."),
    Column("confidence_sum", pa.float64(), _TOTAL, "", "Sum of their confidence."),
    Column("outside_sum", pa.float64(), _TOTAL, "", "Sum of the shares of their features beyond the range of the training data."),
    Column("last_ns", pa.int64(), "SimpleAggregateFunction(max, Int64)", "", "Newest packet of their flows, ns since the Unix epoch, UTC."),
    Column("seen_at", pa.timestamp("ms"), "SimpleAggregateFunction(min, DateTime64(3, 'UTC'))", "", "When the first of them was stored: the order in which windows are looked at."),
)  # fmt: skip
"""Columns of ``model_windows``. Sum them when reading: rows of the same key are only added up by merges."""


class ModelRow(BaseModel):
    """What is known of a model besides its bundle; see ``MODEL_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str = Field(pattern=FINGERPRINT)
    version: str
    trained_at: str = ""
    registered_ns: int
    registered_by: str
    note: str = ""
    data_sha256: str = ""
    n_features: int
    classes: list[str]
    epochs: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    flows_by_class: dict[str, int] = Field(default_factory=dict)
    plan: dict[str, str] = Field(default_factory=dict)
    size_bytes: int

    def stored(self, bundle: bytes) -> pa.Table:
        """Return the row of ``models``."""
        values = self.model_dump()
        for name in ("metrics", "flows_by_class", "plan"):
            values[name] = list(values[name].items())
        return pa.Table.from_pylist([{**values, "bundle": bundle}], schema=MODEL_SCHEMA)


class RoleChange(BaseModel):
    """One change of a role; see ``ROLE_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    role: ModelRole
    changed_ns: int
    fingerprint: str
    previous: str = ""
    changed_by: str
    action: RoleAction
    reason: str = ""

    def stored(self) -> pa.Table:
        """Return the row of ``model_roles``."""
        return pa.Table.from_pylist([self.model_dump(mode="json")], schema=ROLE_SCHEMA)
