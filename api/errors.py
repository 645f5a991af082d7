"""Every error answer: one envelope that satisfies all three contracts, and where errors become answers.

The Analyzer documents ``error``, ``message``, ``timestamp``; PhantomNet ``detail``; RL-IDS ``detail`` or
``error``, ``timestamp``. The envelope has all of them, so a client of any contract finds its own keys.
"""

from __future__ import annotations

import http.client
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from schemas.errors import BrokerError, SpanwatchError, StoreError

logger = logging.getLogger(__name__)

DEFENCE_PREFIX = "/active-defense"
"""Paths whose errors have ``status`` as well, as PhantomNet documents."""

ANALYZER_PREFIXES = (
    "/api/status",
    "/api/metrics",
    "/api/anomalies",
    "/api/baselines",
    "/api/control",
    "/api/captures",
    "/api/stream",
    "/api/export",
    "/api/flows",
    "/api/classifications",
    "/api/honeypots",
    "/active-defense",
    "/api/audit",
    "/api/models",
    "/api/hosts",
)
"""Paths of the Analyzer contract (and ours), which documents 400 for invalid parameters; others say 422."""


def iso_now() -> str:
    """Return the time in the documented form: UTC, microseconds, no zone."""
    return iso_of(datetime.now(UTC))


def iso_of(moment: datetime) -> str:
    """Return a moment in the documented form: UTC, microseconds, no zone."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


class ErrorAnswer(BaseModel):
    """Why a request was not answered."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "error": "Bad Request",
                "message": "limit: Input should be greater than or equal to 1",
                "detail": "limit: Input should be greater than or equal to 1",
                "timestamp": "2026-01-09T17:44:30.123456",
            }
        }
    )

    error: str = Field(description="Kind of error, or the documented sentence.")
    message: str = Field(description="What is wrong, in a sentence.")
    detail: str = Field(description="The same sentence, under the name the other contracts use.")
    timestamp: str = Field(description="UTC.")


class FailureAnswer(ErrorAnswer):
    """Why an action was not done; ``error`` is the sentence."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "success": False,
                "error": "PCAP file not found: invalid/path.pcapng",
                "message": "PCAP file not found: invalid/path.pcapng",
                "detail": "PCAP file not found: invalid/path.pcapng",
                "timestamp": "2026-01-09T17:44:30.123456",
            }
        }
    )

    success: bool = False


class WindowNotFoundAnswer(ErrorAnswer):
    """There is no such window, or no such capture (then without the two numbers)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "error": "Window not found",
                "window_id": 999,
                "total_windows": 25,
                "message": "The capture has 25 windows, numbered from 0.",
                "detail": "The capture has 25 windows, numbered from 0.",
                "timestamp": "2026-01-09T17:44:30.123456",
            }
        }
    )

    window_id: int | None = None
    total_windows: int | None = None


class Refusal(SpanwatchError):  # noqa: N818 - it is an answer, not a fault of ours
    """A request that is answered with an error status.

    Parameters
    ----------
    status : int
        HTTP status.
    error : str
        Value of ``error``.
    message : str or None
        A sentence; the error itself when None.
    headers : mapping of str to str or None
        Headers of the answer.
    **keys : object
        Further documented keys of the answer.
    """

    def __init__(
        self,
        status: int,
        error: str,
        message: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **keys: object,
    ) -> None:
        super().__init__(message or error)
        self.status = status
        self.error = error
        self.headers = dict(headers or {})
        self.keys = keys


def failure(status: int, sentence: str) -> Refusal:
    """Return the refusal of an action: ``success: false`` and the sentence as ``error``."""
    return Refusal(status, sentence, success=False)


def envelope(error: str, message: str, **keys: object) -> dict[str, object]:
    """Return the body of an error answer."""
    return {**keys, "error": error, "message": message, "detail": message, "timestamp": iso_now()}


def _answer(status: int, body: dict[str, object], headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(body, status_code=status, headers=headers)


def _phrase(status: int) -> str:
    return http.client.responses.get(status, "Error")


def _contract_keys(request: Request) -> dict[str, object]:
    """Return the further keys that a contract documents for every error of a path."""
    return {"status": "error"} if request.url.path.startswith(DEFENCE_PREFIX) else {}


async def _on_refusal(request: Request, exc: Exception) -> JSONResponse:
    refusal = cast(Refusal, exc)
    keys = {**_contract_keys(request), **refusal.keys}
    return _answer(refusal.status, envelope(refusal.error, str(refusal), **keys), refusal.headers)


async def _on_http(request: Request, exc: Exception) -> JSONResponse:
    known = cast(HTTPException, exc)
    headers = dict(known.headers) if known.headers else None
    return _answer(
        known.status_code, envelope(_phrase(known.status_code), str(known.detail), **_contract_keys(request)), headers
    )


def sentence_of(errors: list[dict[str, Any]]) -> str:
    """Return what is wrong with which parameters, without repeating what was sent."""
    said = [f"{'.'.join(str(part) for part in error['loc'][1:]) or 'body'}: {error['msg']}" for error in errors]
    return "; ".join(said)[:500]


async def _on_invalid(request: Request, exc: Exception) -> JSONResponse:
    invalid = cast(RequestValidationError, exc)
    status = 400 if request.url.path.startswith(ANALYZER_PREFIXES) else 422
    return _answer(status, envelope(_phrase(status), sentence_of(list(invalid.errors())), **_contract_keys(request)))


async def _on_ours(_: Request, exc: Exception) -> JSONResponse:
    """Answer for the store or the broker: the sentence may name paths, so it goes to the log only."""
    known = cast(SpanwatchError, exc)
    logger.error("%s: %s", type(known).__name__, known)
    if isinstance(known, StoreError | BrokerError):
        return _answer(503, envelope(_phrase(503), "A part of the service does not answer. Try again."))
    return await _on_anything(_, exc)


async def _on_anything(_: Request, exc: Exception) -> JSONResponse:
    """Answer for a fault of ours; uvicorn logs the stack trace, the client never sees it."""
    return _answer(500, envelope(_phrase(500), "The service failed to answer. Its log says why."))


def install_error_answers(app: FastAPI) -> None:
    """Make every error of an application a JSON answer."""
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(SpanwatchError, _on_ours)
    app.add_exception_handler(Exception, _on_anything)


Responses = dict[int | str, dict[str, Any]]


def documented(*statuses: int, model: type[ErrorAnswer] = ErrorAnswer) -> Responses:
    """Return the OpenAPI entries of error statuses.

    Parameters
    ----------
    *statuses : int
        Statuses that the endpoint itself gives; 500 and 503 are added.
    model : type of ErrorAnswer
        Body of the statuses named; 500 and 503 have the plain envelope.
    """
    own: Responses = {status: {"model": model, "description": _phrase(status)} for status in statuses}
    every: Responses = {status: {"model": ErrorAnswer, "description": _phrase(status)} for status in (500, 503)}
    return {**every, **own}
