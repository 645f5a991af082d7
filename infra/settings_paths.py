"""Folders that settings name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

ROOT = Path(__file__).resolve().parents[1]
"""The checkout: where the pinned pom and, by default, the broker's jars are."""


def _resolved(value: Path) -> Path:
    folder = value.expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise ValueError("it is not a folder")
    return folder


Folder = Annotated[Path, AfterValidator(_resolved)]
"""A folder that is there, or can be made; absolute."""
