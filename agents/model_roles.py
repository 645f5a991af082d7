"""Which models judge flows now: the champion, whose verdicts count, and the challenger in its shadow."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from infra.kafka import client_config
from infra.model_runtime import Model
from infra.model_topic import PARTITION, ModelsState, bundle_at
from infra.settings import Settings
from infra.topic_reader import read_partition
from schemas.enums import ModelRole
from schemas.errors import ModelError, SpanwatchError, WireError
from schemas.topics import MODELS

log = logging.getLogger(__name__)

WAIT_S = 0.5
"""How long one call waits for a message, s; also the pause before Kafka is tried again."""


@dataclass(frozen=True)
class Roles:
    """The models of one moment; neither is there before any was registered or when it cannot be used."""

    champion: Model | None = None
    challenger: Model | None = None


class ModelRoles:
    """Follows who is champion and challenger; any thread may ask.

    Until the topic ``models`` names a champion it is the model of the setting ``model_path``. A model that cannot be
    used by this version changes nothing: the one before goes on.

    Parameters
    ----------
    settings : Settings
        Of the stack.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.topic_name(MODELS)
        self._state = ModelsState()
        self._refused: set[str] = set()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._now = Roles(self._configured())

    def current(self) -> Roles:
        """Return the models that judge from now on; costs nothing."""
        return self._now

    def start(self) -> None:
        """Read what the topic says, then follow it in the background; what cannot be read now is read later."""
        try:
            for message in read_partition(self._settings, self._topic, PARTITION):
                self._take(message)
            self._apply()
        except SpanwatchError as error:
            log.warning("who judges flows is not known yet: %s", error)
        self._thread = threading.Thread(target=self._follow, name="model-roles", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except (KafkaException, SpanwatchError) as error:
                log.debug("the topic %s cannot be read: %s", self._topic, error)
                self._stopped.wait(WAIT_S)

    def _listen(self) -> None:
        """Take what comes, each message as it comes, until this is stopped."""
        consumer = Consumer(
            {
                **client_config(self._settings),
                # A consumer must name a group; one that assigns itself its partitions never joins it.
                "group.id": f"{self._settings.group_name('models')}-{os.getpid()}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        try:
            # What could not be loaded while Kafka was away.
            self._apply()
            consumer.assign([TopicPartition(self._topic, PARTITION, self._state.next_offset)])
            while not self._stopped.is_set():
                message = consumer.poll(WAIT_S)
                if message is None:
                    continue
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                self._take(message)
                self._apply()
        finally:
            consumer.close()

    def _take(self, message: Message) -> None:
        try:
            self._state.take(message)
        except WireError:
            log.exception("skipped %s offset %s", self._topic, message.offset())

    def _apply(self) -> None:
        """Make the models of the roles the current ones."""
        before = self._now
        champion = self._model_of(ModelRole.CHAMPION, before) or before.champion
        challenger = self._model_of(ModelRole.CHALLENGER, before)
        if challenger is not None and champion is not None and _is(challenger, champion.facts.fingerprint):
            challenger = None
        self._now = Roles(champion, challenger)
        if self._now != before:
            log.info("flows are judged by %s, and in its shadow by %s", _named(champion), _named(challenger))

    def _model_of(self, role: ModelRole, before: Roles) -> Model | None:
        """Return the model that has a role, None for nobody and for one that cannot be used."""
        wanted = self._state.fingerprint(role)
        for model in (before.champion, before.challenger):
            if model is not None and _is(model, wanted):
                return model
        if wanted == "" or wanted in self._refused:
            return None
        try:
            return Model.from_bytes(self._bundle(wanted), wanted)
        except ModelError as error:
            # It will not become usable by being tried with every message; a start tries it again.
            self._refused.add(wanted)
            log.error("the model %s cannot be %s: %s", wanted, role.value, error)  # noqa: TRY400 - the sentence says it
            return None

    def _bundle(self, fingerprint: str) -> bytes:
        offset = self._state.offsets.get(fingerprint)
        if offset is None:
            raise ModelError(f"Its bundle is not on {self._topic}.")
        return bundle_at(self._settings, offset)

    def _configured(self) -> Model | None:
        try:
            return Model.load(self._settings.model_path)
        except ModelError as error:
            log.error("no model is configured that can judge flows: %s", error)  # noqa: TRY400 - the sentence says it
            return None


def _is(model: Model, fingerprint: str) -> bool:
    return model.facts.fingerprint == fingerprint


def _named(model: Model | None) -> str:
    return "none" if model is None else f"{model.facts.version} ({model.facts.fingerprint})"
