"""Quantiles of a stream of numbers, with weights: a DDSketch of one number's history."""

from __future__ import annotations

import math
from typing import Any

RELATIVE_ERROR = 0.01
"""Error of a quantile (Masson, Rim, Lee: "DDSketch", VLDB 2019, alpha)."""

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = math.log(_GAMMA)
_LEAST = 1e-9
"""Smaller values count as 0."""


class Quantiles:
    """Quantiles of numbers that are not negative, each within 1 % of its true value.

    Unlike P² (`river.stats.Quantile`) it takes weights, so that an anomalous value can count little, and two of
    them add up exactly, so that what was learnt in the last hour can be kept apart until it counts. It does not
    depend on the order of the values. Buckets are as many as the values are spread: about 115 for each factor of
    ten.

    Examples
    --------
    >>> quantiles = Quantiles()
    >>> for number in range(1, 1001):
    ...     quantiles.learn(number, 1.0)
    >>> round(quantiles.value_at(0.95))
    952
    """

    def __init__(self) -> None:
        self.zeros = 0.0
        self.least = math.inf
        self.greatest = -math.inf
        self._buckets: dict[int, float] = {}

    def learn(self, value: float, weight: float) -> None:
        """Take a value in.

        Parameters
        ----------
        value : float
            Not negative.
        weight : float
            How much it counts; 0 leaves everything as it is.
        """
        if weight <= 0:
            return
        self.least, self.greatest = min(self.least, value), max(self.greatest, value)
        if value < _LEAST:
            self.zeros += weight
            return
        bucket = math.ceil(math.log(value) / _LOG_GAMMA)
        self._buckets[bucket] = self._buckets.get(bucket, 0.0) + weight

    @property
    def weight(self) -> float:
        """Sum of all weights."""
        return self.zeros + math.fsum(self._buckets.values())

    def value_at(self, share: float) -> float:
        """Return the least value that ``share`` of the weight does not exceed (nearest rank); NaN without any."""
        rank = share * self.weight
        passed = self.zeros
        if not self.weight:
            return math.nan
        if passed >= rank and self.zeros:
            return 0.0
        for bucket in sorted(self._buckets):
            passed += self._buckets[bucket]
            if passed >= rank * (1 - 1e-12):
                middle = 2 * math.pow(_GAMMA, bucket) / (_GAMMA + 1)
                return min(max(middle, self.least), self.greatest)
        return self.greatest

    def add(self, other: Quantiles, factor: float = 1.0) -> None:
        """Take in all that another one has learnt, after its own weights were multiplied by ``factor``."""
        self.zeros = self.zeros * factor + other.zeros
        buckets = {bucket: weight * factor for bucket, weight in self._buckets.items()}
        for bucket, weight in other._buckets.items():
            buckets[bucket] = buckets.get(bucket, 0.0) + weight
        self._buckets = buckets
        self.least, self.greatest = min(self.least, other.least), max(self.greatest, other.greatest)

    def state(self) -> list[Any]:
        """Return everything as JSON values, for ``restore``."""
        edges = [self.least, self.greatest] if self.greatest >= self.least else []
        return [self.zeros, edges, list(self._buckets), list(self._buckets.values())]

    @classmethod
    def restore(cls, state: list[Any]) -> Quantiles:
        """Return what ``state`` was taken of."""
        quantiles = cls()
        quantiles.zeros, edges, buckets, weights = state
        if edges:
            quantiles.least, quantiles.greatest = edges
        quantiles._buckets = dict(zip(buckets, weights, strict=True))
        return quantiles
