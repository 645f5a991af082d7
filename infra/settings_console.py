"""Settings of the console, and of the captures that are uploaded through it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

_BUILT = Path(__file__).resolve().parents[1] / "console" / "dist"


class ConsoleSettings(BaseModel):
    """What is served at /console, and what may be uploaded; part of the settings. Docs: ``docs/console.md``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    console_folder: Path = Field(_BUILT, description="Folder of the built console: what `make console` writes.")
    upload_max_bytes: int = Field(
        4_000_000_000,
        ge=1_000_000,
        le=1_000_000_000_000,
        description="Largest capture file that may be uploaded, bytes; they are kept in the state folder.",
    )
