"""What flows between two hosts have lately been: the prior probability of each class for their next ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.classes import BENIGN, N_CLASSES
from streams.jit import kernel
from streams.snapshots import Snapshot

STRENGTH = 2.0
"""Flows that the usual prior counts as: with fewer others between the same hosts, these say little."""

USUAL_BENIGN = 1 / 3
"""Prior of benign that a model's probabilities are taken to rest on; the attacks share the rest evenly."""

MOST_PAIRS = 32_768
"""Pairs that are remembered of one capture on one partition, 2.5 MB; when there are more, a quarter is forgotten at
once, those with fewest flows."""

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
    pairs : array (n_pairs,) of uint64
        Who is remembered, ascending (``streams.split.pairs_of``).
    sums : array (n_pairs, 15) of float32
        Their flows by class.
    times_ns : array (n_pairs,) of int64
        When each sum held, ns.
    """

    pairs: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    sums: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, N_CLASSES), np.float32))
    times_ns: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def adjust(
        self,
        flow_ids: npt.NDArray[np.uint64],
        pairs: npt.NDArray[np.uint64],
        probabilities: npt.NDArray[np.float32],
        is_over: npt.NDArray[np.bool_],
        times_ns: npt.NDArray[np.int64],
        half_life_ns: int,
    ) -> npt.NDArray[np.float32]:
        """Return probabilities under the prior of each flow's pair, and remember those of flows that are over.

        The prior is the mean of the other flows of the pair, those remembered and those of the same time, beside
        ``STRENGTH`` flows of the usual one; a probability is multiplied by what its class's prior has become of the
        usual one (Saerens, Latinne and Decaestecker, Neural Computation 14, 2002). A flow without others stays as it
        is.

        Parameters
        ----------
        flow_ids : array (n_flows,) of uint64
            Records of one flow and time stand together, the newest last: that one is the others' company.
        pairs : array (n_flows,) of uint64
            The two hosts of each flow.
        probabilities : array (n_flows, 15) of float32
            Calibrated; each row sums to 1.
        is_over : array (n_flows,) of bool
            Which of them have ended: a flow that goes on comes again, and would be its own company.
        times_ns : array (n_flows,) of int64
            When each is judged, ascending, ns; those of one time are each other's company.
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
        at = np.searchsorted(self.pairs, names)
        is_known = np.isin(names, self.pairs, assume_unique=True)
        sums, held_ns = np.zeros((len(names), N_CLASSES)), np.full(len(names), -1, np.int64)
        sums[is_known], held_ns[is_known] = self.sums[at[is_known]], self.times_ns[at[is_known]]
        adjusted = np.empty_like(probabilities)
        which = (flow_ids, place, times_ns, is_over)
        apply_priors(probabilities, *which, float(half_life_ns), _USUAL, sums, held_ns, adjusted)
        rows = sums.astype(np.float32)
        self.sums[at[is_known]], self.times_ns[at[is_known]] = rows[is_known], held_ns[is_known]
        is_new = ~is_known & rows.any(axis=1)
        self.pairs = np.insert(self.pairs, at[is_new], names[is_new])
        self.sums = np.insert(self.sums, at[is_new], rows[is_new], axis=0)
        self.times_ns = np.insert(self.times_ns, at[is_new], held_ns[is_new])
        if len(self.pairs) > MOST_PAIRS:
            self._forget(half_life_ns)
        return adjusted

    def to_bytes(self) -> bytes:
        """Return everything that is remembered, for ``from_bytes``."""
        bodies = [self.pairs.tobytes(), self.sums.tobytes(), self.times_ns.tobytes()]
        return Snapshot(_KIND, {}, bodies).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> PairPriors:
        """Return what ``to_bytes`` was called on; raises ``WireError`` when it is nothing of the kind."""
        pairs, sums, times_ns = Snapshot.from_bytes(data, _KIND).bodies
        rows = np.frombuffer(sums, np.float32).reshape(-1, N_CLASSES).copy()
        return cls(np.frombuffer(pairs, np.uint64), rows, np.frombuffer(times_ns, np.int64).copy())

    def _forget(self, half_life_ns: int) -> None:
        """Keep three quarters of the most: the pairs whose flows still count most; among equals, the higher keys."""
        ages = (self.times_ns.max() - self.times_ns) / half_life_ns
        order = np.lexsort((self.pairs, self.sums.sum(axis=1) * 0.5**ages))
        is_kept = np.zeros(len(order), np.bool_)
        is_kept[order[-MOST_PAIRS * 3 // 4 :]] = True
        self.pairs, self.sums, self.times_ns = self.pairs[is_kept], self.sums[is_kept], self.times_ns[is_kept]


@kernel
def is_newest(row: int, flow_ids: npt.NDArray[np.uint64], times_ns: npt.NDArray[np.int64]) -> bool:
    """Return whether no other record of its flow and time follows."""
    following = row + 1
    if following == len(flow_ids):
        return True
    return bool(flow_ids[following] != flow_ids[row] or times_ns[following] != times_ns[row])


@kernel
def apply_priors(
    own: npt.NDArray[np.float32],
    flow_ids: npt.NDArray[np.uint64],
    place: npt.NDArray[np.intp],
    times_ns: npt.NDArray[np.int64],
    is_over: npt.NDArray[np.bool_],
    half_life_ns: float,
    usual: npt.NDArray[np.float64],
    sums: Sums,
    held_ns: npt.NDArray[np.int64],
    adjusted: npt.NDArray[np.float32],
) -> None:
    """Write each row under the prior of its pair, time by time, and add those that are over to the sums."""
    n_rows, n_classes = own.shape
    totals, begun_at = np.empty_like(sums), np.full(len(sums), -1)
    begin = 0
    while begin < n_rows:
        now_ns, end = times_ns[begin], begin
        while end < n_rows and times_ns[end] == now_ns:
            pair = place[end]
            if begun_at[pair] != begin:
                begun_at[pair] = begin
                sums[pair] *= 0.5 ** (max(now_ns - held_ns[pair], 0) / half_life_ns)
                held_ns[pair] = now_ns
                totals[pair] = sums[pair]
            if is_newest(end, flow_ids, times_ns):
                for column in range(n_classes):
                    totals[pair, column] += own[end, column]
            end += 1
        newest = end - 1
        for row in range(end - 1, begin - 1, -1):
            if is_newest(row, flow_ids, times_ns):
                newest = row
            pair, total = place[row], 0.0
            for column in range(n_classes):
                others = max(totals[pair, column] - own[newest, column], 0.0)
                # The prior's sum is left out: it is the same for all classes.
                share = own[row, column] * (STRENGTH * usual[column] + others) / usual[column]
                adjusted[row, column] = share
                total += share
            for column in range(n_classes):
                adjusted[row, column] /= total
                if is_over[row]:
                    sums[pair, column] += adjusted[row, column]
        begin = end
