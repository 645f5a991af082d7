"""What flows between two hosts have lately been: the prior probability of each class for their next ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.classes import BENIGN, N_CLASSES
from streams.snapshots import Snapshot

STRENGTH = 4.0
"""Flows that the usual prior counts as: with fewer others between the same hosts, these say little."""

USUAL_BENIGN = 0.5
"""Prior of benign that a model's probabilities are taken to rest on; the attacks share the rest evenly."""

MOST_PAIRS = 32_768
"""Pairs that are remembered of one capture on one partition, 2 MB; those with fewest flows are forgotten first."""

FORGOTTEN = 0.25
"""Flows that a pair must still count as, to be remembered."""

_KIND = "pair priors 1"

Rows: TypeAlias = npt.NDArray[np.float64]


def _usual() -> Rows:
    prior = np.full(N_CLASSES, (1 - USUAL_BENIGN) / (N_CLASSES - 1))
    prior[BENIGN] = USUAL_BENIGN
    return prior


_USUAL = _usual()


@dataclass
class PairPriors:
    """Classes of the flows between each two hosts, newer ones counting more.

    Parameters
    ----------
    clock_ns : int
        The capture's clock for which ``sums`` holds.
    pairs : array (n_pairs,) of uint64
        Who is remembered, ascending (``streams.split.pairs_of``).
    sums : array (n_pairs, 15) of float32
        Their flows by class, halved with each half-life.
    """

    clock_ns: int = 0
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
        own = probabilities.astype(np.float64)
        names, place = np.unique(pairs, return_inverse=True)
        before = self._recalled(names, clock_ns, half_life_ns)
        others = np.maximum((before + _sums(own, place))[place] - own, 0)
        prior = (STRENGTH * _USUAL + others) / (STRENGTH + others.sum(axis=1, keepdims=True))
        weighted = own * (prior / _USUAL)
        adjusted = weighted / weighted.sum(axis=1, keepdims=True)
        self._remember(names, before + _sums(adjusted * is_over[:, np.newaxis], place))
        result: npt.NDArray[np.float32] = adjusted.astype(np.float32)
        return result

    def to_bytes(self) -> bytes:
        """Return everything that is remembered, for ``from_bytes``."""
        bodies = [self.pairs.tobytes(), self.sums.tobytes()]
        return Snapshot(_KIND, {"clock_ns": self.clock_ns}, bodies).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> PairPriors:
        """Return what ``to_bytes`` was called on; raises ``WireError`` when it is nothing of the kind."""
        snapshot = Snapshot.from_bytes(data, _KIND)
        pairs, sums = snapshot.bodies
        rows = np.frombuffer(sums, np.float32).reshape(-1, N_CLASSES).copy()
        return cls(int(str(snapshot.values["clock_ns"])), np.frombuffer(pairs, np.uint64), rows)

    def _recalled(self, names: npt.NDArray[np.uint64], clock_ns: int, half_life_ns: int) -> Rows:
        """Let time pass, and return what is remembered of some pairs, shape (n_names, 15)."""
        passed_ns = max(0, clock_ns - self.clock_ns)
        self.clock_ns += passed_ns
        self.sums *= np.float32(0.5 ** (passed_ns / half_life_ns))
        found = np.zeros((len(names), N_CLASSES))
        if len(self.pairs):
            at = np.minimum(np.searchsorted(self.pairs, names), len(self.pairs) - 1)
            is_known = self.pairs[at] == names
            found[is_known] = self.sums[at[is_known]]
        return found

    def _remember(self, names: npt.NDArray[np.uint64], sums: Rows) -> None:
        """Put new sums of some pairs beside those of the others."""
        is_kept = ~np.isin(self.pairs, names, assume_unique=True)
        pairs = np.concatenate([self.pairs[is_kept], names])
        rows = np.concatenate([self.sums[is_kept], sums.astype(np.float32)])
        flows = rows.sum(axis=1)
        least = np.partition(flows, -MOST_PAIRS)[-MOST_PAIRS] if len(flows) > MOST_PAIRS else np.float32(0)
        chosen = np.flatnonzero((flows >= FORGOTTEN) & (flows >= least))
        # Where many count as little, those with the higher keys stay.
        chosen = chosen[np.lexsort((pairs[chosen], flows[chosen]))[-MOST_PAIRS:]]
        chosen = chosen[np.argsort(pairs[chosen])]
        self.pairs, self.sums = pairs[chosen], rows[chosen]


def _sums(rows: Rows, place: npt.NDArray[np.intp]) -> Rows:
    """Return the sums of the rows that share a place, shape (n_places, n_columns); every place has one."""
    order = np.argsort(place, kind="stable")
    begins = np.flatnonzero(np.diff(place[order], prepend=-1))
    sums: Rows = np.add.reduceat(rows[order], begins, axis=0)
    return sums
