"""A request's JSON body where every field has a default: no body and no content type are fine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.errors import Refusal

MAX_BODY_BYTES = 65_536
"""Largest body of the Analyzer's requests; a valid one has a few hundred bytes."""

FORM = "application/x-www-form-urlencoded"
"""What ``curl -d`` sends when nobody names a content type; such a body is read as JSON too."""

Model = TypeVar("Model", bound=BaseModel)


def json_body(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """Return a dependency that reads a body as ``model``, strictly; without a body all defaults hold.

    Raises
    ------
    Refusal
        413 for a body that is too long, 415 for a content type that is not JSON.
    RequestValidationError
        The body is not the JSON asked for.
    """

    async def read(request: Request) -> Model:
        body = await _read(request)
        if not body.strip():
            return model()
        _check_content_type(request)
        try:
            return model.model_validate_json(body, strict=True)
        except ValidationError as error:
            places = [{**known, "loc": ("body", *known["loc"])} for known in error.errors(include_url=False)]
            raise RequestValidationError(places) from None

    return read


async def read_json_body(request: Request) -> bytes:
    """Return the bytes of a body that is said to be JSON, or not said to be anything; the gate bounds its length.

    Raises
    ------
    Refusal
        415 for a content type that is not JSON.
    """
    _check_content_type(request)
    return await request.body()


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refusal(413, "Content Too Large", f"A body may have {MAX_BODY_BYTES} bytes at most.")
    return bytes(body)


def _check_content_type(request: Request) -> None:
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if named in ("", "application/json", FORM) or (named.startswith("application/") and named.endswith("+json")):
        return
    raise Refusal(415, "Unsupported Media Type", "Send JSON: Content-Type: application/json.")


def body_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI entry of a JSON body that must be there."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def documented_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI entry of an optional JSON body."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema}}}}
