"""The REST API from outside: what the command line asks a running stack."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from infra.settings import Settings
from infra.settings_access import AccessSettings
from schemas.errors import SettingsError, SpanwatchError

Answer = dict[str, Any]
"""A JSON object as the API documents it."""

_TIMEOUT_S = 120.0

_KEEP_ALIVE_S = 2.0
"""How long a connection is kept for the next question: the service closes one after 5 s, maybe just as it is asked."""

_HEALTH = httpx.Timeout(10.0, connect=2.0)
"""Who does not listen is not there; who listens and is slow to say how it is may only be busy."""

PATIENCE_S = 180.0
"""How long a capture may stand still before that is taken for a fault: the first start of a version compiles code,
which took more than a minute on a busy machine."""
_POLL_S = 0.05
_PAGE = 1000
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - who listens everywhere is asked here


class NoAnswerError(SpanwatchError):
    """No stack answers at this address."""

    can_retry = True


def url_of(settings: Settings) -> str:
    """Return the address of the API: ``api_url``, or else the first port of this machine's."""
    if settings.api_url:
        return settings.api_url.rstrip("/")
    host = _HERE.get(settings.host, settings.host)
    scheme = "http" if settings.tls_certificate is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.ports[0]}"


def key_headers(key: str) -> dict[str, str]:
    """Return the headers that show a key; none without one."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def trusted_by(settings: AccessSettings) -> ssl.SSLContext:
    """Return what HTTPS is spoken with: the system's authorities are trusted, and those of the settings.

    Raises
    ------
    SettingsError
        The file of authorities cannot be used.
    """
    context = ssl.create_default_context()
    authorities = settings.api_ca or settings.tls_certificate
    if authorities is not None:
        try:
            context.load_verify_locations(authorities)
        except (OSError, ssl.SSLError) as error:
            said = error.strerror or error
            raise SettingsError(f"The certificate authorities in {authorities} cannot be used: {said}.") from error
    return context


class RemoteStack:
    """A running stack, asked over HTTP.

    Parameters
    ----------
    settings : Settings
        Its address, and the key to show.
    key : str
        Another key to show.
    """

    def __init__(self, settings: Settings, key: str = "") -> None:
        self.url = url_of(settings)
        self._client = httpx.Client(
            base_url=self.url,
            timeout=_TIMEOUT_S,
            limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE_S),
            headers=key_headers(key or settings.api_key.get_secret_value()),
            verify=trusted_by(settings),
        )

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
            return self._client.get("/health", timeout=_HEALTH).status_code == httpx.codes.OK
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

    def post(self, path: str, body: Answer, **parameters: str) -> Answer:
        """Return the answer of a POST; raises as ``get``."""
        return self._ask("POST", path, json=body, params=parameters)

    def delete(self, path: str) -> Answer:
        """Return the answer of a DELETE; raises as ``get``."""
        return self._ask("DELETE", path)

    def act(self, method: str, path: str, content: bytes | None = None, **parameters: str) -> Answer:
        """Return the answer of any request, whose body is sent as it is; raises as ``get``."""
        return self._ask(method, path, params=parameters, content=content)

    @contextmanager
    def download(self, path: str, *, method: str = "GET", **parameters: str) -> Iterator[httpx.Response]:
        """Yield an answer whose body is read as it comes; raises as ``get``, also when it breaks off."""
        try:
            with self._client.stream(method, path, params=parameters) as answer:
                if answer.is_error:
                    answer.read()
                    raise SpanwatchError(str(answer.json().get("message") or answer.reason_phrase))
                yield answer
        except httpx.RemoteProtocolError as error:
            raise SpanwatchError("The stack broke off; its log says why.") from error
        except httpx.HTTPError as error:
            raise self._no_answer(error) from error

    def capture(self, capture_id: str) -> Answer | None:
        """Return where a capture stands, or None while the store does not know it; raises ``NoAnswerError``."""
        found = self._send("GET", f"/api/captures/{capture_id}")
        return dict(found.json()) if found.status_code == httpx.codes.OK else None

    def until_stored(self, capture_id: str, stall_s: float = PATIENCE_S) -> Iterator[Answer | None]:
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
            raise self._no_answer(error) from error

    def _no_answer(self, error: httpx.HTTPError) -> NoAnswerError:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return NoAnswerError(f"The certificate of {self.url} is not trusted; SPANWATCH_API_CA names whose is.")
        return NoAnswerError(f"Nothing answers at {self.url}: start it with `spanwatch up`.")
