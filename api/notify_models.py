"""What people are told of models: that one drifts, and that another one judges from now on.

Nothing here reads, sends or looks at a clock: the rows of the store go in, messages come out, each change once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from api.filters import NS_PER_S
from api.notify_policy import Note
from api.queries_models import DriftRow
from schemas.enums import DriftSignal, ModelRole, Severity
from schemas.models import RoleAction, RoleChange

MOST_CAPTURES = 64
"""Captures of which the last change told is remembered, for each signal of each model: those told last."""

_SIGNALS = {DriftSignal.CONFIDENCE: "how sure it is", DriftSignal.OUTSIDE: "how much it sees beyond its training data"}

_DONE = {
    RoleAction.CONFIGURED: "configured",
    RoleAction.PROMOTE: "promoted",
    RoleAction.ROLLBACK: "rolled back",
}


class ModelsState(BaseModel):
    """What must outlive a restart.

    Attributes
    ----------
    has_begun : bool
        Whether a first look was taken: what was there before it is not news.
    changed_ns : int
        Newest change of a role that was seen, ns since the epoch.
    drift : dict
        By model and signal, by capture: newest change that was seen, ns since the epoch.
    """

    has_begun: bool = False
    changed_ns: int = 0
    drift: dict[str, dict[str, int]] = Field(default_factory=dict)


class ModelWatch:
    """Finds what is new about models; its state is all it knows.

    Parameters
    ----------
    state : ModelsState
        Changed in place.
    """

    def __init__(self, state: ModelsState) -> None:
        self.state = state

    def take(self, changes: Sequence[RoleChange], drift: Sequence[DriftRow]) -> list[Note]:
        """Return what is to be told.

        Parameters
        ----------
        changes : sequence of RoleChange
            The newest ones of all roles, in any order.
        drift : sequence of DriftRow
            Every signal of every model that has judged.
        """
        notes = [*self._switches(changes), *self._drifts(drift)]
        if self.state.has_begun:
            return notes
        self.state.has_begun = True
        return []

    def _switches(self, changes: Sequence[RoleChange]) -> Iterator[Note]:
        for change in sorted(changes, key=lambda one: one.changed_ns):
            if change.changed_ns <= self.state.changed_ns:
                continue
            self.state.changed_ns = change.changed_ns
            is_first = change.action is RoleAction.CONFIGURED and not change.previous
            if change.role is ModelRole.CHAMPION and change.action in _DONE and not is_first:
                yield _switched(change)

    def _drifts(self, drift: Sequence[DriftRow]) -> Iterator[Note]:
        for row in drift:
            if row.changed_ns is None:
                continue
            seen = self.state.drift.setdefault(f"{row.model} {row.signal.value}", {})
            if row.changed_ns <= seen.get(row.changed_capture, -(2**63)):
                continue
            seen.pop(row.changed_capture, None)
            seen[row.changed_capture] = row.changed_ns
            for capture in list(seen)[:-MOST_CAPTURES]:
                del seen[capture]
            yield _drifted(row, row.changed_ns)


def _switched(change: RoleChange) -> Note:
    body = f"{_DONE[change.action]} by {change.changed_by}" + (f": {change.reason}" if change.reason else "")
    return Note(kind="switched", title=f"[model] {change.fingerprint} judges from now on", body=body)


def _drifted(row: DriftRow, changed_ns: int) -> Note:
    at = datetime.fromtimestamp(changed_ns / NS_PER_S, UTC)
    before = "" if row.before is None else f" from {row.before:.3f}"
    body = (
        f"{row.signal.value}, {_SIGNALS[row.signal]}, has changed{before} to {row.mean:.3f} on average\n"
        f"since {at:%Y-%m-%d %H:%M:%S} UTC, capture {row.changed_capture}; model {row.model}"
    )
    return Note(kind="drift", title="[model] drift", body=body, severity=Severity.MEDIUM)
