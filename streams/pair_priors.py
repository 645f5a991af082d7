"""What flows between two hosts have lately been: the prior probability of each class for their next ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.classes import BENIGN, N_CLASSES
from streams.jit import kernel
from streams.snapshots import Snapshot

STRENGTH = 4.0
"""Flows that the usual prior counts as: with fewer others between the same hosts, these say little."""

USUAL_BENIGN = 0.5
"""Prior of benign that a model's probabilities are taken to rest on; the attacks share the rest evenly."""

MOST_PAIRS = 32_768
"""Pairs that are remembered of one capture on one partition, 2 MB; when there are more, a quarter is forgotten at once,
those with fewest flows."""

FORGOTTEN = 0.25
"""Flows that a pair must still count as, to be remembered when old ones are looked through."""

_LOOK_THROUGH = 16
"""Half-lives after which they are."""

_KIND = "pair priors 1"

Sums: TypeAlias = npt.NDArray[np.float64]
"""Shape (n_pairs, 15)."""


def _usual() -> npt.NDArray[np.float64]:
    prior = np.full(N_CLASSES, (1 - USUAL_BENIGN) / (N_CLASSES - 1))
    prior[BENIGN] = USUAL_BENIGN
    return prior


_USUAL = _usual()


@dataclass
class PairPriors:
    """Classes of the flows between each two hosts, newer ones counting more.

    Parameters
    ----------
    since_ns : int
        The capture's clock when a flow counted 1 in ``sums``; instead of the old ones counting less, new ones count
        more.
    pairs : array (n_pairs,) of uint64
        Who is remembered, ascending (``streams.split.pairs_of``).
    sums : array (n_pairs, 15) of float32
        Their flows by class.
    """

    since_ns: int = 0
    pairs: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    sums: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, N_CLASSES), np.float32))

    def adjust(
        self,
        pairs: npt.NDArray[np.uint64],
        probabilities: npt.NDArray[np.float32],
        is_over: npt.NDArray[np.bool_],
        clock_ns: int,
        half_life_ns: int,
    ) -> npt.NDArray[np.float32]:
        """Return probabilities under the prior of each flow's pair, and remember those of flows that are over.

        The prior is the mean of the other flows of the pair, those remembered and those given now, beside
        ``STRENGTH`` flows of the usual one; a probability is multiplied by what its class's prior has become of the
        usual one (Saerens, Latinne and Decaestecker, Neural Computation 14, 2002). A flow without others stays as it
        is.

        Parameters
        ----------
        pairs : array (n_flows,) of uint64
            The two hosts of each flow.
        probabilities : array (n_flows, 15) of float32
            Calibrated; each row sums to 1.
        is_over : array (n_flows,) of bool
            Which of them have ended: a flow that goes on comes again, and would be its own company.
        clock_ns : int
            The capture's clock, ns.
        half_life_ns : int
            After so long a flow counts half, ns.

        Returns
        -------
        array (n_flows, 15) of float32
            Each row sums to 1.
        """
        if not len(pairs):
            return probabilities
        names, place = np.unique(pairs, return_inverse=True)
        weight = self._weight(clock_ns, half_life_ns)
        at = np.searchsorted(self.pairs, names)
        is_known = np.isin(names, self.pairs, assume_unique=True)
        totals = np.zeros((len(names), N_CLASSES))
        totals[is_known] = self.sums[at[is_known]] / weight
        adjusted, told = np.empty_like(probabilities), np.zeros_like(totals)
        add_up(probabilities, place, totals)
        apply_priors(probabilities, place, totals, _USUAL, is_over, adjusted, told)
        over = (told * weight).astype(np.float32)
        self.sums[at[is_known]] += over[is_known]
        is_new = ~is_known & over.any(axis=1)
        self._add(names[is_new], over[is_new], at[is_new])
        return adjusted

    def to_bytes(self) -> bytes:
        """Return everything that is remembered, for ``from_bytes``."""
        bodies = [self.pairs.tobytes(), self.sums.tobytes()]
        return Snapshot(_KIND, {"since_ns": self.since_ns}, bodies).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> PairPriors:
        """Return what ``to_bytes`` was called on; raises ``WireError`` when it is nothing of the kind."""
        snapshot = Snapshot.from_bytes(data, _KIND)
        pairs, sums = snapshot.bodies
        rows = np.frombuffer(sums, np.float32).reshape(-1, N_CLASSES).copy()
        return cls(int(str(snapshot.values["since_ns"])), np.frombuffer(pairs, np.uint64), rows)

    def _weight(self, clock_ns: int, half_life_ns: int) -> float:
        """Return what a flow counts in ``sums`` by now; look through the pairs when that has become much."""
        if not len(self.pairs):
            self.since_ns = clock_ns
        passed = (clock_ns - self.since_ns) / half_life_ns
        if passed < _LOOK_THROUGH:
            return float(2**passed)
        self.since_ns = clock_ns
        self.sums *= np.float32(0.5**passed)
        self._keep(self.sums.sum(axis=1) >= FORGOTTEN)
        return 1.0

    def _add(self, names: npt.NDArray[np.uint64], sums: npt.NDArray[np.float32], at: npt.NDArray[np.intp]) -> None:
        """Remember new pairs; ``at`` says before which place each belongs."""
        if not len(names):
            return
        self.pairs, self.sums = np.insert(self.pairs, at, names), np.insert(self.sums, at, sums, axis=0)
        if len(self.pairs) > MOST_PAIRS:
            # Where many count as little, those with the higher keys stay.
            order = np.lexsort((self.pairs, self.sums.sum(axis=1)))
            is_kept = np.zeros(len(order), np.bool_)
            is_kept[order[-MOST_PAIRS * 3 // 4 :]] = True
            self._keep(is_kept)

    def _keep(self, is_kept: npt.NDArray[np.bool_]) -> None:
        self.pairs, self.sums = self.pairs[is_kept], self.sums[is_kept]


@kernel
def add_up(rows: npt.NDArray[np.float32], place: npt.NDArray[np.intp], sums: Sums) -> None:
    """Add each row (n_classes,) to the sum at its place."""
    for row in range(len(rows)):
        for column in range(rows.shape[1]):
            sums[place[row], column] += rows[row, column]


@kernel
def apply_priors(
    own: npt.NDArray[np.float32],
    place: npt.NDArray[np.intp],
    totals: Sums,
    usual: npt.NDArray[np.float64],
    is_over: npt.NDArray[np.bool_],
    adjusted: npt.NDArray[np.float32],
    told: Sums,
) -> None:
    """Write each row under the prior of its pair, and add those that are over to what is told of the pair."""
    for row in range(len(own)):
        total = 0.0
        for column in range(own.shape[1]):
            others = max(totals[place[row], column] - own[row, column], 0.0)
            # The prior's sum is left out: it is the same for all classes.
            share = own[row, column] * (STRENGTH * usual[column] + others) / usual[column]
            adjusted[row, column] = share
            total += share
        for column in range(own.shape[1]):
            adjusted[row, column] /= total
            if is_over[row]:
                told[place[row], column] += adjusted[row, column]
