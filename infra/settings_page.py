"""The reference page of the settings, and the rows of ``spanwatch config``, made from their declarations.

``python -m infra.settings_page > docs/settings.md`` writes the page.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from pydantic.fields import FieldInfo

from infra.settings import Settings
from infra.settings_names import environment_names, without_password
from infra.settings_paths import ROOT
from schemas.thresholds import Thresholds


@dataclass(frozen=True)
class SettingRow:
    """One line of ``spanwatch config`` and of the reference page.

    Parameters
    ----------
    names : tuple of str
        Environment names, ours first.
    value : str
        Value in force, passwords hidden; empty on the reference page.
    default : str
        As it would be written.
    bounds : str
        What is allowed, empty when there is nothing to say.
    doc : str
        One sentence.
    """

    names: tuple[str, ...]
    value: str
    default: str
    bounds: str
    doc: str


def setting_rows(settings: Settings | None = None) -> list[SettingRow]:
    """Return every setting, each with its value in force when ``settings`` is given.

    The stack's own come first, then those of its parts, thresholds last.
    """
    return [
        SettingRow(
            names=environment_names(name, field),
            value=_written(getattr(settings, name)) if settings else "",
            default=_written(field.get_default()),
            bounds=_bounds(field),
            doc=field.description or "",
        )
        for name, field in sorted(Settings.model_fields.items(), key=lambda item: _place(item[0]))
    ]


def _place(name: str) -> int:
    """Return 0 for a setting of the stack, 1 for one of a part, 2 for a threshold."""
    return 0 if name in vars(Settings)["__annotations__"] else 1 + (name in Thresholds.model_fields)


def _written(value: object) -> str:
    if isinstance(value, tuple):
        separator = os.pathsep if value and isinstance(value[0], Path) else ","
        return separator.join(_written(part) for part in value)
    if isinstance(value, Path):
        # The reference page must not depend on where the checkout lies.
        return str(value.relative_to(ROOT)) if value.is_relative_to(ROOT) else str(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"{value:g}" if isinstance(value, float) else without_password(str(value))


def _bounds(field: FieldInfo) -> str:
    limits = {key: getattr(m, key) for m in field.metadata for key in ("ge", "le") if hasattr(m, key)}
    match limits:
        case {"ge": low, "le": high}:
            return f"{low} to {high}"
        case {"ge": low}:
            return f"{low} or more"
    return ""


def settings_page() -> str:
    """Return ``docs/settings.md``, Markdown, made from the declarations above."""
    lines = [
        "# Settings",
        "",
        "<!-- Made by `python -m infra.settings_page > docs/settings.md`; do not edit. -->",
        "",
        "Set in the environment or in a file `.env` in the working directory; the environment wins over the",
        "file, an option of a command wins over both. `spanwatch config` shows the values in force.",
        "An empty value counts as not set.",
        "",
        "| setting | default | allowed | meaning |",
        "|---|---|---|---|",
    ]
    for row in setting_rows():
        first, *others = (f"`{name}`" for name in row.names)
        names = f"{first} (also {', '.join(others)})" if others else first
        default = f"`{row.default}`" if row.default else ""
        lines.append(f"| {names} | {default} | {row.bounds} | {row.doc} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(settings_page())
