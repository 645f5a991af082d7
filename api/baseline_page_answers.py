"""Answers about many baselines: versions of one, those of hosts, and those learnt again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from api.analysis_rows import BaselineRow
from api.answers import example
from api.baseline_answers import BASELINE_EXAMPLE, BaselineFigures
from api.errors import iso_of
from api.filters import NS_PER_S
from api.window_answers import Count
from schemas.enums import BaselineKind


class VersionAnswer(BaselineFigures):
    """A baseline as it stood after a window."""

    at: str = Field(description="End of the window that was learnt last, UTC.")

    @classmethod
    def of(cls, row: BaselineRow) -> Self:
        """Return the answer for a row of the store."""
        moment = datetime.fromtimestamp(row.window_end_ns / NS_PER_S, UTC)
        return cls(**BaselineFigures.of(row).model_dump(), at=iso_of(moment))


class BaselineHistoryAnswer(BaseModel):
    """A page of a baseline's versions, newest first."""

    model_config = example(
        {
            "type": "bandwidth",
            "source": "01kb2m9t8x7qd4",
            "count": 1,
            "total": 25,
            "offset": 0,
            "limit": 1,
            "next_cursor": "b..25.",
            "history": [{**BASELINE_EXAMPLE, "at": "2009-02-13T23:35:40.500000"}],
        }
    )

    type: BaselineKind
    source: str
    count: Count
    total: Count
    offset: Count
    limit: Count
    next_cursor: str | None
    history: list[VersionAnswer]


class HostAnswer(BaseModel):
    """What is usual for one host."""

    model_config = example(
        {"ip": "10.0.15.35", "source": "01kb2m9t8x7qd4", "baselines": {"bandwidth": BASELINE_EXAMPLE}}
    )

    ip: str
    source: str
    baselines: dict[BaselineKind, BaselineFigures]


class HostsAnswer(BaseModel):
    """A page of hosts that have baselines of their own, those learnt from most windows first."""

    model_config = example(
        {
            "count": 1,
            "total": 1,
            "offset": 0,
            "limit": 50,
            "source": "01kb2m9t8x7qd4",
            "hosts": [
                {"ip": "10.0.15.35", "source": "01kb2m9t8x7qd4", "baselines": {"bandwidth": BASELINE_EXAMPLE}},
            ],
        }
    )

    count: Count
    total: Count
    offset: Count
    limit: Count
    source: str | None
    hosts: list[HostAnswer]


class GeneratedAnswer(BaseModel):
    """Baselines were learnt from the stored windows."""

    model_config = example(
        {
            "success": True,
            "message": "Baselines generated successfully",
            "baselines_dir": ".local",
            "generated": {"bandwidth": True, "latency": False, "protocol": True, "connection": True},
            "reasons": {"latency": "Round trips were measured in 3 windows; 8 are needed."},
            "generation_time": 0.85,
            "timestamp": "2026-01-09T17:44:28.789012",
            "capture_id": "01kb2m9t8x7qd4",
            "source": "01kb2m9t8x7qd4",
            "window_count": 25,
            "from_cache": False,
            "run_id": "01kb2m9t8x7qd5",
        }
    )

    success: Literal[True]
    message: str
    baselines_dir: str = Field(description="Folder that holds the store: baselines are rows, not files.")
    generated: dict[BaselineKind, bool]
    reasons: dict[BaselineKind, str] = Field(description="Why a type was not generated.")
    generation_time: float = Field(description="Seconds that this request took.")
    timestamp: str
    capture_id: str
    source: str
    window_count: Count = Field(description="Windows learnt from.")
    from_cache: bool = Field(description="Whether they were generated from the same windows before.")
    run_id: str
