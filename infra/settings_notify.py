"""Settings of notifications."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from schemas.enums import AnomalyType


class NotifySettings(BaseModel):
    """Whom anomalies are told, and when; part of the settings. Docs: ``docs/notifications.md``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    notify_urls: SecretStr = Field(
        SecretStr(""),
        description="Whom anomalies are told: apprise URLs (Slack, PagerDuty, mail, webhooks and a hundred more), "
        "separated by blanks or commas. They are secrets and shown nowhere.",
    )
    notify_severity: Literal["medium", "high"] = Field(
        "high", description="Least severity that people are told of: medium or high."
    )
    notify_types: Annotated[tuple[AnomalyType, ...], NoDecode] = Field(
        (), description="Types of anomalies that people are told of, separated by commas; empty for all."
    )
    notify_models: bool = Field(
        True, description="Whether people are told that a model drifts, and that another one judges from now on."
    )
    notify_per_hour: int = Field(
        20, ge=1, le=1000, description="Messages in an hour at most; what is held back follows in one summary."
    )
    notify_quiet_hours: str = Field(
        "",
        pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d ?- ?([01]\d|2[0-3]):[0-5]\d$",
        description="Hours in which nobody is told anything, as in 22:00-07:00; a summary follows.",
    )
    notify_time_zone: str = Field("UTC", description="Time zone of the quiet hours, as in Europe/Berlin.")
    notify_ended_s: float = Field(
        600.0, ge=1, le=86_400, description="An incident has ended when nothing of it was found for so long, seconds."
    )

    @field_validator("notify_types", mode="before")
    @classmethod
    def _split_types(cls, value: object) -> object:
        return tuple(part for part in re.split(r"[,\s]+", value) if part) if isinstance(value, str) else value

    @field_validator("notify_time_zone")
    @classmethod
    def _check_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("write the name of a time zone, as in Europe/Berlin") from error
        return value
