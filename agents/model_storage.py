"""The topic ``models`` into the store."""

from __future__ import annotations

from agents.app import Received
from infra.model_topic import BundleMessage, parsed
from infra.store import Store
from schemas.models import RoleChange


class ModelStorage:
    """Puts registered models and changes of roles into the store, each once.

    Parameters
    ----------
    store : Store
        Opened and migrated.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, message: Received) -> None:
        """Store one message; raises ``WireError`` when it cannot be read."""
        told = parsed(message.headers, message.body)
        if isinstance(told, BundleMessage):
            row = told.row
            self._store.insert("models", row.stored(told.bundle), f"{row.fingerprint}:{row.registered_ns}")
        elif isinstance(told, RoleChange):
            self._store.insert("model_roles", told.stored(), f"{told.role.value}:{told.changed_ns}")
