from __future__ import annotations

import pytest

from agents.app import Received
from agents.model_registration import bring_back, register
from agents.model_storage import ModelStorage, StoredModels
from infra.model_runtime import Model
from infra.model_topic import BundleMessage, Headers, ModelsState, parsed, row_of
from infra.settings import load_settings
from infra.store import Store
from schemas.enums import ModelRole
from schemas.models import RoleAction, RoleChange
from tests.model_variants import doubtful, stubborn

SETTINGS = load_settings()


class TopicOfTest:
    """The topic as far as it matters here: what was sent last stands there."""

    def __init__(self) -> None:
        self.state = ModelsState()
        self.kinds: list[str] = []

    def __call__(self, key: str, body: bytes, headers: Headers) -> None:
        told = parsed({name: value for name, value in headers if isinstance(value, bytes)}, body)
        self.kinds.append(key.partition("/")[0])
        if isinstance(told, BundleMessage):
            self.state.offsets[told.row.fingerprint] = len(self.kinds)
        elif isinstance(told, RoleChange):
            self.state.roles[told.role] = told
        else:
            self.state.configured = told

    def register(self, bundle: bytes) -> str:
        """Start with a bundle configured; return its fingerprint."""
        model = Model.from_bytes(bundle, "test")
        self.kinds = []
        register(SETTINGS, model, bundle, self.state, self)
        return model.facts.fingerprint

    @property
    def champion(self) -> RoleChange:
        return self.state.roles[ModelRole.CHAMPION]


def test_the_first_model_becomes_champion_and_a_start_later_changes_nothing() -> None:
    topic = TopicOfTest()
    first = topic.register(doubtful())
    assert topic.kinds == ["model", "role", "configured"]
    assert (topic.champion.fingerprint, topic.champion.previous) == (first, "")
    assert topic.champion.action is RoleAction.CONFIGURED
    topic.register(doubtful())
    assert topic.kinds == []


def test_a_new_topic_learns_from_the_store_who_is_champion() -> None:
    """What a restored store needs: its models, and who was made champion although another one is configured."""
    before = TopicOfTest()
    configured = before.register(doubtful())
    chosen = Model.from_bytes(stubborn("PortScan"), "test")
    champion = before.champion.model_copy(update={"fingerprint": chosen.facts.fingerprint, "previous": configured})
    bundles = tuple(
        (row_of(Model.from_bytes(bundle, "test").facts, "me", ""), bundle)
        for bundle in (doubtful(), stubborn("PortScan"))
    )
    topic = TopicOfTest()
    bring_back(StoredModels(bundles, {ModelRole.CHAMPION: champion}), configured, topic.state, topic)
    assert topic.kinds == ["model", "model", "role", "configured"]
    assert topic.register(doubtful()) == configured
    assert topic.kinds == [], "nothing more is to be said"
    assert topic.champion == champion


def test_a_new_topic_behind_an_empty_store_begins_with_the_configured_model() -> None:
    topic = TopicOfTest()
    bring_back(StoredModels(), "0123456789ab", topic.state, topic)
    assert topic.kinds == []
    topic.register(doubtful())
    assert topic.kinds == ["model", "role", "configured"]


def test_who_was_made_champion_stays_it_over_a_start() -> None:
    topic = TopicOfTest()
    topic.register(doubtful())
    chosen = topic.champion.model_copy(update={"fingerprint": "0123456789ab", "action": RoleAction.PROMOTE})
    topic.state.roles[ModelRole.CHAMPION] = chosen
    topic.register(doubtful())
    assert topic.champion == chosen


def test_another_model_in_the_settings_becomes_champion_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    topic = TopicOfTest()
    first = topic.register(doubtful())
    with caplog.at_level("INFO"):
        second = topic.register(stubborn("PortScan"))
    assert (topic.champion.fingerprint, topic.champion.previous) == (second, first)
    assert "names another model" in topic.champion.reason
    assert second in caplog.text
    # Back again: its bundle is there already.
    topic.register(doubtful())
    assert topic.kinds == ["role", "configured"]
    assert topic.champion.fingerprint == first


def test_a_configured_model_that_is_champion_already_gets_no_new_change() -> None:
    topic = TopicOfTest()
    topic.register(doubtful())
    promoted = topic.champion.model_copy(
        update={"fingerprint": Model.from_bytes(stubborn("Bot"), "test").facts.fingerprint}
    )
    topic.state.roles[ModelRole.CHAMPION] = promoted
    topic.register(stubborn("Bot"))
    assert topic.kinds == ["model", "configured"]
    assert topic.champion == promoted


def test_what_the_store_has_is_what_was_sent(store: Store) -> None:
    topic, storage = TopicOfTest(), ModelStorage(store)

    def send(key: str, body: bytes, headers: Headers) -> None:
        topic(key, body, headers)
        known = {name: value for name, value in headers if isinstance(value, bytes)}
        storage.keep(Received("models", 0, -1, known, body))

    fingerprint = Model.from_bytes(doubtful(), "test").facts.fingerprint
    register(SETTINGS, Model.from_bytes(doubtful(), "test"), doubtful(), topic.state, send)
    found = storage.stored()
    assert doubtful() in [bundle for row, bundle in found.bundles if row.fingerprint == fingerprint]
    assert ModelRole.CHAMPION in found.roles
