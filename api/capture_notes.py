"""What is known of live captures beside the store: notes in the state folder, which outlive a restart."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.settings import Settings
from schemas.captures import CaptureRow

log = logging.getLogger(__name__)


class Note(BaseModel):
    """What a capture that runs says of itself in ``running.json``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int
    started_s: float
    capture: CaptureRow


class Asked(BaseModel):
    """What the last capture that was started here was asked to do; kept in the state folder."""

    model_config = ConfigDict(frozen=True)

    capture_id: str
    output_file: str
    duration_s: float | None


def _asked_file(settings: Settings) -> Path:
    return settings.state / "live_capture.json"


def write_asked(settings: Settings, asked: Asked) -> None:
    """Keep what a capture was asked to do."""
    _asked_file(settings).write_text(asked.model_dump_json())


def notes_in(settings: Settings) -> list[Note]:
    """Return the notes of captures, also of those whose process is gone."""
    notes = []
    for file in settings.captures_folder.glob("*/running.json"):
        try:
            notes.append(Note.model_validate_json(file.read_text()))
        except FileNotFoundError:
            # It has ended just now.
            continue
        except (OSError, ValidationError) as error:
            log.warning("%s cannot be read: %s", file, error)
    return notes


def read_asked(settings: Settings) -> Asked | None:
    """Return what the last capture that was started over the API was asked to do, or None."""
    file = _asked_file(settings)
    try:
        return Asked.model_validate_json(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        log.warning("%s cannot be read: %s", file, error)
        return None
