"""``/console``: the pages for people."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from api.access import needs
from api.console import Console
from api.services import Shared

router = APIRouter(prefix="/console", include_in_schema=False)


@router.get("")
@needs(None)
def read_console(services: Shared) -> Response:
    """Show the console."""
    return Console(services.settings.console_folder).answer("")


# The page is the same for everybody: what it shows, it asks the API for, with its user's key.
@router.get("/{path:path}")
@needs(None)
def read_console_file(services: Shared, path: str) -> Response:
    """Show a file of the console; every other path below it is a view."""
    return Console(services.settings.console_folder).answer(path)
