"""Which route a request is for, and what that needs: known before anything of the request is read.

The router finds the route only when it runs it. Asking beforehand keeps a request that is refused away from every
other part, its body included, and costs a look into a table, where a dependency of all routes costs 20 µs.
Found is what the router would find: its own routes, in its own order, asked by their own ``matches``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, Match
from starlette.types import Scope as AsgiScope

from api.access import SAFE_METHODS, Scope, body_bytes_of, scope_of

WEBSOCKET = "WEBSOCKET"
"""Stands for the method of a WebSocket."""


@dataclass(frozen=True)
class GuardedRoute:
    """One route, for one method.

    Parameters
    ----------
    path : str
        As it was declared, parameters in braces.
    method : str
        HTTP method, or ``WEBSOCKET``.
    scope : Scope or None
        What it needs; None when it never needs a key.
    body_bytes : int or None
        Its largest body; that of the settings when None.
    name : str
        Of its endpoint.
    """

    path: str
    method: str
    scope: Scope | None
    body_bytes: int | None
    name: str

    @property
    def acts(self) -> bool:
        """Whether a request changes something; whoever may read the audit only reads."""
        return self.scope is not None and self.scope.acts and self.method not in (WEBSOCKET, *SAFE_METHODS)


def guarded_routes(routes: Sequence[BaseRoute]) -> Iterator[GuardedRoute]:
    """Yield every route that the guard stands before, once for each of its methods."""
    for context in iter_route_contexts(routes):
        if _is_ours(context):
            yield from (_guarded(context, method) for method in sorted(context.methods or {WEBSOCKET}))


def _is_ours(context: RouteContext) -> bool:
    """Whether a route is an endpoint of ours; the others show the documentation of the API."""
    return context.endpoint is not None and getattr(context, "dependant", None) is not None


def _guarded(context: RouteContext, method: str) -> GuardedRoute:
    endpoint = context.endpoint
    if endpoint is None or not _is_ours(context):
        return GuardedRoute(context.path or "", method, None, None, "")
    scope = scope_of(endpoint, "GET" if method == WEBSOCKET else method)
    return GuardedRoute(context.path or "", method, scope, body_bytes_of(endpoint), endpoint.__name__)


class RouteTable:
    """The routes of an application, as they are when it starts.

    Parameters
    ----------
    routes : sequence of BaseRoute
        ``app.routes``.
    """

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._contexts = list(iter_route_contexts(routes))
        self._plain: dict[tuple[str, str], GuardedRoute | None] = {}
        for route in guarded_routes(routes):
            if "{" not in route.path:
                self._plain[route.method, route.path] = self._match(_scope_of(route))

    def find(self, scope: AsgiScope) -> GuardedRoute | None:
        """Return the route that will answer; None when none does: then the router says 404, 405 or 308."""
        method = WEBSOCKET if scope["type"] == "websocket" else scope["method"]
        key = (method, scope["path"])
        if key in self._plain and not scope.get("root_path"):
            return self._plain[key]
        return self._match(scope)

    def _match(self, scope: AsgiScope) -> GuardedRoute | None:
        method = WEBSOCKET if scope["type"] == "websocket" else scope["method"]
        for context in self._contexts:
            if context.matches(scope)[0] is Match.FULL:
                return _guarded(context, method)
        return None


def _scope_of(route: GuardedRoute) -> AsgiScope:
    is_socket = route.method == WEBSOCKET
    return {"type": "websocket" if is_socket else "http", "method": route.method, "path": route.path, "root_path": ""}
