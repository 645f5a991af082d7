"""``/api/audit``: who had what done."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api import queries_audit
from api.access import Scope, needs
from api.audit_answers import AuditAnswer, AuditEntryAnswer
from api.errors import documented
from api.filters import Times
from api.pages import Page, PageCursor, page_of
from api.queries_audit import AuditBehind, AuditFilter
from api.services import Shared
from schemas.audit import AuditOutcome

router = APIRouter(prefix="/api/audit", tags=["service"])

_ORDER = "a"
"""What a cursor says of the list."""


@router.get("", response_model=AuditAnswer, responses=documented(400), summary="Who had what done")
@needs(Scope.ADMIN)
def list_audit(
    services: Shared,
    times: Times,
    page: Annotated[Page, Depends(page_of(50))],
    who: Annotated[str, Query(max_length=256, description="Name of a key, or an address.")] = "",
    action: Annotated[str, Query(max_length=256, description="An action, or its first part, as in `capture`.")] = "",
    target: Annotated[str, Query(max_length=256, description="A part of what it was done to.")] = "",
    outcome: Annotated[AuditOutcome | None, Query(description="How it ended.")] = None,
) -> AuditAnswer:
    """List what was done and what was refused, newest first."""
    wanted = AuditFilter(times, who, action, target, "" if outcome is None else outcome.value)
    behind = AuditBehind.of(page.cursor(_ORDER))
    rows = queries_audit.audit(services.store, wanted, behind, page.limit + 1, page.offset)
    shown = rows[: page.limit]
    following = PageCursor(_ORDER, "", shown[-1].at_ns, shown[-1].entry_id) if len(rows) > page.limit else None
    return AuditAnswer(
        count=len(shown),
        total=queries_audit.audit_count(services.store, wanted),
        offset=page.offset,
        limit=page.limit,
        next_cursor=None if following is None else str(following),
        entries=[AuditEntryAnswer.of(row) for row in shown],
    )
