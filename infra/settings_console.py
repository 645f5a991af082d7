"""Settings of the console, and of the captures that are uploaded through it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from infra.settings_paths import ROOT


class ConsoleSettings(BaseModel):
    """What is served at /console, and what may be uploaded; part of the settings. Docs: ``docs/console.md``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    console_folder: Path = Field(
        ROOT / "console" / "dist", description="Folder of the built console: what `make console` writes."
    )
    upload_max_bytes: int = Field(
        4_000_000_000,
        ge=1_000_000,
        le=1_000_000_000_000,
        description="Largest capture file that may be uploaded, bytes; they are kept in the state folder.",
    )
    uploads_ttl_days: int = Field(
        30,
        ge=1,
        le=3650,
        description="How long an uploaded file stays in the state folder, days since it was last uploaded; what was "
        "computed of it stays.",
    )
