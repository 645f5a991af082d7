from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from api.client import IDSAPIClient, benchmark_api_performance
from api.client_errors import AccessError, IDSAPIError, InvalidInputError, RateLimitError, UnavailableError
from infra.model_runtime import Model
from infra.settings import SHIPPED_MODEL
from infra.store import Store
from tests.api.stack import Running, running, settings_in

ROWS = (10 ** np.random.default_rng(0).uniform(0, 6, (250, 78))).astype(np.float32)
Said = TypeVar("Said")


@pytest.fixture(scope="module")
def url(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(settings_in(tmp_path_factory.mktemp("served")), module_store) as stack:
        yield url_of(stack)


def url_of(stack: Running) -> str:
    return str(stack.http.base_url)


def asked(url: str, ask: Callable[[IDSAPIClient], Coroutine[Any, Any, Said]], **options: Any) -> Said:
    async def run() -> Said:
        async with IDSAPIClient(url, **options) as client:
            return await ask(client)

    return asyncio.run(run())


def test_the_documents_own_lines_work(url: str) -> None:
    async def lines() -> None:
        client = IDSAPIClient(url)
        health = await client.health_check()
        assert health["status"] == "healthy"
        features = [0.1, 0.2, 0.3] + [0.0] * 75
        prediction = await client.predict(features)
        assert isinstance(prediction["is_attack"], bool)
        assert f"{prediction['confidence']:.1%}".endswith("%")
        batch = await client.predict_batch([{"features": features, "id": "sample_1"}, {"features": features}])
        assert [one["id"] for one in batch["predictions"]] == ["sample_1", None]
        await client.close()
        results = await benchmark_api_performance(20, url)
        assert f"{results['avg_time']:.3f}s {results['rps']:.1f}"

    asyncio.run(lines())


def test_arrays_are_classified_a_hundred_rows_at_a_time(url: str) -> None:
    expected = Model.load(SHIPPED_MODEL).predict(ROWS)
    classes, probabilities = asked(url, lambda client: client.classify(ROWS))
    assert np.array_equal(classes, expected.classes)
    assert np.allclose(probabilities, expected.probabilities, atol=2e-5)
    batch = asked(url, lambda client: client.predict_batch(list(ROWS)))
    assert batch["processed_count"] == 250
    assert [one["prediction"] for one in batch["predictions"]] == expected.classes.tolist()
    one = asked(url, lambda client: client.predict(ROWS[7], metadata={"source_ip": "10.0.0.1"}))
    assert one["prediction"] == expected.classes[7]


def test_nothing_is_classified_as_nothing(url: str) -> None:
    classes, probabilities = asked(url, lambda client: client.classify(np.empty((0, 78))))
    assert (classes.shape, len(probabilities)) == ((0,), 0)
    assert asked(url, lambda client: client.predict_batch([]))["predictions"] == []


def test_the_model_is_told(url: str) -> None:
    assert asked(url, lambda client: client.model_info())["output_classes"] == 15


@pytest.mark.parametrize("features", [[0.0] * 77, [float("nan")] * 78, [True] * 78, ["x"] * 78])
def test_what_is_no_features_raises_in_the_words_of_the_contract(url: str, features: list[Any]) -> None:
    with pytest.raises(InvalidInputError, match="Invalid input data") as caught:
        asked(url, lambda client: client.predict(features))
    assert caught.value.status == 422
    assert caught.value.answer["details"]
    with pytest.raises(InvalidInputError, match="shape"):
        asked(url, lambda client: client.classify(np.zeros((3, 77))))


def test_without_a_model_health_says_so_and_predictions_raise(tmp_path: Path, store: Store) -> None:
    with running(settings_in(tmp_path, model_path=tmp_path / "none.pt"), store) as stack:
        assert asked(url_of(stack), lambda client: client.health_check())["status"] == "error"
        with pytest.raises(UnavailableError, match="Prediction service not initialized"):
            asked(url_of(stack), lambda client: client.predict(ROWS[0]))


def test_nobody_there_is_told_after_the_last_attempt() -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        asked("http://127.0.0.1:1", lambda client: client.health_check(), retries=1, timeout_s=5)


def test_a_key_is_shown_and_a_wrong_one_is_told(url: str) -> None:
    with pytest.raises(AccessError):
        asked(url, lambda client: client.predict(ROWS[0]), api_key="wrong")


@contextmanager
def answering(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serve prepared answers, the last one again and again; yield the address and the paths asked for."""
    asked_for: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers[min(len(asked_for), len(answers) - 1)]
            asked_for.append(self.path)
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked_for
        finally:
            server.shutdown()
            thread.join()


def test_a_client_that_is_asked_to_wait_asks_again() -> None:
    with answering((429, {"retry-after": "0"}, b"{}"), (200, {}, b'{"status": "healthy"}')) as (address, paths):
        assert asked(address, lambda client: client.health_check()) == {"status": "healthy"}
        assert len(paths) == 2


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, b'{"detail": "60/minute are allowed."}', RateLimitError),
        (500, b"<html>", IDSAPIError),
        (200, b"<html>", IDSAPIError),
        (200, b"[]", IDSAPIError),
        (503, b"<html>", UnavailableError),
    ],
)
def test_an_answer_that_is_none_raises(status: int, body: bytes, kind: type[IDSAPIError]) -> None:
    with answering((status, {"retry-after": "0"}, body)) as (address, _), pytest.raises(kind) as caught:
        asked(address, lambda client: client.health_check())
    assert caught.value.status == status


def test_a_benchmark_says_the_documented_figures(url: str) -> None:
    results = asyncio.run(benchmark_api_performance(30, url, concurrency=3))
    assert results.keys() >= {"avg_time", "rps", "p50", "p95", "p99"}
    assert results["requests"] == 30
    assert 0 < results["min_time"] <= results["p50"] <= results["p95"] <= results["p99"] <= results["max_time"]
    with pytest.raises(ValueError, match="1 or more"):
        asyncio.run(benchmark_api_performance(0, url))
