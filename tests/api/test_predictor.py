from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from api.errors import Refusal
from api.predictor import MOST_ROWS, ROWS_ON_LOOP, Prediction, Predictor
from infra.model_runtime import Model, Named
from infra.settings import SHIPPED_MODEL

MODEL = Model.load(SHIPPED_MODEL)


@pytest.fixture
def predictor() -> Iterator[Predictor]:
    one = Predictor()
    one.use(MODEL)
    yield one
    one.close()


def rows(count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return (10 ** np.random.default_rng(seed).uniform(0, 6, (count, 78))).astype(np.float32)


def figure(predictor: Predictor, line: str) -> float:
    registry = CollectorRegistry()
    registry.register(predictor)
    found = [text for text in generate_latest(registry).decode().splitlines() if text.startswith(line + " ")]
    return float(found[0].rpartition(" ")[2])


def together(predictor: Predictor, *requests: npt.NDArray[np.float32]) -> list[Prediction]:
    async def ask() -> list[Prediction]:
        return await asyncio.gather(*(predictor.predict(one) for one in requests))

    return asyncio.run(ask())


@pytest.mark.parametrize("sizes", [[1], [1] * 20, [3, 1, 100, 7], [0, 2], [ROWS_ON_LOOP + 1], [100] * 50])
def test_every_request_gets_the_verdicts_of_its_own_rows(predictor: Predictor, sizes: list[int]) -> None:
    requests = [rows(size, seed) for seed, size in enumerate(sizes)]
    for asked, said in zip(requests, together(predictor, *requests), strict=True):
        alone = MODEL.predict(asked)
        assert np.array_equal(said.named.classes, alone.classes)
        assert np.allclose(said.named.probabilities, alone.probabilities, atol=1e-5)
        assert said.model is MODEL
    assert predictor.served == sum(sizes)


def test_requests_that_wait_together_share_a_pass(predictor: Predictor) -> None:
    together(predictor, *(rows(1, seed) for seed in range(30)))
    assert figure(predictor, 'spanwatch_prediction_pass_rows_bucket{le="+Inf"}') == 1
    assert figure(predictor, 'spanwatch_prediction_pass_rows_bucket{le="16.0"}') == 0
    assert figure(predictor, "spanwatch_prediction_pass_rows_sum") == 30


def test_a_pass_has_at_most_so_many_rows(predictor: Predictor) -> None:
    together(predictor, *(rows(100, seed) for seed in range(MOST_ROWS // 100 + 2)))
    assert figure(predictor, "spanwatch_prediction_pass_rows_count") == 2


class Held(Model):
    """A real model whose passes wait until they are let go."""

    def __init__(self) -> None:
        vars(self).update(vars(MODEL))
        self.is_free = threading.Event()
        self.sizes: list[int] = []

    def predict(self, features: npt.ArrayLike) -> Named:
        assert self.is_free.wait(30)
        self.sizes.append(len(np.asarray(features)))
        return super().predict(features)


def test_what_arrives_while_a_pass_runs_shares_the_next_one_and_the_loop_goes_on(predictor: Predictor) -> None:
    held = Held()
    predictor.use(held)

    async def ask() -> None:
        first = asyncio.create_task(predictor.predict(rows(ROWS_ON_LOOP + 1)))
        for _ in range(3):
            await asyncio.sleep(0)
        others = [asyncio.create_task(predictor.predict(rows(ROWS_ON_LOOP, seed))) for seed in range(5)]
        for _ in range(3):
            await asyncio.sleep(0)
        assert not first.done()
        others[0].cancel()  # its client has gone
        held.is_free.set()
        await asyncio.gather(first, *others[1:])

    asyncio.run(ask())
    assert held.sizes == [ROWS_ON_LOOP + 1, 5 * ROWS_ON_LOOP]


def test_a_model_is_changed_between_two_passes(predictor: Predictor) -> None:
    other = Model.load(SHIPPED_MODEL)
    [before] = together(predictor, rows(1))
    predictor.use(other)
    [after] = together(predictor, rows(1))
    assert (before.model, after.model) == (MODEL, other)


def test_without_a_model_everybody_who_waits_is_refused(predictor: Predictor) -> None:
    predictor.use(None)

    async def ask() -> list[Prediction | BaseException]:
        return await asyncio.gather(*(predictor.predict(rows(1)) for _ in range(3)), return_exceptions=True)

    for said in asyncio.run(ask()):
        assert isinstance(said, Refusal)
        assert (said.status, str(said)) == (503, "Prediction service not initialized")
    predictor.use(MODEL)
    assert len(together(predictor, rows(1))) == 1


def test_a_pass_that_fails_is_told_to_all_who_wait_and_the_next_one_runs(predictor: Predictor) -> None:
    async def ask() -> list[Prediction | BaseException]:
        wrong = np.full((1, 78), np.nan, np.float32)
        return await asyncio.gather(predictor.predict(wrong), predictor.predict(rows(1)), return_exceptions=True)

    assert all(isinstance(said, Exception) for said in asyncio.run(ask()))
    assert len(together(predictor, rows(1))) == 1


def test_a_file_that_is_no_model_leaves_predictions_refused(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "one.pt").write_bytes(b"no bundle")
    fresh = Predictor()
    fresh.load(tmp_path / "one.pt")
    assert fresh.model is None
    fresh.load(SHIPPED_MODEL)
    assert fresh.model is not None
    fresh.close()


def test_predictions_are_counted_by_class(predictor: Predictor) -> None:
    [said] = together(predictor, rows(50))
    name = MODEL.facts.classes[said.named.classes[0]]
    count = int((said.named.classes == said.named.classes[0]).sum())
    assert figure(predictor, f'spanwatch_predictions_total{{class="{name}"}}') == count
    facts = MODEL.facts
    labels = f'{{model="{facts.fingerprint}",version="{facts.version}"}}'
    assert figure(predictor, f"spanwatch_prediction_model_info{labels}") == 1
