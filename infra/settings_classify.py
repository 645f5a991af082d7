"""Settings of the verdicts on flows."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ClassifySettings(BaseModel):
    """What the classification of flows goes by; part of the settings. Docs: ``docs/classification.md``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    classify_confidence: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="A verdict whose calibrated confidence is below this is uncertain and names no attack; at 0.5 what "
        "is named is likelier right than wrong.",
    )
    classify_memory_s: float = Field(
        default=60.0,
        ge=0,
        description="After so many seconds a flow counts half for what the next flows between the same two hosts are "
        "taken for; 0 judges every flow by itself.",
    )
