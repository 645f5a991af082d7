"""The model that the settings name, registered at a start."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from confluent_kafka import Producer

from agents.app import Received
from agents.model_storage import StoredModels
from agents.sender import Sender
from infra.kafka import producer
from infra.model_runtime import Model
from infra.model_topic import (
    PARTITION,
    Headers,
    ModelsState,
    SendModels,
    row_of,
    send_bundle,
    send_configured,
    send_role,
)
from infra.settings import Settings
from infra.topic_reader import octets, read_partition
from infra.topics import create_topics
from schemas.enums import ModelRole
from schemas.errors import ModelError, WireError
from schemas.models import MAX_BUNDLE_BYTES, SETTINGS, RoleAction, RoleChange
from schemas.topics import MODELS

log = logging.getLogger(__name__)


def register_configured_model(
    settings: Settings, keep: Callable[[Received], None], stored: Callable[[], StoredModels] = StoredModels
) -> None:
    """Make the model of ``model_path`` the champion, unless that has been done before; store what the topic has.

    Starting again changes nothing: whoever was made champion since stays it. Another model in ``model_path`` than at
    the last start becomes the champion; a rollback brings back the one before. A model that cannot be used is
    logged, and nothing changes.

    Parameters
    ----------
    keep : callable
        Stores a message: those that are stored are stored once, and a new store learns of all models.
    stored : callable
        Returns what the store has: a new topic, as behind a restored store, learns of all models from it.

    Raises
    ------
    BrokerError
        Kafka cannot be reached.
    StoreError
        ClickHouse does not take a row.
    """
    create_topics(settings, [MODELS])
    state = _state(settings, keep)
    try:
        bundle = bundle_of(settings)
        model = Model.from_bytes(bundle, str(settings.model_path))
    except ModelError as error:
        log.error("the model of the settings is not registered: %s", error)  # noqa: TRY400 - the sentence says it
        return
    send = _sending(settings, producer(settings), keep)
    if not state.offsets and not state.roles:
        bring_back(stored(), model.facts.fingerprint, state, send)
    register(settings, model, bundle, state, send)


def bring_back(stored: StoredModels, configured: str, state: ModelsState, send: SendModels) -> None:
    """Send the models and roles of a store to a topic that has none.

    Parameters
    ----------
    stored : StoredModels
        What the store has.
    configured : str
        Fingerprint of the model that ``model_path`` names. When it is among them it counts as known: who was made
        champion since stays it.
    state : ModelsState
        What stands on the topic; becomes what stands on it then.
    """
    for row, bundle in stored.bundles:
        send_bundle(send, row, bundle)
        state.offsets[row.fingerprint] = 0
    for change in stored.roles.values():
        send_role(send, change)
        state.roles[change.role] = change
    if configured in state.offsets:
        send_configured(send, configured)
        state.configured = configured
    if stored.bundles:
        log.info("%d models of the store were put on the new topic", len(stored.bundles))


def bundle_of(settings: Settings) -> bytes:
    """Return what is in ``model_path``; raises ``ModelError``."""
    try:
        bundle = settings.model_path.read_bytes()
    except OSError as error:
        raise ModelError(f"The model {settings.model_path} cannot be read: {error.strerror}.") from error
    if len(bundle) > MAX_BUNDLE_BYTES:
        raise ModelError(f"The model {settings.model_path} has more than {MAX_BUNDLE_BYTES:,} bytes.")
    return bundle


def register(settings: Settings, model: Model, bundle: bytes, state: ModelsState, send: SendModels) -> None:
    """Send what the topic lacks for the configured model to be registered, and champion if it is new.

    Parameters
    ----------
    state : ModelsState
        What stands on the topic now.
    """
    fingerprint, champion = model.facts.fingerprint, state.fingerprint(ModelRole.CHAMPION)
    if fingerprint not in state.offsets:
        send_bundle(send, row_of(model.facts, SETTINGS, f"model_path {settings.model_path.name}"), bundle)
    if champion and state.configured == fingerprint:
        return
    if champion != fingerprint:
        known = state.roles.get(ModelRole.CHAMPION)
        change = RoleChange(
            role=ModelRole.CHAMPION,
            changed_ns=max(time.time_ns(), known.changed_ns + 1 if known else 0),
            fingerprint=fingerprint,
            previous=champion,
            changed_by=SETTINGS,
            action=RoleAction.CONFIGURED,
            reason=f"model_path names another model, {settings.model_path.name}" if champion else "the first model",
        )
        send_role(send, change)
        log.info("the model %s (%s) is champion: %s", model.facts.version, fingerprint, change.reason)
    send_configured(send, fingerprint)


def _state(settings: Settings, keep: Callable[[Received], None]) -> ModelsState:
    state, topic = ModelsState(), settings.topic_name(MODELS)
    for message in read_partition(settings, topic, PARTITION):
        try:
            state.take(message)
            keep(Received.of_message(message))
        except WireError:
            log.exception("skipped %s offset %s", topic, message.offset())
    return state


def _sending(settings: Settings, out: Producer, keep: Callable[[Received], None]) -> SendModels:
    """Return what sends a message and stores it: whoever asks the store next finds the model there."""
    sender, topic = Sender(out), settings.topic_name(MODELS)

    def send(key: str, body: bytes, headers: Headers) -> None:
        sender.send(topic, body, key=key.encode(), headers=headers)
        sender.flush()
        keep(Received(topic, PARTITION, -1, {name: octets(value) for name, value in headers}, body))

    return send
