"""What settings are called in the environment, and what is said of their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import AliasChoices, ValidationError
from pydantic.fields import FieldInfo

PREFIX = "SPANWATCH_"
"""What the environment name of every setting begins with."""


def also(name: str, *others: str) -> AliasChoices:
    """Environment names of a setting that another contract names as well, ours first."""
    return AliasChoices(f"{PREFIX}{name}", *others)


def sentences(error: ValidationError, fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    """Yield what is wrong with values, a sentence for each; passwords are left out.

    Parameters
    ----------
    error : ValidationError
        What pydantic found.
    fields : mapping
        The settings, by name.
    """
    by_alias = {alias: name for name, field in fields.items() for alias in environment_names(name, field)}
    for problem in error.errors():
        place = str(problem["loc"][0]) if problem["loc"] else ""
        name = place if place in fields else by_alias.get(place, place)
        reason = problem["msg"].removeprefix("Value error, ")
        if not place:  # two settings that contradict each other
            yield f"The settings contradict each other: {reason}."
            continue
        value = without_password(str(problem["input"]))
        yield f"{PREFIX}{name.upper()} cannot be {value!r}: {reason[:1].lower()}{reason[1:]}."


def environment_names(name: str, field: FieldInfo) -> tuple[str, ...]:
    """Return the environment variables that a setting is read from, ours first."""
    if isinstance(field.validation_alias, AliasChoices):
        return tuple(str(choice) for choice in field.validation_alias.choices)
    return (f"{PREFIX}{name.upper()}",)


def without_password(text: str) -> str:
    """Return a URL, or any text around one, with its password replaced by ``***``."""
    return re.sub(r"(://[^:@/\s]*):[^@/\s]*@", r"\1:***@", text)
