"""The topic ``models`` into the store."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.app import Received
from infra.model_topic import BundleMessage, parsed
from infra.store import Store
from schemas.enums import ModelRole
from schemas.models import ModelRow, RoleChange


@dataclass(frozen=True)
class StoredModels:
    """What a store has of models.

    Parameters
    ----------
    bundles : tuple of (ModelRow, bytes)
        Every registered model, oldest first.
    roles : mapping of ModelRole to RoleChange
        The newest change of each role.
    """

    bundles: tuple[tuple[ModelRow, bytes], ...] = ()
    roles: Mapping[ModelRole, RoleChange] = field(default_factory=dict)


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

    def stored(self) -> StoredModels:
        """Return what the store has; raises ``StoreError``."""
        text = "SELECT * REPLACE (base64Encode(bundle) AS bundle) FROM models_now ORDER BY registered_ns"
        rows = self._store.query(text)
        roles = [RoleChange.model_validate(row) for row in self._store.query("SELECT * FROM model_roles_now")]
        return StoredModels(
            tuple((ModelRow.model_validate(row), base64.b64decode(str(row["bundle"]))) for row in rows),
            {change.role: change for change in roles},
        )
