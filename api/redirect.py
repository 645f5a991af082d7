"""Both slash forms of a path: the redirect between them is permanent (308) and stays on this host."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TEMPORARY, _PERMANENT = 307, 308


class PermanentRedirect:
    """Turns the router's 307 into the documented 308; wraps an ASGI application.

    The router builds its Location from the Host header, which anyone can write; only path and query are kept.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def amend(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == _TEMPORARY:
                message["status"] = _PERMANENT
                headers = MutableHeaders(raw=message["headers"])
                target = urlsplit(headers["location"])
                # One leading slash: two would name another host.
                path = "/" + target.path.lstrip("/")
                headers["location"] = f"{path}?{target.query}" if target.query else path
            await send(message)

        await self._app(scope, receive, amend)
