"""The topic ``models``: bundles and roles, as they are sent, and what stands there now.

It is compacted: the newest message of each key is kept for ever. A bundle's key is ``model/`` and its fingerprint; a
role's is ``role/`` and its name. The key ``configured`` holds the fingerprint of the model that the setting
``model_path`` named at the last start. The header ``kind`` says which of them a message is. There is one partition, so
a role never comes before its bundle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from confluent_kafka import Message

from infra.model_bundle import ModelFacts
from infra.settings import Settings
from infra.topic_reader import headers_of, octets, read_partition
from schemas.enums import ModelRole
from schemas.errors import ModelError, WireError
from schemas.models import ModelRow, RoleChange
from schemas.topics import MODELS

Headers: TypeAlias = list[tuple[str, str | bytes | None]]

SendModels: TypeAlias = Callable[[str, bytes, Headers], None]
"""Takes the key, body and headers of a message on ``models``, and returns once Kafka has it."""

PARTITION = 0
"""The only one."""

_KIND = "kind"
_BUNDLE, _ROLE, _CONFIGURED = b"bundle", b"role", b"configured"
_FACTS = "facts"


@dataclass(frozen=True)
class BundleMessage:
    """A message that registers a model.

    Parameters
    ----------
    row : ModelRow
    bundle : bytes
    """

    row: ModelRow
    bundle: bytes


def row_of(facts: ModelFacts, by: str, note: str) -> ModelRow:
    """Return the registry's row of a model that is registered now.

    Parameters
    ----------
    by, note : str
        Who registers it, and why.
    """
    return ModelRow(
        fingerprint=facts.fingerprint,
        version=facts.version,
        trained_at=facts.trained_at,
        registered_ns=time.time_ns(),
        registered_by=by,
        note=note,
        data_sha256=facts.data_sha256,
        n_features=facts.n_features,
        classes=list(facts.classes),
        epochs=facts.epochs,
        metrics=facts.metrics,
        flows_by_class=facts.flows_by_class,
        plan=facts.plan,
        size_bytes=facts.size_bytes,
    )


def send_bundle(send: SendModels, row: ModelRow, bundle: bytes) -> None:
    """Register a model; raises ``BrokerError``."""
    send(f"model/{row.fingerprint}", bundle, [(_KIND, _BUNDLE), (_FACTS, row.model_dump_json().encode())])


def send_role(send: SendModels, change: RoleChange) -> None:
    """Change a role; raises ``BrokerError``."""
    send(f"role/{change.role.value}", change.model_dump_json().encode(), [(_KIND, _ROLE)])


def send_configured(send: SendModels, fingerprint: str) -> None:
    """Say which model ``model_path`` names; raises ``BrokerError``."""
    send("configured", fingerprint.encode(), [(_KIND, _CONFIGURED)])


def parsed(headers: Mapping[str, bytes], body: bytes) -> BundleMessage | RoleChange | str:
    """Return what a message says: a bundle, a role, or the fingerprint of the configured model.

    Raises
    ------
    WireError
        It cannot be read.
    """
    kind = headers.get(_KIND, b"")
    try:
        if kind == _CONFIGURED:
            return body.decode()
        if kind == _ROLE:
            return RoleChange.model_validate_json(body)
        if kind == _BUNDLE:
            return BundleMessage(ModelRow.model_validate_json(headers.get(_FACTS, b"")), body)
    except ValueError as error:
        raise WireError(f"a message on models that cannot be read: {error}") from error
    raise WireError(f"a message on models of the unknown kind {kind!r}")


@dataclass
class ModelsState:
    """What stands on the topic, as far as it was read.

    Attributes
    ----------
    roles : dict
        The newest change of each role.
    offsets : dict
        Where the bundle of each fingerprint stands.
    configured : str
        Fingerprint of the model that ``model_path`` named at the last start; empty before the first.
    next_offset : int
        Of the first message that was not read.
    """

    roles: dict[ModelRole, RoleChange] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    configured: str = ""
    next_offset: int = 0

    def take(self, message: Message) -> None:
        """Take in one message; raises ``WireError``."""
        offset = message.offset()
        if offset is not None:
            self.next_offset = offset + 1
        told = parsed(headers_of(message), octets(message.value()))
        if isinstance(told, BundleMessage):
            self.offsets[told.row.fingerprint] = offset or 0
        elif isinstance(told, RoleChange):
            known = self.roles.get(told.role)
            if known is None or told.changed_ns >= known.changed_ns:
                self.roles[told.role] = told
        else:
            self.configured = told

    def fingerprint(self, role: ModelRole) -> str:
        """Return who has a role, empty for nobody."""
        change = self.roles.get(role)
        return "" if change is None else change.fingerprint


def bundle_at(settings: Settings, offset: int) -> bytes:
    """Return the bundle of the message at an offset.

    Raises
    ------
    ModelError
        It is no longer there: a newer message has the same bundle.
    BrokerError
        Kafka cannot be reached.
    """
    for message in read_partition(settings, settings.topic_name(MODELS), PARTITION, offset, offset + 1):
        return octets(message.value())
    raise ModelError(f"The model's bundle is no longer at offset {offset} of {settings.topic_name(MODELS)}.")
