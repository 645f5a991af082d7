"""The table of routes in ``docs/access.md``, made from the application.

``python -m api.access_page`` writes it again.
"""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import FastAPI

from api.app import create_app
from api.route_table import WEBSOCKET, guarded_routes

PAGE = Path(__file__).resolve().parents[1] / "docs" / "access.md"

_BEGIN, _END = "<!-- routes: made by `python -m api.access_page` -->", "<!-- end of routes -->"
_TABLE = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)


def routes_markdown(app: FastAPI) -> str:
    """Return every route and what it needs, as Markdown."""
    lines = [_BEGIN, "", "| route | needs |", "|---|---|"]
    for route in sorted(guarded_routes(app.routes), key=lambda route: (route.path, route.method)):
        method = "WebSocket" if route.method == WEBSOCKET else route.method
        needed = "nothing, ever" if route.scope is None else f"`{route.scope.value}`"
        lines.append(f"| `{method} {route.path}` | {needed} |")
    return "\n".join([*lines, "", _END])


def with_routes(page: str, app: FastAPI) -> str:
    """Return the page with the table as it is now."""
    return _TABLE.sub(lambda _: routes_markdown(app), page)


if __name__ == "__main__":
    PAGE.write_text(with_routes(PAGE.read_text(encoding="utf-8"), create_app()), encoding="utf-8")
