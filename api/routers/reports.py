"""``/api/captures/{id}/report``: what a capture was like, for scripts and as a page to hand on."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from api import queries
from api.children import while_asked_for
from api.errors import Refusal, documented
from api.parameters import CaptureId
from api.report_answers import ReportAnswer
from api.report_data import report_of
from api.report_page import page_by_child
from api.services import Services, Shared

router = APIRouter(prefix="/api/captures", tags=["captures"])

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What the page may do: show itself."""


def _report(services: Services, capture_id: str) -> ReportAnswer:
    capture = queries.capture(services.store, capture_id)
    if capture is None:
        raise Refusal(404, "Capture not found", capture_id=capture_id)
    return report_of(services.store, services.settings, capture)


@router.get(
    "/{capture_id}/report",
    response_model=ReportAnswer,
    responses=documented(400, 404),
    summary="Read a capture's report",
)
def read_report(services: Shared, capture_id: CaptureId) -> ReportAnswer:
    """Say what a capture was like: traffic, protocols, talkers, what is unusual and why, verdicts, ledger.

    Bounded however long the capture was: its windows are put together into at most 240 points. Of a capture that
    still runs it is what is stored so far.
    """
    return _report(services, capture_id)


@router.get(
    "/{capture_id}/report.html",
    response_class=Response,
    responses={
        **documented(400, 404),
        200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "The page."},
    },
    summary="Read a capture's report as a page",
)
async def read_report_page(services: Shared, request: Request, capture_id: CaptureId) -> Response:
    """Return the report as one self-contained page: it asks for nothing, and may be saved and handed on."""
    page = await while_asked_for(request, _page(services, capture_id))
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"})


async def _page(services: Services, capture_id: str) -> str:
    report = await asyncio.to_thread(_report, services, capture_id)
    with tempfile.TemporaryDirectory(prefix="spanwatch-report-") as folder:
        async with services.extractions:
            return await page_by_child(report, Path(folder), services.settings.state / "matplotlib")
