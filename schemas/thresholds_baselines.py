"""The thresholds of baselines: what is learnt, and when anything is judged by it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class BaselineThresholds(BaseModel):
    """What baselines go by; part of the thresholds. Docs: ``docs/baselines.md``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    baseline_min_windows: int = Field(
        default=30,
        ge=5,
        le=100_000,
        description="Windows a baseline has learnt before anything is judged by it: "
        "5 minutes of 10 s windows, the least that gives a standard deviation some meaning.",
    )
    baseline_block_s: float = Field(
        default=3600.0,
        ge=10,
        le=86_400,
        description="What was learnt does not move the band before so many seconds have passed, "
        "so that nobody can teach the baseline within an hour.",
    )
    baseline_accept_s: float = Field(
        default=3600.0,
        ge=10,
        le=2_592_000,
        description="A level that stays new for so many seconds, with a drift alarm, becomes the baseline: "
        "longer than most attacks last, and short enough for a network that has really changed.",
    )
    baseline_held_back_weight: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Weight with which an anomalous window is learnt, cut to the edge of the band: "
        "an hour of them counts like three ordinary minutes.",
    )
    baseline_memory_h: float = Field(
        default=168.0,
        ge=1,
        le=8760,
        description="Hours of windows a baseline weighs at most, so that it forgets: a week.",
    )
    baseline_max_hosts: int = Field(
        default=1000,
        ge=0,
        le=100_000,
        description="Hosts with a baseline of their own, those seen last: about 3 kB of state each.",
    )
    baseline_hour_windows: int = Field(
        default=180,
        ge=10,
        le=100_000,
        description="Windows of an hour of the day, on three days or more, before it is judged by its own mean: "
        "half an hour of 10 s windows.",
    )
    baseline_hour_share: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Share of the variance that the hour of the day must explain before it is used: "
        "below it, a band per hour only has fewer windows to stand on.",
    )
