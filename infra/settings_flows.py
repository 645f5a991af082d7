"""Settings of the flow meter."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from schemas.enums import FlowMode


class FlowSettings(BaseModel):
    """When flows end and what they are measured by; part of the settings. Docs: ``docs/flows.md``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    flow_mode: FlowMode = Field(
        FlowMode.CORRECTED,
        description="Whose definition of a flow and its features is followed: corrected (what the classifier is "
        "trained on), compatible or compatible-2020 (CICFlowMeter with its faults); see flows.md.",
    )
    flow_capacity: int = Field(
        1 << 17,
        ge=1_024,
        le=1 << 24,
        description="Flows of a capture and partition that are kept in memory at most, 0.6 KB each; beyond it the "
        "quietest are written early.",
    )
    flow_linger_s: float = Field(
        10.0,
        ge=0,
        le=2_000,
        description="How long a flow waits for stragglers after both FINs or a RST, seconds.",
    )
    flow_idle_s: float = Field(
        120.0, ge=1, le=2_000, description="How long an open flow may be quiet before it has ended, seconds."
    )
