"""Compares a dashboard with Grafana's published schema, as the Foundation SDK carries it.

The SDK's classes are generated from the schema of a Grafana version. They read any JSON without complaint, so the
comparison is made here: a key that they do not know is lost on the way through them, and what they hold must be of the
types they declare.
"""

from __future__ import annotations

import enum
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

register_default_plugins()

# The schema's own comment says that a target of an annotation should be a query of its data source; it has the keys of
# Grafana's own data source only, and leaves out how columns become marks. Queries are compared elsewhere.
_OPEN = ("annotations.list[].target", "panels[].targets[]", "annotations.list[].mappings")


def schema_faults(model: dict[str, Any]) -> list[str]:
    """Return what in a dashboard is not as the schema has it."""
    parsed = Dashboard.from_json(model)
    kept = json.loads(JSONEncoder().encode(parsed))
    return [*_lost(model, kept, ""), *_mistyped(parsed, Dashboard, "dashboard")]


def _lost(given: object, kept: object, path: str) -> Iterator[str]:
    """Yield the paths that did not survive the SDK."""
    if path in _OPEN:
        return
    if isinstance(given, dict):
        known = kept if isinstance(kept, dict) else {}
        for key, value in given.items():
            below = f"{path}.{key}" if path else key
            if key not in known:
                if value is not None and below not in _OPEN:
                    yield f"{below}: not in the schema"
            else:
                yield from _lost(value, known[key], below)
    elif isinstance(given, list):
        for one, other in zip(given, kept if isinstance(kept, list) else [], strict=False):
            yield from _lost(one, other, f"{path}[]")


def _mistyped(value: object, hint: Any, path: str) -> Iterator[str]:
    """Yield where a value is not of its declared type."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in (object, Any) or isinstance(hint, typing.TypeVar):
        return
    if origin in (typing.Union, types.UnionType):
        if not any(not list(_mistyped(value, option, path)) for option in inner):
            yield f"{path}: {value!r} is none of {hint}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
        else:
            for place, one in enumerate(value):
                yield from _mistyped(one, inner[0], f"{path}[{place}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no mapping"
    elif origin is typing.Literal:
        if value not in inner:
            yield f"{path}: {value!r} is none of {inner}"
    elif isinstance(hint, type):
        yield from _of_class(value, hint, path)


def _of_class(value: object, hint: type, path: str) -> Iterator[str]:
    if issubclass(hint, enum.Enum):
        if value not in [member.value for member in hint]:
            yield f"{path}: {value!r} is none of {hint.__name__}"
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{path}: {value!r} is no number"
    elif not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        yield f"{path}: {value!r} is no {hint.__name__}"
    elif hint.__module__.startswith("grafana_foundation_sdk"):
        for name, declared in typing.get_type_hints(hint).items():
            yield from _mistyped(getattr(value, name), declared, f"{path}.{name}")
