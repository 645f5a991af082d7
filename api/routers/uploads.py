"""``POST /api/captures/upload``: a capture file in the body, read as soon as it is there."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from api.access import Noted, Scope, needs
from api.answers import example
from api.errors import FailureAnswer, Responses, documented
from api.services import Shared
from api.uploads import Uploads
from api.window_answers import Count

router = APIRouter(prefix="/api/captures", tags=["captures"])

_ANY_LENGTH = 1 << 62
"""The setting decides, with a sentence that says what to do instead."""

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_REFUSALS: Responses = {
    **documented(400, 413, 503, model=FailureAnswer),
    507: {"model": FailureAnswer, "description": "There is no room for it."},
}


class UploadedAnswer(BaseModel):
    """A file was stored, and is being read."""

    model_config = example(
        {
            "success": True,
            "capture_id": "01kb2m9t8x7qd4",
            "name": "uploads/3f1a9c2e07b4d581/office.pcapng",
            "bytes": 2731574,
            "from_cache": False,
        }
    )

    success: bool
    capture_id: str = Field(description="Ask `/api/captures/{capture_id}` how far it is; 404 until reading begins.")
    name: str = Field(description="What a compute may call it.")
    bytes: Count
    from_cache: bool = Field(description="Whether the same file had been read before: then nothing is read again.")


@router.post(
    "/upload",
    response_model=UploadedAnswer,
    status_code=202,
    responses=_REFUSALS,
    openapi_extra=_BODY,
    summary="Upload a capture",
)
@needs(Scope.CAPTURE, body_bytes=_ANY_LENGTH)
async def upload_capture(
    services: Shared,
    request: Request,
    noted: Noted,
    name: Annotated[str, Query(min_length=1, max_length=500, description="What the file is called.")] = "capture.pcap",
) -> UploadedAnswer:
    """Store the pcap or pcapng file in the body (gzip is fine) and have it read; answers when reading was asked for.

    The file is kept in the state folder: the packets behind an anomaly are taken from it.
    """
    noted.action, noted.target = "capture.upload", name
    length = request.headers.get("content-length", "")
    file = await Uploads(services.settings).take(name, int(length) if length.isdigit() else None, request.stream())
    begun = await services.computations.begin(file, services.settings.window_s)
    size = file.path.stat().st_size
    noted.details = {"file": file.name, "bytes": size, "capture_id": begun.capture_id}
    return UploadedAnswer(
        success=True, capture_id=begun.capture_id, name=file.name, bytes=size, from_cache=begun.from_cache
    )
