"""``/api/captures``: what was captured, where it stands and whether anything got lost."""

from __future__ import annotations

from fastapi import APIRouter

from api import queries
from api.capture_answers import CaptureAnswer, CapturesAnswer, LedgerAnswer
from api.errors import Refusal, documented
from api.parameters import CaptureId, Limit, Offset
from api.rows import CaptureNow
from api.services import Shared
from infra.store import Store

router = APIRouter(prefix="/api/captures", tags=["captures"])


def _known(store: Store, capture_id: str) -> CaptureNow:
    capture = queries.capture(store, capture_id)
    if capture is None:
        raise Refusal(404, "Capture not found", capture_id=capture_id)
    return capture


@router.get("", response_model=CapturesAnswer, responses=documented(400), summary="List captures")
def list_captures(services: Shared, limit: Limit = 50, offset: Offset = 0) -> CapturesAnswer:
    """List the captures, newest first."""
    rows = queries.captures(services.store, limit, offset)
    return CapturesAnswer(
        count=len(rows),
        total=queries.capture_count(services.store),
        offset=offset,
        limit=limit,
        captures=[CaptureAnswer.of(row) for row in rows],
    )


@router.get("/{capture_id}", response_model=CaptureAnswer, responses=documented(400, 404), summary="Read a capture")
def read_capture(services: Shared, capture_id: CaptureId) -> CaptureAnswer:
    """Say where a capture stands."""
    return CaptureAnswer.of(_known(services.store, capture_id))


@router.get(
    "/{capture_id}/ledger",
    response_model=LedgerAnswer,
    responses=documented(400, 404),
    summary="Read a capture's loss ledger",
)
def read_ledger(services: Shared, capture_id: CaptureId) -> LedgerAnswer:
    """Show what came into and went out of every hop; on a file it balances to zero."""
    capture = _known(services.store, capture_id)
    return LedgerAnswer.of(capture, queries.ledger(services.store, capture_id))
