"""The dashboard's figures, computed again only when the store has changed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from api import queries_stats
from api.queries_stats import CountsRow, ThreatRow
from infra.store import Store
from schemas.enums import Threat


@dataclass(frozen=True)
class Figures:
    """What there is of threats.

    Parameters
    ----------
    by_threat : dict of str to ThreatRow
        Packets that have a verdict; those of ``""`` together.
    counts : CountsRow
        All packets, and alerts.
    """

    by_threat: dict[str, ThreatRow]
    counts: CountsRow

    @property
    def threatening(self) -> int:
        """Packets that are suspicious or malicious."""
        return sum(self.by_threat[name].packets for name in _THREATENING if name in self.by_threat)

    @property
    def sources(self) -> int:
        """Who sent them."""
        return self.by_threat[""].sources if "" in self.by_threat else 0

    @property
    def attackers(self) -> int:
        """Who began their flows."""
        return self.by_threat[""].attackers if "" in self.by_threat else 0

    @property
    def mean_score(self) -> float:
        """Mean threat score of all packets, from 0 to 100; what no flow has counts as 0."""
        if not self.counts.packets or "" not in self.by_threat:
            return 0.0
        return self.by_threat[""].score_sum / self.counts.packets


_THREATENING = (Threat.SUSPICIOUS.value, Threat.MALICIOUS.value)


@dataclass
class TrafficFigures:
    """Figures of a store, kept as long as nothing that they depend on has come in.

    Parameters
    ----------
    store : Store
    """

    store: Store
    _kept: dict[str, tuple[tuple[object, ...], Figures]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, capture_id: str = "") -> Figures:
        """Return the figures of a capture, or of everything; raises ``StoreError``."""
        with self._lock:  # whoever else asks meanwhile gets what is being computed
            stand = queries_stats.stand(self.store)
            kept = self._kept.get(capture_id)
            if kept is not None and kept[0] == stand:
                return kept[1]
            with ThreadPoolExecutor(1) as beside:
                counts = beside.submit(queries_stats.counts, self.store, capture_id)
                figures = Figures(queries_stats.threats(self.store, capture_id), counts.result())
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[capture_id] = stand, figures
            return figures


MAX_KEPT = 64
"""Captures whose figures are kept at once."""
