"""How the pipeline itself does: figures of the storage agents and of the consumer groups, minute by minute."""

# ruff: noqa: E501 - a column is one line

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa

from schemas.columns import Column, arrow_schema


class Figure(StrEnum):
    """What a row of ``pipeline`` tells; counts are of the time since the row before."""

    INSERTS = "inserts"
    """Inserts that ClickHouse answered."""
    INSERT_SECONDS = "insert_seconds"
    """How long they took together, s."""
    INSERT_P95_S = "insert_p95_s"
    """95 % of them took at most so long, s: a bound of the histogram ``spanwatch_store_call_duration_seconds``."""
    INSERT_ERRORS = "insert_errors"
    """Inserts that ClickHouse refused or did not answer."""
    ROWS = "rows"
    """Rows that it acknowledged, dropped repeats included; the subject is the table."""
    LAG_MESSAGES = "lag_messages"
    """Messages that a consumer group had not committed; the subject is ``group/topic``."""


PIPELINE_COLUMNS: tuple[Column, ...] = (
    Column("at_ns", pa.int64(), "Int64", "DoubleDelta, ZSTD(1)", "When it was measured (wall clock), ns since the epoch."),
    Column("process", pa.string(), "LowCardinality(String)", "", "Host and process that measured."),
    Column("figure", pa.string(), "LowCardinality(String)", "", "What was measured (enum Figure)."),
    Column("subject", pa.string(), "LowCardinality(String)", "", "Of what: a table, or a consumer group and its topic; empty for all together."),
    Column("value", pa.float64(), "Float64", "ZSTD(1)", "The figure, in the unit that its name says."),
)  # fmt: skip
"""Columns of ``pipeline``."""

PIPELINE_SCHEMA: pa.Schema = arrow_schema(PIPELINE_COLUMNS)
