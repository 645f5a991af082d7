"""The whole service for ``uvicorn api.main:app``; uvicorn chooses the port, so only that one is served."""

from __future__ import annotations

from api.app import create_app
from infra.logging import set_up_logging
from infra.settings import load_settings

_settings = load_settings()
set_up_logging(_settings)

app = create_app(_settings, with_background=True)
