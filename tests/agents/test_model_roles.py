from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from agents.app import Received
from agents.model_registration import register_configured_model
from agents.model_roles import ModelRoles
from infra.kafka import flush, producer, send
from infra.model_runtime import Model
from infra.model_topic import Headers, SendModels, row_of, send_bundle, send_role
from infra.settings import Settings, load_settings
from infra.topics import create_topics
from schemas.enums import ModelRole
from schemas.models import RoleAction, RoleChange
from schemas.topics import MODELS
from tests.model_variants import doubtful, stubborn


@pytest.fixture
def settings(broker: Settings) -> Settings:
    """Settings with a topic of models of their own."""
    own = broker.model_copy(update={"topic_prefix": f"test-{uuid4().hex}-"})
    create_topics(own, [MODELS])
    return own


@pytest.fixture
def sending(settings: Settings) -> SendModels:
    out, topic = producer(settings), settings.topic_name(MODELS)

    def to_topic(key: str, body: bytes, headers: Headers) -> None:
        send(out, topic, body, key=key.encode(), headers=headers)
        flush(out)

    return to_topic


@pytest.fixture
def roles(settings: Settings) -> Iterator[ModelRoles]:
    """What a worker follows; not started yet."""
    following = ModelRoles(settings)
    yield following
    following.stop()


def add(sending: SendModels, bundle: bytes) -> str:
    facts = Model.from_bytes(bundle, "test").facts
    send_bundle(sending, row_of(facts, "test", ""), bundle)
    return facts.fingerprint


def give(sending: SendModels, role: ModelRole, fingerprint: str) -> None:
    change = RoleChange(
        role=role,
        changed_ns=time.time_ns(),
        fingerprint=fingerprint,
        changed_by="test",
        action=RoleAction.PROMOTE,
    )
    send_role(sending, change)


def named(roles: ModelRoles) -> tuple[str, str]:
    now = roles.current()
    champion, challenger = (model.facts.fingerprint if model else "" for model in (now.champion, now.challenger))
    return champion, challenger


def until(is_reached: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 30
    while not is_reached():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_the_configured_model_judges_until_the_topic_says_who_does(settings: Settings, roles: ModelRoles) -> None:
    shipped = Model.load(settings.model_path).facts.fingerprint
    assert named(roles) == (shipped, "")
    roles.start()
    assert named(roles) == (shipped, "")


def test_roles_are_followed_as_they_change(sending: SendModels, roles: ModelRoles) -> None:
    first, second = add(sending, doubtful()), add(sending, stubborn("Bot"))
    give(sending, ModelRole.CHAMPION, first)
    roles.start()
    assert named(roles) == (first, "")
    give(sending, ModelRole.CHALLENGER, second)
    until(lambda: named(roles) == (first, second))
    give(sending, ModelRole.CHAMPION, second)
    # A champion has no need to challenge itself.
    until(lambda: named(roles) == (second, ""))
    give(sending, ModelRole.CHALLENGER, first)
    until(lambda: named(roles) == (second, first))
    give(sending, ModelRole.CHALLENGER, "")
    until(lambda: named(roles) == (second, ""))


def test_a_model_that_cannot_be_used_changes_nothing(sending: SendModels, roles: ModelRoles) -> None:
    first, second = add(sending, doubtful()), add(sending, stubborn("Bot"))
    broken = row_of(Model.from_bytes(doubtful(), "test").facts, "test", "").model_copy(
        update={"fingerprint": "0123456789ab"}
    )
    send_bundle(sending, broken, doubtful()[:-1000])
    give(sending, ModelRole.CHAMPION, first)
    roles.start()
    give(sending, ModelRole.CHAMPION, "0123456789ab")
    give(sending, ModelRole.CHALLENGER, second)
    until(lambda: named(roles)[1] == second)
    assert named(roles)[0] == first
    sending("role/champion", b"no JSON", [("kind", b"role")])
    give(sending, ModelRole.CHAMPION, second)
    until(lambda: named(roles) == (second, ""))


def test_an_older_change_that_comes_late_does_not_count(sending: SendModels, roles: ModelRoles) -> None:
    first, second = add(sending, doubtful()), add(sending, stubborn("Bot"))
    give(sending, ModelRole.CHAMPION, first)
    late = RoleChange(
        role=ModelRole.CHAMPION, changed_ns=1, fingerprint=second, changed_by="test", action=RoleAction.PROMOTE
    )
    send_role(sending, late)
    roles.start()
    assert named(roles) == (first, "")


def test_a_start_registers_the_configured_model_once_and_stores_what_the_topic_has(
    settings: Settings, roles: ModelRoles, tmp_path: Path
) -> None:
    kept: list[Received] = []
    register_configured_model(settings, kept.append)
    assert [message.headers["kind"] for message in kept] == [b"bundle", b"role", b"configured"]
    roles.start()
    assert named(roles)[0] == Model.load(settings.model_path).facts.fingerprint
    again: list[Received] = []
    register_configured_model(settings, again.append)
    assert [message.body for message in again] == [message.body for message in kept]
    other = tmp_path / "bot.pt"
    other.write_bytes(stubborn("Bot"))
    register_configured_model(load_settings(**{**settings.model_dump(), "model_path": other}), again.append)
    until(lambda: named(roles)[0] == Model.load(other).facts.fingerprint)


def test_a_configured_model_that_is_none_registers_nothing(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept: list[Received] = []
    other = tmp_path / "none.pt"
    other.write_bytes(b"not a model")
    register_configured_model(load_settings(**{**settings.model_dump(), "model_path": other}), kept.append)
    assert kept == []
    assert "is no model bundle" in caplog.text
