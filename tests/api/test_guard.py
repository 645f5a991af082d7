from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.access import Scope, caller_in, note_in
from api.guard import Guard, NotAdmitted, is_loopback, key_in
from api.keys import KeyRing, key_path
from api.route_table import GuardedRoute
from infra.settings import Settings
from tests.api.keys import make_key
from tests.api.stack import settings_in

ACT = GuardedRoute("/act", "POST", Scope.CAPTURE, None, "act")
READ = GuardedRoute("/read", "GET", Scope.READ, None, "read")


def asked(client: str = "127.0.0.1", **headers: str) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    named = {"host": "127.0.0.1:8000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {
        "type": "http",
        "client": (client, 5),
        "server": ("127.0.0.1", 8000),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }


def guard_of(settings: Settings) -> Guard:
    return Guard(settings, settings.host, KeyRing(key_path(settings)))


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    return guard_of(settings_in(tmp_path))


def refused(guard: Guard, scope: dict[str, Any], route: GuardedRoute = ACT) -> NotAdmitted:
    with pytest.raises(NotAdmitted) as refusal:
        guard.admit(scope, route)
    return refusal.value


def test_who_is_on_this_machine_acts_without_a_key(guard: Guard) -> None:
    scope = asked()
    assert guard.admit(scope, ACT)
    assert caller_in(scope).who == "127.0.0.1"
    assert guard.admit(asked(host="localhost:8000", origin="http://localhost:8000"), ACT)
    assert guard.admit(asked("::1", host="[::1]:8000"), ACT)
    # No key at all is no wrong key.
    assert guard.admit(asked(authorization="Bearer "), ACT)
    assert not guard.admit(asked(), READ)


@pytest.mark.parametrize(
    "headers",
    [
        {"x_forwarded_for": "127.0.0.1"},
        {"x_real_ip": "127.0.0.1"},
        {"forwarded": "for=127.0.0.1"},
        {"host": "evil.example"},
        {"host": "127.evil.example"},
        {"host": ""},
        {"client": "10.0.0.1"},
    ],
)
def test_whoever_may_come_from_elsewhere_needs_a_key(guard: Guard, headers: dict[str, str]) -> None:
    assert refused(guard, asked(**headers)).status == 401
    guard.admit(asked(**headers), READ)


def test_a_page_of_another_site_does_not_act_for_who_looks_at_it(guard: Guard) -> None:
    for origin in ("https://evil.example", "null", "http://[", ""):
        assert refused(guard, asked(origin=origin)).status == 403
    guard.admit(asked(origin="https://evil.example"), READ)


def test_an_api_that_listens_to_the_network_wants_keys_from_everybody_who_acts(tmp_path: Path) -> None:
    guard = guard_of(settings_in(tmp_path, host="0.0.0.0"))
    assert refused(guard, asked()).status == 401
    guard.admit(asked("10.0.0.1", host="probe.example"), READ)
    strict = guard_of(settings_in(tmp_path, local_needs_key=True, read_needs_key=True))
    assert refused(strict, asked()).status == 401
    assert refused(strict, asked(), READ).status == 401


def test_a_key_without_the_scope_does_not_act_on_this_machine_either(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    guard = guard_of(settings)
    assert refused(guard, asked(x_api_key=make_key(settings, Scope.READ))).status == 403
    scope = asked(x_api_key=make_key(settings, Scope.CAPTURE, name="night shift"), origin="https://soc.example")
    assert guard.admit(scope, ACT)
    assert caller_in(scope).who == "night shift"


def test_who_asks_too_often_waits_and_is_noted_once(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, host="0.0.0.0", limit_act="2/hour", limit_read="1/hour")
    guard, key = guard_of(settings), make_key(settings, Scope.ADMIN)
    for _ in range(2):
        assert refused(guard, asked()).status == 401
        assert guard.admit(asked(x_api_key=key), ACT)
    scope = asked()
    first = refused(guard, scope)
    assert (first.status, first.headers, first.is_audited) == (429, {"Retry-After": "1800"}, True)
    assert note_in(scope).details == {"limit": "2/hour"}
    assert not refused(guard, asked()).is_audited
    guard.admit(asked(), READ)
    assert refused(guard, asked(), READ).status == 429
    # Another key, another count.
    assert guard.admit(asked(x_api_key=make_key(settings, Scope.CAPTURE)), ACT)


def test_a_loopback_address_is_known_in_every_form() -> None:
    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"):
        assert is_loopback(host), host
    for host in ("", "0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example", "127.1.evil", "testclient"):
        assert not is_loopback(host), host


def test_a_key_is_read_from_any_header_that_may_have_one() -> None:
    assert key_in({b"authorization": b"Bearer a"}) == key_in({b"x-api-key": b"a"}) == "a"
    assert key_in({b"authorization": b"Basic Zm9v", b"x-api-key": b"a"}) == "a"
    assert key_in({b"sec-websocket-protocol": b"spanwatch, spanwatch.key.a"}) == "a"
    assert key_in({b"authorization": b"Basic Zm9v", b"sec-websocket-protocol": b"chat"}) == ""
