"""The REST API from outside: what the command line asks a running stack."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from infra.settings import Settings
from schemas.errors import SpanwatchError

Answer = dict[str, Any]
"""A JSON object as the API documents it."""

_TIMEOUT_S = 120.0
_POLL_S = 0.05
_PAGE = 1000


class NoAnswerError(SpanwatchError):
    """No stack answers at this address."""

    can_retry = True


class RemoteStack:
    """A running stack, asked over HTTP.

    Parameters
    ----------
    settings : Settings
        Its address: the first port of the settings.
    """

    def __init__(self, settings: Settings) -> None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"http://{host}:{settings.ports[0]}"
        self._client = httpx.Client(base_url=self.url, timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def is_up(self) -> bool:
        """Whether a stack answers there and is well."""
        try:
            return self._client.get("/health", timeout=2.0).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def get(self, path: str, **parameters: str | int | float) -> Answer:
        """Return the answer of a GET.

        Raises
        ------
        NoAnswerError
            Nothing answers.
        SpanwatchError
            It refuses, in its own words.
        """
        return self._ask("GET", path, params=parameters)

    def post(self, path: str, body: Answer) -> Answer:
        """Return the answer of a POST; raises as ``get``."""
        return self._ask("POST", path, json=body)

    @contextmanager
    def download(self, path: str, **parameters: str) -> Iterator[httpx.Response]:
        """Yield the answer of a GET whose body is read as it comes; raises as ``get``, also when it breaks off."""
        try:
            with self._client.stream("GET", path, params=parameters) as answer:
                if answer.is_error:
                    answer.read()
                    raise SpanwatchError(str(answer.json().get("message") or answer.reason_phrase))
                yield answer
        except httpx.RemoteProtocolError as error:
            raise SpanwatchError("The stack broke off; its log says why.") from error
        except httpx.HTTPError as error:
            raise NoAnswerError(f"Nothing answers at {self.url}: start it with `spanwatch up`.") from error

    def capture(self, capture_id: str) -> Answer | None:
        """Return where a capture stands, or None while the store does not know it; raises ``NoAnswerError``."""
        found = self._send("GET", f"/api/captures/{capture_id}")
        return dict(found.json()) if found.status_code == httpx.codes.OK else None

    def until_stored(self, capture_id: str, stall_s: float = 60.0) -> Iterator[Answer | None]:
        """Yield where a capture stands until every row of it is in the store, or it has failed.

        Raises
        ------
        SpanwatchError
            Nothing has moved for ``stall_s`` seconds.
        """
        seen: Answer | None = None
        moved_s = time.monotonic()
        while True:
            now = self.capture(capture_id)
            yield now
            if now is not None and (now["is_complete"] or now["state"] == "failed"):
                return
            if now != seen:
                seen, moved_s = now, time.monotonic()
            elif time.monotonic() - moved_s > stall_s:
                raise SpanwatchError(
                    f"Nothing has moved for {stall_s:.0f} s; is a worker running? `spanwatch status` shows the lag."
                )
            time.sleep(_POLL_S)

    def windows(self, capture_id: str) -> list[Answer]:
        """Return all windows of a capture, in order."""
        windows: list[Answer] = []
        while True:
            page = self.get("/api/metrics/", capture=capture_id, limit=_PAGE, offset=len(windows))
            windows += page["metrics"]
            if not page["metrics"] or len(windows) >= page["total"]:
                return windows

    def _ask(self, method: str, path: str, **request: Any) -> Answer:
        answer = self._send(method, path, **request)
        body = answer.json()
        if answer.is_error:
            raise SpanwatchError(str(body.get("message") or body.get("error") or answer.reason_phrase))
        return dict(body)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **request)
        except httpx.HTTPError as error:
            raise NoAnswerError(f"Nothing answers at {self.url}: start it with `spanwatch up`.") from error
