from __future__ import annotations

import pytest

from agents.model_registration import register
from infra.model_runtime import Model
from infra.model_topic import BundleMessage, Headers, ModelsState, parsed
from infra.settings import load_settings
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
