"""The classifier behind the RL-IDS routes: requests that wait together share one forward pass."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from api.errors import Refusal
from infra.model_runtime import Model, Named
from schemas.classes import CLASS_NAMES, N_CLASSES
from schemas.errors import ModelError

logger = logging.getLogger(__name__)

MOST_ROWS = 4096
"""Rows of one pass, some 6 ms; what more there is waits for the next one. A request has 100 at most."""

ROWS_ON_LOOP = 128
"""A pass of up to so many rows runs on the event loop: its 0.2 ms are less than handing it to a thread and back costs
the others."""

NOT_READY = "Prediction service not initialized"
"""What the contract says while there is no model."""

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 512, 4096)
"""Upper edges of the histogram of rows in a pass."""


@dataclass(frozen=True)
class Prediction:
    """What a model said of the rows of one request.

    Parameters
    ----------
    named : Named
    model : Model
        The one that said it.
    """

    named: Named
    model: Model


@dataclass(frozen=True)
class _Waiting:
    rows: npt.NDArray[np.float32]
    answer: asyncio.Future[Prediction]


class Predictor(Collector):
    """Gives requests their verdicts; its methods are called on the event loop, except where they say otherwise.

    While a pass runs, requests that arrive are collected, and the next pass is for all of them. A pass that is
    started waits for nothing: alone, a request costs what its own pass costs.
    """

    def __init__(self) -> None:
        self._model: Model | None = None
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "predict")
        self._by_class = np.zeros(N_CLASSES, np.int64)
        self._sizes = np.zeros(len(SIZES) + 1, np.int64)
        self._rows = 0
        self.path: Path | None = None

    @property
    def model(self) -> Model | None:
        """The model in use; None before there is one that can be used."""
        return self._model

    @property
    def served(self) -> int:
        """Rows predicted since the start."""
        return self._rows

    def use(self, model: Model | None) -> None:
        """Take a model for all passes from the next one on; may be called by any thread.

        Parameters
        ----------
        model : Model or None
            None refuses predictions until there is one again.
        """
        self._model = model

    def load(self, path: Path) -> None:
        """Use the model of a file; one that cannot be used is logged, and predictions are refused."""
        self.path = path
        try:
            self.use(Model.load(path))
        except ModelError as error:
            logger.error("Nothing can be predicted: %s", error)  # noqa: TRY400 - the sentence says it all

    async def predict(self, rows: npt.NDArray[np.float32]) -> Prediction:
        """Name flows.

        Parameters
        ----------
        rows : array (n_flows, 78) of float32
            Checked by ``schemas.features.checked``.

        Raises
        ------
        Refusal
            503: there is no model that can be used.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Prediction] = loop.create_future()
        self._waiting.append(_Waiting(rows, answer))
        if self._task is None:
            # It starts with the loop's next turn: whoever is read in this one is in the same pass.
            self._task = loop.create_task(self._passes())
        return await answer

    def close(self) -> None:
        """Wait for the pass under way; nothing is predicted any more."""
        self._thread.shutdown()

    def collect(self) -> Iterator[Metric]:
        """Yield the figures for Prometheus."""
        by_class = CounterMetricFamily(
            "spanwatch_predictions", "Rows classified over the API, by class.", labels=["class"]
        )
        for name, count in zip(CLASS_NAMES, self._by_class.tolist(), strict=True):
            by_class.add_metric([name], count)
        yield by_class
        edges = [str(float(size)) for size in SIZES] + ["+Inf"]
        passes = zip(edges, np.cumsum(self._sizes).tolist(), strict=True)
        yield HistogramMetricFamily(
            "spanwatch_prediction_pass_rows",
            "Rows that shared one forward pass.",
            buckets=list(passes),
            sum_value=self._rows,
        )
        model = GaugeMetricFamily(
            "spanwatch_prediction_model_info",
            "Always 1; its labels say which model predicts. Missing while there is none.",
            labels=["model", "version"],
        )
        if self._model is not None:
            model.add_metric([self._model.facts.fingerprint, self._model.facts.version], 1)
        yield model

    async def _passes(self) -> None:
        """Answer whoever waits, a pass at a time, until nobody does."""
        try:
            while self._waiting:
                batch = self._taken()
                try:
                    self._answer(batch, await self._pass(batch))
                except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it was
                    for one in batch:
                        if not one.answer.done():
                            one.answer.set_exception(error)
        finally:
            self._task = None

    def _taken(self) -> list[_Waiting]:
        """Take as many of those who wait as fit into one pass, at least one."""
        rows = count = 0
        while count < len(self._waiting) and rows < MOST_ROWS:
            rows += len(self._waiting[count].rows)
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _pass(self, batch: list[_Waiting]) -> Prediction:
        model = self._model
        if model is None:
            raise Refusal(503, "Service Unavailable", NOT_READY)
        rows = batch[0].rows if len(batch) == 1 else np.concatenate([one.rows for one in batch])
        if len(rows) <= ROWS_ON_LOOP:
            return Prediction(model.predict(rows), model)
        loop = asyncio.get_running_loop()
        return Prediction(await loop.run_in_executor(self._thread, model.predict, rows), model)

    def _answer(self, batch: list[_Waiting], said: Prediction) -> None:
        """Hand each request its part of a pass, and count."""
        first, named = 0, said.named
        for one in batch:
            part = slice(first, first := first + len(one.rows))
            if not one.answer.done():  # its client may have gone
                one.answer.set_result(Prediction(Named(named.classes[part], named.probabilities[part]), said.model))
        self._by_class += np.bincount(named.classes, minlength=N_CLASSES)
        self._sizes[bisect_left(SIZES, first)] += 1
        self._rows += first
