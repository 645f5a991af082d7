"""One log line per request; predictions that succeed come by the thousand, and are counted instead."""

from __future__ import annotations

import logging
import time
from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

from api.status_seen import StatusSeen

access = logging.getLogger("api.access")

COUNTED = frozenset(("/predict", "/predict/batch", "/predict_batch"))
"""Paths whose successful requests are logged at DEBUG only: a client that asks 1,500 times a second would push all else
out of the log, and ``/metrics`` counts them."""

_FAILED = 400


class AccessLog:
    """Logs each request with its status and how long it took; wraps an ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and log it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s, answer = time.perf_counter(), StatusSeen(send)
        try:
            await self._app(scope, receive, answer)
        finally:
            level = logging.DEBUG if answer.status < _FAILED and scope["path"] in COUNTED else logging.INFO
            if access.isEnabledFor(level):
                _log(level, scope, answer.status, time.perf_counter() - began_s)


def _log(level: int, scope: Scope, status: int, took_s: float) -> None:
    client, server = scope.get("client"), scope.get("server")
    # Quoted again: a line break in a path must not become one in a log.
    path = quote(scope["path"])
    access.log(
        level,
        "%s %s %d",
        scope["method"],
        path,
        status,
        extra={
            "method": scope["method"],
            "path": path,
            "query": scope["query_string"].decode("latin-1"),
            "status": status,
            "duration_ms": round(took_s * 1e3, 3),
            "client": client[0] if client else None,
            "port": server[1] if server else None,
        },
    )
