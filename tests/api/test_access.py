from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from api.access import Scope, is_marked, needs, scope_of
from api.access_page import PAGE, with_routes
from api.app import create_app
from api.route_table import GuardedRoute, guarded_routes
from infra.store import Store
from tests.api.keys import bearer, make_key
from tests.api.stack import Running, running, settings_in

APP = create_app()
ROUTES = list(guarded_routes(APP.routes))

PUBLIC = {"/", "/health", "/api/control/ping", "/console", "/console/{path:path}"}

NOT_READING = {
    "POST /predict": Scope.PREDICT,
    "POST /predict/batch": Scope.PREDICT,
    "POST /predict_batch": Scope.PREDICT,
    "POST /api/metrics/compute": Scope.CAPTURE,
    "POST /api/anomalies/detect": Scope.CAPTURE,
    "POST /api/baselines/generate": Scope.CAPTURE,
    "POST /api/captures/upload": Scope.CAPTURE,
    "POST /api/control/capture/start": Scope.CAPTURE,
    "POST /api/control/capture/stop": Scope.CAPTURE,
    "POST /active-defense/block/{ip}": Scope.BLOCK,
    "POST /active-defense/block/{ip}/{prefix}": Scope.BLOCK,
    "DELETE /active-defense/block/{ip}": Scope.BLOCK,
    "DELETE /active-defense/block": Scope.BLOCK,
    "POST /api/control/backup": Scope.ADMIN,
    "POST /api/models": Scope.ADMIN,
    "POST /api/models/rollback": Scope.ADMIN,
    "POST /api/models/{fingerprint}/champion": Scope.ADMIN,
    "POST /api/models/{fingerprint}/challenger": Scope.ADMIN,
    "DELETE /api/models/challenger": Scope.ADMIN,
    "GET /api/audit": Scope.ADMIN,
}
"""What needs more than ``read``. A new route that does is added here by whoever decides so."""


def named(route: GuardedRoute) -> str:
    return f"{route.method} {route.path}"


def test_every_route_needs_what_was_decided() -> None:
    assert {route.path for route in ROUTES if route.scope is None} == PUBLIC
    found = {named(route): route.scope for route in ROUTES if route.scope not in (None, Scope.READ)}
    assert found == NOT_READING


def test_every_route_that_could_change_something_says_what_it_needs() -> None:
    for route in iter_route_contexts(APP.routes):
        if (route.methods or {"GET"}) - {"GET", "HEAD"}:
            assert route.endpoint is not None
            assert is_marked(route.endpoint), route.path


def test_the_page_about_access_lists_every_route() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_routes(page, APP), "run `make docs`"


def test_what_says_nothing_is_only_for_reading() -> None:
    def endpoint() -> None: ...

    assert [scope_of(endpoint, method) for method in ("GET", "POST", "DELETE")] == [
        Scope.READ,
        Scope.ADMIN,
        Scope.ADMIN,
    ]
    needs(Scope.BLOCK)(endpoint)
    assert scope_of(endpoint, "POST") is Scope.BLOCK


@dataclass(frozen=True)
class Walk:
    """A stack that listens to the network and wants a key for everything, and a key with and without each scope."""

    stack: Running
    with_scope: dict[Scope, str]
    without_scope: dict[Scope, str]

    def ask(self, path: str, method: str, headers: dict[str, str]) -> httpx.Response:
        """Ask for a route with values that nothing is found by, and a body that is no JSON."""
        url = re.sub(r"\{[a-z_]+\}", "x", path)
        if method == "WEBSOCKET":
            return self._open(url, headers)
        sent = {**headers, "Content-Type": "application/json"}
        # Not read further than its head: a stream has no end.
        with self.stack.http.stream(method, url, content=b"[" if method == "POST" else b"", headers=sent) as answer:
            if answer.status_code >= 400:
                answer.read()
            return answer

    def _open(self, url: str, headers: dict[str, str]) -> httpx.Response:
        try:
            with connect(f"ws://127.0.0.1:{self.stack.settings.ports[0]}{url}", additional_headers=headers):
                return httpx.Response(101)
        except InvalidStatus as refused:
            found = refused.response
            return httpx.Response(
                found.status_code, headers=list(found.headers.raw_items()), content=bytes(found.body or b"")
            )


@pytest.fixture(scope="module")
def walk(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    settings = settings_in(
        tmp_path_factory.mktemp("walk"),
        host="0.0.0.0",
        read_needs_key=True,
        predict_needs_key=True,
        limit_read="none",
        limit_act="none",
    )
    others = {scope: {one for one in Scope if one not in (scope, Scope.ADMIN)} for scope in Scope}
    with running(settings, module_store) as stack:
        yield Walk(
            stack,
            {scope: make_key(settings, scope) for scope in Scope},
            {scope: make_key(settings, *others[scope], name=f"not {scope.value}") for scope in Scope},
        )


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_route_lets_in_who_has_its_scope_and_nobody_else(walk: Walk, route: GuardedRoute) -> None:
    path, method, scope = route.path, route.method, route.scope
    without = walk.ask(path, method, {})
    if scope is None:
        assert without.status_code == 200
        return
    assert (without.status_code, without.headers["www-authenticate"]) == (401, 'Bearer realm="spanwatch"')
    assert without.json().keys() >= {"error", "message", "detail", "timestamp"}
    wrong = walk.ask(path, method, bearer(walk.without_scope[scope]))
    assert wrong.status_code == 403
    assert f'error="insufficient_scope", scope="{scope.value}"' in wrong.headers["www-authenticate"]
    right = walk.ask(path, method, bearer(walk.with_scope[scope]))
    assert "www-authenticate" not in right.headers
    assert right.status_code != 401


def test_a_key_may_be_shown_in_each_of_three_ways(walk: Walk) -> None:
    key = walk.with_scope[Scope.READ]
    http = walk.stack.http
    assert http.get("/api/captures", headers=bearer(key)).status_code == 200
    assert http.get("/api/captures", headers={"Authorization": f"bearer  {key}"}).status_code == 200
    assert http.get("/api/captures", headers={"X-API-Key": key}).status_code == 200
    assert http.get(f"/api/captures?api_key={key}").status_code == 401
    url = f"ws://127.0.0.1:{walk.stack.settings.ports[0]}/api/stream"
    with connect(url, subprotocols=["spanwatch", f"spanwatch.key.{key}"]) as listener:
        assert listener.subprotocol == "spanwatch"


def test_an_administrator_may_do_everything(walk: Walk) -> None:
    for path in ("/api/captures", "/api/audit"):
        assert walk.stack.http.get(path, headers=bearer(walk.with_scope[Scope.ADMIN])).status_code == 200
    stopped = walk.stack.http.post("/api/control/capture/stop", headers=bearer(walk.with_scope[Scope.ADMIN]))
    assert stopped.status_code == 400


def test_a_key_that_counts_no_longer_is_told_so(walk: Walk) -> None:
    for key in ("sw_0123456789_nonsense", make_key(walk.stack.settings, Scope.READ, name="old", expires_s=1.0)):
        answer = walk.stack.http.get("/api/captures", headers=bearer(key))
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_the_document_says_what_a_route_needs() -> None:
    paths = APP.openapi()["paths"]
    start = paths["/api/control/capture/start"]["post"]
    assert start["x-scope"] == "capture"
    assert start["security"] == [{"bearer": []}, {"key": []}]
    assert {"401", "403", "413", "429"} <= start["responses"].keys()
    assert {} in paths["/api/captures"]["get"]["security"]
    assert "security" not in paths["/health"]["get"]
