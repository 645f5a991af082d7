"""Where the public captures lie, on machines that have them."""

from __future__ import annotations

from pathlib import Path


def shared_data() -> Path | None:
    """Return the folder of public captures beside the checkout, or None where there is none."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None
