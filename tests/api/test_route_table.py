from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from api.access import Scope, needs
from api.route_table import RouteTable


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/things/all")
    def all_things() -> None: ...

    @app.get("/things/{thing}")
    def one_thing() -> None: ...

    @app.post("/things/{thing}")
    @needs(Scope.BLOCK, body_bytes=5)
    def change_thing() -> None: ...

    @app.get("/shadowed/{thing}")
    @needs(Scope.ADMIN)
    def first() -> None: ...

    @app.get("/shadowed/twice")
    def second() -> None: ...

    @app.websocket("/things")
    def listen() -> None: ...

    return app


def asked(path: str, method: str = "GET", kind: str = "http", root_path: str = "") -> dict[str, Any]:
    return {"type": kind, "method": method, "path": path, "root_path": root_path}


def test_a_request_is_for_the_route_that_the_router_would_ask() -> None:
    table = RouteTable(application().routes)
    for scope, name, needed in (
        (asked("/things/all"), "all_things", Scope.READ),
        (asked("/things/7"), "one_thing", Scope.READ),
        (asked("/things/all", "POST"), "change_thing", Scope.BLOCK),
        (asked("/shadowed/twice"), "first", Scope.ADMIN),
        (asked("/below/things/all", root_path="/below"), "all_things", Scope.READ),
        (asked("/things", kind="websocket"), "listen", Scope.READ),
        (asked("/docs"), "", None),
    ):
        found = table.find(scope)
        assert found is not None, scope
        assert (found.name, found.scope) == (name, needed)
    change = table.find(asked("/things/7", "POST"))
    assert change is not None
    assert (change.acts, change.body_bytes) == (True, 5)


def test_what_no_route_answers_has_none() -> None:
    table = RouteTable(application().routes)
    for scope in (asked("/things"), asked("/things/7", "DELETE"), asked("/things/7/x"), asked("/docs", "POST")):
        assert table.find(scope) is None, scope
