"""The built console: which of its files an address means, and how browsers may keep and run them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastapi.responses import FileResponse, HTMLResponse, Response

from api.errors import Refusal

POLICY = "; ".join(
    (
        # Scripts, styles, pictures and connections of this address only, and none inside the document.
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Content Security Policy (level 3) of every page and file of the console."""

ASSETS = "assets"
"""Folder of files whose names have a hash of their content."""

FOREVER = "public, max-age=31536000, immutable"
"""A year (RFC 9111 knows no longer word): another content has another name."""

ASK_AGAIN = "no-cache"

NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>The console is not built</title>
<h1>The console is not built.</h1>
<p>Run <code>make console</code> in the checkout (it needs Node 18 or newer and npm), then load this page again.</p>
<p>The API is here: <a href="/docs">/docs</a>.</p>
</html>
"""

_INDEX = "index.html"


@dataclass(frozen=True)
class Console:
    """A folder with the built console.

    Parameters
    ----------
    folder : Path
        What ``npm run build`` wrote; looked into with each request, so a new build needs no restart.
    """

    folder: Path

    def answer(self, path: str) -> Response:
        """Return the file that a path below ``/console`` means: its own, or else the page that knows all views.

        Parameters
        ----------
        path : str
            Without the first slash.

        Raises
        ------
        Refusal
            404 for an asset of another build.
        """
        root = self.folder.resolve()
        if not (root / _INDEX).is_file():
            return HTMLResponse(NOT_BUILT, status_code=503, headers=_headers(ASK_AGAIN))
        is_asset = path.startswith(f"{ASSETS}/")
        found = _file_in(root, path)
        if found is None and is_asset:
            raise Refusal(404, "Not Found", "This file is of another build of the console. Load the page again.")
        return FileResponse(found or root / _INDEX, headers=_headers(FOREVER if is_asset else ASK_AGAIN))


def _headers(cache: str) -> dict[str, str]:
    return {"Content-Security-Policy": POLICY, "Cache-Control": cache}


def _file_in(root: Path, path: str) -> Path | None:
    """Return a file below a folder; None when there is none, or it lies elsewhere."""
    try:
        found = (root / path).resolve(strict=True)
    except (OSError, ValueError):
        # No such file, a name too long, a zero byte.
        return None
    return found if found.is_file() and found.is_relative_to(root) else None
