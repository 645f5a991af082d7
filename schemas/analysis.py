"""Judging again: what is asked of the analysis agent, and the run that comes of it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from schemas.columns import Column, arrow_schema
from schemas.enums import BaselineKind, RunKind, RunState

RUN_COLUMNS: tuple[Column, ...] = (
    Column("run_id", pa.string(), "String", "", "Name of the run, unique in the store; later ones sort behind earlier ones."),
    Column("capture_id", pa.string(), "LowCardinality(String)", "", "The capture whose windows were judged or learnt."),
    Column("kind", pa.string(), "LowCardinality(String)", "", "enum RunKind."),
    Column("state", pa.string(), "LowCardinality(String)", "", "enum RunState."),
    Column("version", pa.uint64(), "UInt64", "", "The highest counts."),
    Column("is_dry_run", pa.bool_(), "Bool", "", "Whether its anomalies are only shown, not taken for the capture's."),
    Column("first_window_id", pa.uint32(), "UInt32", "", "First window it judged."),
    Column("last_window_id", pa.uint32(), "UInt32", "", "Last window it judged, inclusive."),
    Column("windows", pa.uint32(), "UInt32", "", "Windows judged or learnt."),
    Column("anomalies", pa.uint32(), "UInt32", "", "Anomalies found."),
    Column("thresholds", pa.string(), "String", "ZSTD(1)", "JSON of the thresholds it used."),
    Column("started_ns", pa.int64(), "Int64", "", "When it was asked for (wall clock), ns since the epoch."),
    Column("ended_ns", pa.int64(), "Nullable(Int64)", "", "When it was done; null before."),
    Column("result", pa.string(), "String", "ZSTD(1)", "JSON: for generate, which kinds were learnt and why not; else empty."),
    Column("error", pa.string(), "String", "", "Why it failed; empty when it did not."),
)  # fmt: skip
"""Columns of ``analysis_runs``."""

RUN_SCHEMA: pa.Schema = arrow_schema(RUN_COLUMNS)


class AnalysisRequest(BaseModel):
    """What travels in the headers of a message on ``analysis-requests``; the body is Arrow rows of windows.

    The windows of a request come in one or more messages of the same ``run_id``, in order; the last one says so.
    The worker needs no store: whoever asks sends along what is to be judged.

    Attributes
    ----------
    source : str
        See ``BASELINE_COLUMNS``.
    first_window_id, last_window_id : int
        The windows whose anomalies are wanted, inclusive; earlier ones are only learnt from.
    thresholds : dict
        Overrides by name; see ``schemas.thresholds``.
    kinds : list of BaselineKind
        What to generate; empty for all.
    part, is_last : int, bool
        Number of the message in its request, from 0, and whether no other follows.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    kind: RunKind
    capture_id: str
    source: str
    first_window_id: int = 0
    last_window_id: int = 2**32 - 1
    is_dry_run: bool = False
    thresholds: dict[str, float] = Field(default_factory=dict)
    kinds: list[BaselineKind] = Field(default_factory=list)
    started_ns: int
    part: int = 0
    is_last: bool = True


class RunRow(BaseModel):
    """Where a run stands; see ``RUN_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    capture_id: str
    kind: RunKind
    state: RunState
    version: int = 1
    is_dry_run: bool = False
    first_window_id: int = 0
    last_window_id: int = 0
    windows: int = 0
    anomalies: int = 0
    thresholds: str = "{}"
    started_ns: int
    ended_ns: int | None = None
    result: str = ""
    error: str = ""


class Generated(BaseModel):
    """What a run of kind generate learnt: the ``result`` of its ``RunRow``, as JSON.

    Attributes
    ----------
    generated : dict of BaselineKind to bool
        Whether each kind asked for was learnt and is the source's current one.
    reasons : dict of BaselineKind to str
        Why not, in a sentence; nothing for those that were.
    """

    model_config = ConfigDict(frozen=True)

    generated: dict[BaselineKind, bool]
    reasons: dict[BaselineKind, str] = Field(default_factory=dict)


class Contribution(BaseModel):
    """One part of what an anomaly is made of: a name, its value, and its share of the whole, 0 to 1."""

    name: str
    value: float
    share: float | None = None


class Explanation(BaseModel):
    """Why something is an anomaly, in structured fields.

    Attributes
    ----------
    signal, value, unit, threshold
        What was measured, and the bound it passed.
    rule : str
        The rule with its numbers, as text.
    baseline : dict or None
        Figures of the baseline it was judged by (mean, std, p95, windows, hour …).
    contributions : list of Contribution
        Largest first.
    context : dict
        Whatever else tells: ports, hosts, duration …
    """

    signal: str
    value: float
    unit: str
    threshold: float
    rule: str
    baseline: dict[str, float] | None = None
    contributions: list[Contribution] = Field(default_factory=list)
    context: dict[str, Any] = Field(default_factory=dict)
