"""``/api/models``: the registry of models, and who is champion and challenger."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api import queries_models
from api.access import Called, Noted, Scope, needs
from api.errors import documented
from api.filters import From, To, time_ns
from api.model_report import ModelReportAnswer, report_of
from api.models import MAX_UPLOAD_BYTES, Models, Standing, unknown_model
from api.models_agreement import agreements, recent_agreement
from api.models_answers import (
    ChangeAnswer,
    ChangedAnswer,
    Known,
    ModelAnswer,
    ModelDetailAnswer,
    ModelsAnswer,
)
from api.parameters import Limit, Offset
from api.queries_models import EARLIEST_NS, LATEST_NS
from api.services import Shared
from infra.store import Store
from schemas.models import FINGERPRINT, ModelRow

router = APIRouter(prefix="/api/models", tags=["models"])

Fingerprint = Annotated[
    str, Path(pattern=FINGERPRINT, description="Fingerprint of a model.", examples=["5c75548c0fa6"])
]
Reason = Annotated[str, Query(max_length=500, description="Why, for the history.")]

HISTORY = 20
"""Changes of roles that an answer shows."""

_BUNDLE = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _known(models: Models, store: Store) -> Known:
    return Known(
        models.standing(), queries_models.roles(store), queries_models.verdicts(store), queries_models.drift(store)
    )


def _row(store: Store, fingerprint: str) -> ModelRow:
    row = queries_models.model(store, fingerprint)
    if row is None:
        raise unknown_model(fingerprint)
    return row


def _changed(standing: Standing, *, is_changed: bool) -> ChangedAnswer:
    return ChangedAnswer(
        champion=standing.champion or None,
        challenger=standing.challenger or None,
        previous=standing.previous or None,
        is_changed=is_changed,
    )


@router.get("", response_model=ModelsAnswer, responses=documented(400), summary="List models")
def list_models(services: Shared, limit: Limit = 100, offset: Offset = 0) -> ModelsAnswer:
    """List the registered models, the newest first, with their roles, what they said, agreement and drift."""
    store, known = services.store, _known(services.models, services.store)
    rows = queries_models.models(store, limit, offset)
    now = known.standing
    return ModelsAnswer(
        champion=now.champion or None,
        challenger=now.challenger or None,
        previous=now.previous or None,
        count=len(rows),
        total=queries_models.model_count(store),
        offset=offset,
        limit=limit,
        models=[ModelAnswer.of(row, known) for row in rows],
        agreement=recent_agreement(store),
        history=[ChangeAnswer.of(change) for change in queries_models.changes(store, HISTORY)],
    )


@router.post(
    "",
    response_model=ModelAnswer,
    status_code=201,
    responses={**documented(400, 413), 200: {"model": ModelAnswer, "description": "It was registered already."}},
    openapi_extra=_BUNDLE,
    summary="Register a model",
)
@needs(Scope.ADMIN, body_bytes=MAX_UPLOAD_BYTES)
async def add_model(
    services: Shared,
    request: Request,
    response: Response,
    caller: Called,
    noted: Noted,
    note: Annotated[str, Query(max_length=500, description="What is worth knowing of it.")] = "",
) -> ModelAnswer:
    """Register the model bundle in the body (the file that `spanwatch train` writes); it gets no role by that.

    A bundle that is damaged, or not for this version's features and classes, is refused, and nothing changes.
    """
    noted.action = "model.add"
    bundle = await request.body()
    row, is_new = await asyncio.to_thread(services.models.register, bundle, caller.who, note)
    noted.target = row.fingerprint
    response.status_code = 201 if is_new else 200
    known = await asyncio.to_thread(_known, services.models, services.store)
    return ModelAnswer.of(row, known)


@router.post("/rollback", response_model=ChangedAnswer, responses=documented(400, 409), summary="Roll back")
@needs(Scope.ADMIN)
def roll_back(services: Shared, caller: Called, noted: Noted, reason: Reason = "") -> ChangedAnswer:
    """Make the champion before the current one the champion again; repeated, the one before that."""
    noted.action = "model.rollback"
    services.models.rollback(caller.who, reason)
    standing = services.models.standing()
    noted.target = standing.champion
    return _changed(standing, is_changed=True)


@router.delete("/challenger", response_model=ChangedAnswer, responses=documented(400), summary="End the shadow")
@needs(Scope.ADMIN)
def end_shadow(services: Shared, caller: Called, noted: Noted, reason: Reason = "") -> ChangedAnswer:
    """Have no challenger any more; its verdicts stay."""
    noted.action = "model.end_shadow"
    is_changed = services.models.end_shadow(caller.who, reason)
    return _changed(services.models.standing(), is_changed=is_changed)


@router.get("/{fingerprint}", response_model=ModelDetailAnswer, responses=documented(400, 404), summary="Read a model")
def read_model(services: Shared, fingerprint: Fingerprint, from_: From = None, to: To = None) -> ModelDetailAnswer:
    """Show everything that is known of a model, and as a challenger its agreement with the champions of the time.

    `from` and `to` choose the flows that agreement is of, by the time of their newest packet.
    """
    store = services.store
    row = _row(store, fingerprint)
    from_ns = EARLIEST_NS if from_ is None else time_ns(from_, "from")
    to_ns = LATEST_NS if to is None else time_ns(to, "to")
    pairs = queries_models.agreement(store, fingerprint, from_ns, to_ns)
    return ModelDetailAnswer.of(
        row,
        _known(services.models, store),
        classes=row.classes,
        flows_by_class=row.flows_by_class,
        plan=row.plan,
        history=[ChangeAnswer.of(change) for change in queries_models.changes(store, HISTORY, fingerprint)],
        agreement=agreements(fingerprint, pairs),
    )


@router.get(
    "/{fingerprint}/report",
    response_model=ModelReportAnswer,
    responses=documented(400, 404),
    summary="How well a model names flows",
)
def read_report(services: Shared, fingerprint: Fingerprint) -> ModelReportAnswer:
    """Show how well each class was named in the evaluation that ships with a model, trees beside it.

    Without scores for a model of your own: `spanwatch evaluate` measures one.
    """
    return report_of(_row(services.store, fingerprint))


@router.get(
    "/{fingerprint}/bundle",
    response_class=Response,
    responses={
        **documented(400, 404),
        200: {"content": {"application/octet-stream": {}}, "description": "The bundle, as it was registered."},
    },
    summary="Download a model",
)
def download_model(services: Shared, fingerprint: Fingerprint) -> Response:
    """Send the bundle, byte for byte as it was registered."""
    bundle = queries_models.bundle(services.store, fingerprint)
    if bundle is None:
        raise unknown_model(fingerprint)
    headers = {"content-disposition": f'attachment; filename="{fingerprint}.pt"'}
    return Response(bundle, media_type="application/octet-stream", headers=headers)


@router.post(
    "/{fingerprint}/champion",
    response_model=ChangedAnswer,
    responses=documented(400, 404),
    summary="Switch to a model",
)
@needs(Scope.ADMIN)
def make_champion(
    services: Shared, fingerprint: Fingerprint, caller: Called, noted: Noted, reason: Reason = ""
) -> ChangedAnswer:
    """Make a model the champion: its verdicts count from the next flows on, and `/predict` answers by it.

    Was it the challenger, its shadow ends. Nothing is restarted; `POST /api/models/rollback` takes it back.
    """
    noted.action, noted.target = "model.champion", fingerprint
    is_changed = services.models.promote(fingerprint, caller.who, reason)
    return _changed(services.models.standing(), is_changed=is_changed)


@router.post(
    "/{fingerprint}/challenger",
    response_model=ChangedAnswer,
    responses=documented(400, 404, 409),
    summary="Put a model into the shadow",
)
@needs(Scope.ADMIN)
def make_challenger(
    services: Shared, fingerprint: Fingerprint, caller: Called, noted: Noted, reason: Reason = ""
) -> ChangedAnswer:
    """Have a model judge the same flows as the champion; what it says is stored and compared, and counts nowhere."""
    noted.action, noted.target = "model.challenger", fingerprint
    is_changed = services.models.shadow(fingerprint, caller.who, reason)
    return _changed(services.models.standing(), is_changed=is_changed)
