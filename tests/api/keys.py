"""Keys for tests, made as the command makes them."""

from __future__ import annotations

import time

from api.access import Scope
from api.keys import changing, key_path, new_key
from infra.settings import Settings


def make_key(settings: Settings, *scopes: Scope, name: str = "", expires_s: float | None = None) -> str:
    """Return a new key with these scopes."""
    named = name or "-".join(scope.value for scope in scopes)
    key, record = new_key(named, frozenset(scopes), time.time(), expires_s)
    with changing(key_path(settings)) as records:
        records.append(record)
    return key


def bearer(key: str) -> dict[str, str]:
    """Return the header that shows a key."""
    return {"Authorization": f"Bearer {key}"}
