"""Drift: whether what a model sees, or how sure it is, is no longer what it was.

Two signals are watched, both without labels. *Confidence*: of the ways to notice a shift without labels, comparing
what the classifier itself says is among the best (Rabanser, Günnemann and Lipton, "Failing Loudly", NeurIPS 2019).
*Outside*: the share of a flow's features beyond the range of the training data, which a model that is wrong and sure of
it cannot hide. The mean of each over a part of a window's verdicts goes into ADWIN (Bifet and Gavaldà, "Learning from
Time-Changing Data with Adaptive Windowing", SDM 2007), which notices when two parts of a series differ by more than
chance explains. Where the change began is where cutting the series explains most of its variance; from there on the
watch begins anew.

It is computed from stored rows, those of a day, in the order in which the windows were first judged, and from the
beginning each time: there is no state that a crash could lose, and the same rows give the same changes.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from river import drift

from agents.app import FaustApp
from infra.store import Store
from schemas.enums import DriftSignal
from schemas.errors import StoreError
from schemas.models import DRIFT_SCHEMA

log = logging.getLogger(__name__)

LOOK_S = 10.0
"""Pause between two looks, s; nothing is computed while no verdict has been stored."""

DELTA = 0.002
"""Chance that ADWIN finds a change where there is none: that of the paper, and River's default."""

MOST_VALUES = 4 * 8_640
"""Values looked at of each model: those of a port's day."""

_NEWEST = "SELECT max(inserted_at) AS newest, sum(verdicts) AS verdicts FROM model_windows"

# The day begins at a full hour, so that most looks begin with the same window.
_SERIES = """
SELECT model, capture_id, window_id, verdicts, confidence, outside, last_ns FROM
(
    SELECT
        model,
        capture_id,
        window_id,
        slot,
        sum(model_windows.verdicts) AS verdicts,
        sum(confidence_sum) / verdicts AS confidence,
        sum(outside_sum) / verdicts AS outside,
        max(model_windows.last_ns) AS last_ns,
        min(model_windows.seen_at) AS first_seen
    FROM model_windows
    WHERE inserted_at >= toStartOfHour(now()) - toIntervalDay(1)
    GROUP BY model, capture_id, window_id, slot
    ORDER BY first_seen DESC, capture_id DESC, window_id DESC, slot DESC
    LIMIT {most:UInt32} BY model
)
ORDER BY model, first_seen, capture_id, window_id, slot
"""


@dataclass(frozen=True)
class Watched:
    """What was found in one signal of a model.

    Parameters
    ----------
    mean : float
        Over the values since the last change.
    before : float or None
        Mean before the last change; None without one.
    changes : int
        How many were found.
    first : int or None
        Number of the value with which the last one began.
    """

    mean: float
    before: float | None = None
    changes: int = 0
    first: int | None = None


def watched(values: npt.NDArray[np.float64]) -> Watched:
    """Return what ADWIN finds in a series of shares (n_values,), in order; at least one."""
    adwin, start = drift.ADWIN(delta=DELTA), 0
    found = Watched(0.0)
    for number, value in enumerate(values):
        adwin.update(value)
        if adwin.drift_detected:
            cut = start + _cut(values[start : number + 1])
            found = Watched(0.0, float(values[start:cut].mean()), found.changes + 1, cut)
            adwin, start = drift.ADWIN(delta=DELTA), cut
            for later in values[cut : number + 1]:
                adwin.update(later)
    return replace(found, mean=float(values[start:].mean()))


def _cut(values: npt.NDArray[np.float64]) -> int:
    """Return the number of values before the cut that explains most of their variance; two values at least.

    That of n values cut behind k is n · k · (n − k) times the squared difference of both means, but for a factor.
    """
    n_values = len(values)
    before = np.arange(1, n_values)
    sums = np.cumsum(values)[:-1]
    excess = sums - before * values.mean()
    return int(np.argmax(excess**2 / (before * (n_values - before)))) + 1


class DriftWatch:
    """Computes the drift of every model that has judged, and says so when it finds a change.

    Parameters
    ----------
    store : Store
        Opened and migrated.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, object] = {}
        self._told: dict[tuple[str, str], int] | None = None

    def look(self) -> None:
        """Compute it anew if anything has been judged since the last look."""
        try:
            [seen] = self._store.query(_NEWEST)
            if seen != self._seen and seen["verdicts"]:
                self._compute()
            self._seen = seen
        except StoreError as error:
            log.debug("drift cannot be computed: %s", error)

    def _compute(self) -> None:
        series: pa.Table = self._store.query_arrow(_SERIES, {"most": MOST_VALUES})
        version = time.time_ns()
        rows: list[dict[str, object]] = []
        for model in series.column("model").unique().to_pylist():
            own = series.filter(pc.equal(series.column("model"), model))
            rows += [_row(model, signal, own, version) for signal in DriftSignal]
        for row in rows:
            self._tell(row)
        self._store.insert("model_drift", pa.Table.from_pylist(rows, schema=DRIFT_SCHEMA), f"drift:{version}")

    def _tell(self, row: dict[str, object]) -> None:
        """Log a change that was not there at the look before."""
        if self._told is None:
            known = self._store.query("SELECT model, signal, changed_ns FROM model_drift_now")
            self._told = {(str(r["model"]), str(r["signal"])): int(str(r["changed_ns"] or 0)) for r in known}
        key, changed_ns = (str(row["model"]), str(row["signal"])), row["changed_ns"]
        if changed_ns is not None and self._told.get(key) != changed_ns:
            self._told[key] = int(str(changed_ns))
            log.warning(
                "drift: the %s of the model %s has gone from %.3f to %.3f, beginning in capture %s",
                *(row["signal"], row["model"], row["before"], row["mean"], row["changed_capture"]),
            )


def _row(model: str, signal: DriftSignal, series: pa.Table, version: int) -> dict[str, object]:
    found = watched(series.column(signal.value).to_numpy())
    windows = series.group_by(["capture_id", "window_id"]).aggregate([])
    return {
        "model": model,
        "signal": signal.value,
        "version": version,
        "windows": windows.num_rows,
        "verdicts": pc.sum(series.column("verdicts")).as_py(),
        "mean": found.mean,
        "before": found.before,
        "changes": found.changes,
        "changed_ns": None if found.first is None else series.column("last_ns")[found.first].as_py(),
        "changed_capture": "" if found.first is None else series.column("capture_id")[found.first].as_py(),
    }


def add_drift_watch(app: FaustApp, store: Store) -> None:
    """Have the drift of models watched as long as the application runs."""
    watch = DriftWatch(store)

    async def look() -> None:
        await app.loop.run_in_executor(None, watch.look)

    app.timer(LOOK_S)(look)
