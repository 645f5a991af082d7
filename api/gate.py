"""The gate: what holds for every request and answer, whatever its route. Wraps an ASGI application.

Whether it is let in, the largest body, headers that browsers keep to, pages of other sites (CORS), and the audit of
what acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from fastapi.exceptions import HTTPException
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import caller_in, note_in
from api.errors import envelope
from api.guard import KEY_PROTOCOL, SUBPROTOCOL, NotAdmitted
from api.route_table import GuardedRoute, RouteTable
from api.services import Services
from schemas.audit import AuditEntry, AuditOutcome

_HEADERS = (
    # A browser shall not guess another type, show us in a frame, tell others where it was, or keep what it read.
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_CACHE = b"cache-control"
_UNCACHED = (*_HEADERS, (_CACHE, b"no-store"))
_STARTS = ("http.response.start", "websocket.http.response.start")


class Gate:
    """Holds every request and answer to what holds for all; wraps an ASGI application.

    Parameters
    ----------
    app : ASGI application
        What is behind the gate.
    routes : sequence of BaseRoute
        The application's routes, complete when the first request comes.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes
        self._table: RouteTable | None = None
        self._inner: ASGIApp = self._checked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if self._table is None:
            self._table = RouteTable(self._routes)
            self._inner = _with_cors(self._checked, _services(scope).settings.cors_origins)
        await self._inner(scope, receive, send)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit a request or answer it at once."""
        services = _services(scope)
        route = self._table.find(scope) if self._table else None
        is_audited = False
        refusal: NotAdmitted | None = None
        if route is not None:
            try:
                is_audited = services.guard.admit(scope, route)
            except NotAdmitted as error:
                refusal, is_audited = error, route.acts and error.is_audited
        answer = _Answer(scope, services, send, route if is_audited else None)
        if refusal is None:
            most = (route.body_bytes if route else None) or services.settings.max_body_bytes
            await answer.of(self._app, _bounded(scope, receive, most))
        else:
            # What the router would have noted: the counters of requests go by it.
            scope["route"] = route
            body = envelope(refusal.error, str(refusal), **refusal.keys)
            await answer.of(JSONResponse(body, status_code=refusal.status, headers=refusal.headers), receive)


class _Answer:
    """The answer to one request, on its way out.

    Parameters
    ----------
    scope : ASGI scope
        Of the request.
    services : Services
        What is shared.
    send : callable
        Sends it.
    audited : GuardedRoute or None
        The route, when the audit shall know of the request.
    """

    def __init__(self, scope: Scope, services: Services, send: Send, audited: GuardedRoute | None) -> None:
        self._scope = scope
        self._services = services
        self._send = send
        self._audited = audited

    async def of(self, app: ASGIApp, receive: Receive) -> None:
        """Let an application answer."""
        try:
            await app(self._scope, receive, self._amend)
        except Exception:
            # Whoever stands outside makes a 500 of it.
            await self._write(500)
            raise

    async def _amend(self, message: Message) -> None:
        kind = message["type"]
        if kind in _STARTS:
            message["headers"] = _with_headers(message.get("headers", ()))
            await self._write(message["status"])
        elif kind == "websocket.accept":
            message["subprotocol"] = message.get("subprotocol") or _chosen(self._scope)
        await self._send(message)

    async def _write(self, status: int) -> None:
        """Write the audit, once."""
        route, self._audited = self._audited, None
        if route is not None:
            await self._services.audit.write(_entry(self._scope, route, status))


def _bounded(scope: Scope, receive: Receive, most: int) -> Receive:
    """Return how a body is received that is refused as soon as it is too long."""
    taken = 0

    is_too_long = int(_content_length(scope)) > most

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if is_too_long or taken > most:
                raise _too_long(most)
        return message

    return bounded


def _content_length(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"content-length":
            # 20 digits are more than any body has; Python reads 4,300 at most.
            return value[:20] if value.isdigit() else b"0"
    return b"0"


def _too_long(most: int) -> HTTPException:
    # The one kind of error that FastAPI lets through while it reads a body.
    return HTTPException(413, f"A body may have {most} bytes at most.")


def _services(scope: Scope) -> Services:
    return cast(Services, scope["state"]["services"])


def _with_headers(headers: object) -> list[tuple[bytes, bytes]]:
    found = list(cast("list[tuple[bytes, bytes]]", headers))
    is_said = any([name.lower() == _CACHE for name, _ in found])  # noqa: C419 - half the time of a generator
    found += _HEADERS if is_said else _UNCACHED
    return found


def _chosen(scope: Scope) -> str | None:
    """Return the subprotocol to answer with: never the one that is a key."""
    offered = [one for one in scope.get("subprotocols", ()) if not one.startswith(KEY_PROTOCOL)]
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def _entry(scope: Scope, route: GuardedRoute, status: int) -> AuditEntry:
    caller, note = caller_in(scope), note_in(scope)
    return AuditEntry(
        action=note.action or route.name,
        target=note.target or scope["path"],
        who=caller.who,
        key_id=caller.key_id,
        address=caller.address,
        outcome=outcome_of(status),
        status=status,
        details=note.details,
    )


def outcome_of(status: int) -> AuditOutcome:
    """Return what an HTTP status says of a call."""
    if status < 400:
        return AuditOutcome.DONE
    return AuditOutcome.REFUSED if status < 500 else AuditOutcome.FAILED


class _Cors(CORSMiddleware):
    """CORS whose refusals are JSON as all others are."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer whether a page may ask."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        said = bytes(answer.body).decode()
        kept = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
        return JSONResponse(envelope("Bad Request", said), status_code=answer.status_code, headers=kept)


def _with_cors(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Return the application as pages of some sites may use it; without credentials, for there are no cookies."""
    if not origins:
        return app
    return _Cors(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=("Authorization", "X-API-Key", "Content-Type", "Last-Event-ID"),
        expose_headers=("Retry-After", "WWW-Authenticate", "Content-Disposition"),
    )
