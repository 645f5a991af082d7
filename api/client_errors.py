"""What the Python client raises.

::

    IDSAPIError               the API refused, or nobody answered
    ├── InvalidInputError     what was sent are no features, or too many
    ├── AccessError           a key is needed, or another one
    ├── RateLimitError        too many requests in a short time
    └── UnavailableError      nobody answers, or there is no model
"""

from __future__ import annotations

from typing import Any

import httpx

from schemas.errors import SpanwatchError

Answer = dict[str, Any]
"""A JSON object as the API documents it."""


_OK = 200


class IDSAPIError(SpanwatchError):
    """The API refused a request.

    Parameters
    ----------
    message : str
    status : int or None
        HTTP status; None when there was no answer.
    answer : dict
        What it answered, as far as it was a JSON object.
    """

    def __init__(self, message: str, status: int | None = None, answer: Answer | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.answer = answer or {}


class InvalidInputError(IDSAPIError):
    """What was sent are no features: not 78, or not finite numbers; or too many rows (413, 422)."""


class AccessError(IDSAPIError):
    """The API asks for a key, or for one that allows this (401, 403)."""


class RateLimitError(IDSAPIError):
    """Too many requests in a short time (429)."""

    can_retry = True


class UnavailableError(IDSAPIError):
    """Nobody answers, or there is no model (503)."""

    can_retry = True


ERRORS: dict[int, type[IDSAPIError]] = {
    401: AccessError,
    403: AccessError,
    413: InvalidInputError,
    422: InvalidInputError,
    429: RateLimitError,
    503: UnavailableError,
}


def error_of(status: int, answer: object) -> IDSAPIError:
    """Return the error that an answer stands for.

    Parameters
    ----------
    status : int
        HTTP status.
    answer : object
        Its JSON; what is no object is left out.
    """
    known: Answer = answer if isinstance(answer, dict) else {}
    message = str(known.get("detail") or known.get("error") or f"The API answered with status {status}.")
    return ERRORS.get(status, IDSAPIError)(message, status, known)


def json_of(answer: httpx.Response) -> Any:
    """Return the JSON of an answer, None when it is none."""
    try:
        return answer.json()
    except ValueError:
        return None


def checked(answer: httpx.Response) -> Any:
    """Return the JSON of an answer; raise ``IDSAPIError`` when it is a refusal or none."""
    said = json_of(answer)
    if answer.status_code != _OK or said is None:
        raise error_of(answer.status_code, said)
    return said


def checked_object(answer: httpx.Response) -> Answer:
    """Return the JSON object of an answer; raise ``IDSAPIError`` when it is a refusal or none."""
    said = checked(answer)
    if not isinstance(said, dict):
        raise error_of(answer.status_code, said)
    return said
