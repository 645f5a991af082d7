"""``/api/control/backup``: the store as one file, made while everything runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from datetime import UTC, datetime

from anyio import CancelScope
from anyio.to_thread import run_sync
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from api.access import Noted, Scope, needs
from api.errors import Refusal, documented
from api.services import Services, Shared
from infra.backup import archive_of, file_name

router = APIRouter(prefix="/api/control", tags=["control"])

MEDIA_TYPE = "application/x-tar"


@router.post(
    "/backup",
    response_class=StreamingResponse,
    responses={
        **documented(409),
        200: {
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The archive.",
        },
    },
    summary="Back the store up",
)
@needs(Scope.ADMIN)
async def make_backup(services: Shared, noted: Noted) -> StreamingResponse:
    """Send everything that the store holds at this moment, and the hashes of the access keys, as a tar archive.

    It is made as it is sent. When the store fails on the way, the connection breaks, and the archive lacks its
    manifest: `spanwatch restore --check` refuses it.
    """
    noted.action = "backup"
    noted.target = file_name(services.settings.sensor, datetime.now(UTC))
    parts = _alone(services)
    # The first part is made before anything is sent: until then an error is still an answer.
    first = await run_sync(next, parts)
    headers = {"Content-Disposition": f'attachment; filename="{noted.target}"'}
    return StreamingResponse(_sent(first, parts), media_type=MEDIA_TYPE, headers=headers)


def _alone(services: Services) -> Generator[bytes]:
    """Yield an archive, unless another one is being made."""
    if not services.backups.acquire(blocking=False):
        raise Refusal(409, "Conflict", "A backup is being made already.")
    try:
        yield from archive_of(services.store, services.settings)
    finally:
        services.backups.release()


async def _sent(first: bytes, parts: Generator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        while part := await run_sync(next, parts, b""):
            yield part
    finally:
        with CancelScope(shield=True):
            await run_sync(parts.close)
