"""The Python client of the RL-IDS contract, and how fast an API answers it.

::

    async with IDSAPIClient("http://localhost:8000") as client:
        prediction = await client.predict(features)  # 78 numbers
        if prediction["is_attack"]:
            print(prediction["predicted_class"], prediction["confidence"])
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
import numpy.typing as npt

from api.client_errors import Answer, InvalidInputError, UnavailableError, checked, checked_object, json_of
from schemas.classes import N_CLASSES
from schemas.flows import N_FEATURES

Features = Sequence[float] | npt.NDArray[np.floating]
"""78 raw values of CICFlowMeter (µs, bytes), in the order of ``model_info()["feature_names"]``."""

MAX_ROWS = 100
"""Rows of one request; more are sent in several."""

REQUESTS_AT_ONCE = 4
"""Of those, how many are under way at the same time."""

KEY_VARIABLE = "SPANWATCH_API_KEY"
"""The setting of the same name, which commands go by; the client reads no other setting."""

_TOO_MANY, _UNWELL = 429, 503
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_JSON = {"content-type": "application/json"}


class IDSAPIClient:
    """Asks an API what kind of traffic flows are; connections are kept and shared by concurrent calls.

    Parameters
    ----------
    base_url : str
    api_key : str or None
        Shown with every request; None takes SPANWATCH_API_KEY of the environment, empty shows none.
    timeout_s : float
        How long one attempt may take.
    retries : int
        Further attempts when nobody answers, or it is asked to wait. Asking twice does no harm: predictions change
        nothing.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8000",
        *,
        api_key: str | None = None,
        timeout_s: float = 10.0,
        retries: int = 2,
    ) -> None:
        key = os.environ.get(KEY_VARIABLE, "") if api_key is None else api_key
        headers = _JSON | ({"authorization": f"Bearer {key}"} if key else {})
        self._http = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=timeout_s, follow_redirects=True)
        self._retries = retries

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def health_check(self) -> Answer:
        """Say how the service is: ``status`` is ``healthy``, ``ok`` or, when it is not well, ``error``.

        Raises
        ------
        UnavailableError
            Nobody answers.
        """
        answer = await self._send("GET", "/health", None)
        if answer.status_code == _UNWELL and isinstance(said := json_of(answer), dict):
            return said
        return checked_object(answer)

    async def model_info(self) -> Answer:
        """Say which model predicts; raises ``IDSAPIError``."""
        return checked_object(await self._send("GET", "/model/info", None))

    async def predict(self, features: Features, metadata: Mapping[str, Any] | None = None) -> Answer:
        """Say what kind of traffic a flow is.

        Parameters
        ----------
        features : sequence of 78 numbers
        metadata : mapping or None
            Anything to send along; the service does not look at it.

        Returns
        -------
        dict
            ``prediction``, ``predicted_class``, ``confidence``, ``is_attack``, ``class_probabilities`` and more.

        Raises
        ------
        InvalidInputError
            They are not 78, or not finite numbers.
        IDSAPIError
            Anything else; see its kinds.
        """
        body: Answer = {"features": _plain(features)}
        if metadata is not None:
            body["metadata"] = dict(metadata)
        return checked_object(await self._post("/predict", body))

    async def predict_batch(self, batch: Sequence[Features | Mapping[str, Any]]) -> Answer:
        """Say what kind of traffic flows are.

        Parameters
        ----------
        batch : sequence
            Of features, or of objects with ``features`` and, if wanted, ``id``. More than a hundred are sent in several
            requests.

        Returns
        -------
        dict
            ``predictions``, one for each in the same order, with its ``id``; ``processed_count``.

        Raises
        ------
        IDSAPIError
            As of ``predict``; then there is no answer for any.
        """
        items = [_item(one) for one in batch]
        parts = await self._in_parts("/predict_batch", items, lambda part: {"batch": part})
        answers = [checked_object(part) for part in parts]
        predictions = [one for answer in answers for one in answer["predictions"]]
        return {**answers[-1], "predictions": predictions, "processed_count": len(predictions)}

    async def classify(self, features: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Name many flows at once.

        Parameters
        ----------
        features : array-like (n_flows, 78)

        Returns
        -------
        classes : array (n_flows,) of int64
            Numbers in ``model_info()["class_names"]``.
        probabilities : array (n_flows, 15) of float64

        Raises
        ------
        IDSAPIError
            As of ``predict``.
        """
        rows = np.asarray(features, np.float64)
        if rows.ndim != 2 or rows.shape[1] != N_FEATURES:
            raise InvalidInputError(f"Expected rows of {N_FEATURES} features, got an array of the shape {rows.shape}")
        items = [{"features": row} for row in rows.tolist()]
        parts = await self._in_parts("/predict/batch", items, lambda part: part)
        verdicts = [one for part in parts for one in checked(part)]
        probabilities = np.array([one["class_probabilities"] for one in verdicts], np.float64)
        classes = np.array([one["prediction"] for one in verdicts], np.int64)
        return classes, probabilities.reshape(len(rows), N_CLASSES)

    async def _in_parts(
        self, path: str, items: list[Answer], body_of: Callable[[list[Answer]], object]
    ) -> list[httpx.Response]:
        """Post items a hundred at a time, some requests side by side; return the answers in order."""
        at_once = asyncio.Semaphore(REQUESTS_AT_ONCE)

        async def post(first: int) -> httpx.Response:
            async with at_once:
                return await self._post(path, body_of(items[first : first + MAX_ROWS]))

        return await asyncio.gather(*(post(first) for first in range(0, max(1, len(items)), MAX_ROWS)))

    async def _post(self, path: str, body: object) -> httpx.Response:
        # NaN and infinities are sent as they are: the service refuses them in the contract's words.
        return await self._send("POST", path, json.dumps(body, default=_plain).encode())

    async def _send(self, method: str, path: str, content: bytes | None) -> httpx.Response:
        """Send a request, again when nobody answers or the API asks to wait."""
        for attempt in range(self._retries + 1):
            is_last = attempt == self._retries
            wait_s = min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S)
            try:
                answer = await self._http.request(method, path, content=content)
            except httpx.TransportError as error:
                if is_last:
                    raise UnavailableError(f"{self._http.base_url} does not answer: {error!r}.") from error
            else:
                asked_s = answer.headers.get("retry-after", "")
                if answer.status_code != _TOO_MANY or is_last:
                    return answer
                wait_s = min(float(asked_s) if asked_s.isdigit() else wait_s, _LONGEST_WAIT_S)
            await asyncio.sleep(wait_s)
        raise AssertionError  # the last attempt returns or raises


async def benchmark_api_performance(
    n: int = 100, base_url: str = "http://localhost:8000", *, concurrency: int = 1, api_key: str | None = None
) -> dict[str, float]:
    """Measure how fast an API predicts, with this client: its own time is in the figures.

    Parameters
    ----------
    n : int
        Single predictions to ask for, of made-up flows.
    base_url : str
    concurrency : int
        How many are asked for at the same time.
    api_key : str or None
        As for ``IDSAPIClient``.

    Returns
    -------
    dict of str to float
        ``avg_time``, ``p50``, ``p95``, ``p99``, ``min_time``, ``max_time`` and ``total_time`` in seconds; ``rps``,
        answers per second; ``requests``.

    Raises
    ------
    IDSAPIError
        The API refuses or does not answer.
    """
    if n < 1 or concurrency < 1:
        raise ValueError("n and concurrency must be 1 or more")
    rows = (10 ** np.random.default_rng(0).uniform(0, 6, (min(n, MAX_ROWS), N_FEATURES))).tolist()
    took_s: list[float] = []
    async with IDSAPIClient(base_url, api_key=api_key) as client:

        async def ask(numbers: Iterator[int]) -> None:
            for number in numbers:
                began_s = time.perf_counter()
                await client.predict(rows[number % len(rows)])
                took_s.append(time.perf_counter() - began_s)

        await asyncio.gather(*(client.predict(rows[0]) for _ in range(concurrency)))  # connects, outside the figures
        began_s = time.perf_counter()
        numbers = iter(range(n))
        await asyncio.gather(*(ask(numbers) for _ in range(concurrency)))
        total_s = time.perf_counter() - began_s
    p50, p95, p99 = np.percentile(took_s, (50, 95, 99)).tolist()
    return {
        "requests": len(took_s),
        "total_time": total_s,
        "avg_time": sum(took_s) / len(took_s),
        "rps": len(took_s) / total_s,
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "min_time": min(took_s),
        "max_time": max(took_s),
    }


def _plain(values: object) -> Any:
    """Return an array or one of its numbers as JSON has them."""
    return values.tolist() if hasattr(values, "tolist") else list(values)  # type: ignore[call-overload]


def _item(one: Features | Mapping[str, Any]) -> Answer:
    """Return one row of a batch as it is sent."""
    return dict(one) if isinstance(one, Mapping) else {"features": _plain(one)}
