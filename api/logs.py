"""The end of a log file, and one log line per request."""

from __future__ import annotations

import logging
import time
from collections import deque
from pathlib import Path
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

access = logging.getLogger("api.access")


def tail(path: Path, limit: int) -> tuple[int, list[str]]:
    """Return a file's number of lines and its last ones, stripped, oldest first.

    Parameters
    ----------
    path : Path
        The file; one that does not exist has no lines.
    limit : int
        Most lines to return.
    """
    last: deque[bytes] = deque(maxlen=limit)
    total = 0
    try:
        with path.open("rb") as lines:
            for line in lines:
                total += 1
                last.append(line)
    except FileNotFoundError:
        return 0, []
    return total, [line.decode("utf-8", errors="replace").strip() for line in last]


class AccessLog:
    """Logs each request with its status and how long it took; wraps an ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and log it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()
        # Stays 500 when the application raises before it answers.
        status = 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            client, server = scope.get("client"), scope.get("server")
            # Quoted again: a line break in a path must not become one in a log.
            path = quote(scope["path"])
            access.info(
                "%s %s %d",
                scope["method"],
                path,
                status,
                extra={
                    "method": scope["method"],
                    "path": path,
                    "query": scope["query_string"].decode("latin-1"),
                    "status": status,
                    "duration_ms": round((time.perf_counter() - began_s) * 1e3, 3),
                    "client": client[0] if client else None,
                    "port": server[1] if server else None,
                },
            )
