"""Settings of honeypots' logs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class HoneypotSettings(BaseModel):
    """What honeypots' logs go by; part of the settings. Docs: ``docs/honeypots.md``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    honeypots_ttl_days: int = Field(
        default=90,
        ge=1,
        le=3650,
        description="How long honeypots' logs stay in the store, days: they hold passwords that somebody typed.",
    )
