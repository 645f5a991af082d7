"""SQL of the registry of models: what is registered, who has which role, what they said, and where they agree."""

from __future__ import annotations

import base64
from typing import Any

from pydantic import BaseModel, ConfigDict

from api.rows import Count
from infra.store import Store
from schemas.enums import DriftSignal, ModelRole
from schemas.models import ModelRow, RoleChange

_MODELS = """
SELECT * EXCEPT (bundle) FROM models_now ORDER BY registered_ns DESC, fingerprint
LIMIT {limit:UInt32} OFFSET {offset:UInt32}
"""

_MODEL = "SELECT * EXCEPT (bundle) FROM models_now WHERE fingerprint = {model:String}"

_MODEL_COUNT = "SELECT count() AS total FROM models_now"

_BUNDLE = "SELECT base64Encode(bundle) AS bundle FROM models_now WHERE fingerprint = {model:String}"

_ROLES = "SELECT * FROM model_roles_now"

_HISTORY = "SELECT * FROM model_roles FINAL WHERE role = {role:String} ORDER BY changed_ns"

_CHANGES_OF = """
SELECT * FROM model_roles FINAL WHERE fingerprint = {model:String} ORDER BY changed_ns DESC LIMIT {limit:UInt32}
"""

_CHANGES = "SELECT * FROM model_roles FINAL ORDER BY changed_ns DESC LIMIT {limit:UInt32}"

_VERDICTS = """
SELECT
    model,
    role,
    sum(model_windows.verdicts) AS verdicts,
    sum(model_windows.uncertain) AS uncertain,
    sum(model_windows.attacks) AS attacks,
    sum(confidence_sum) / verdicts AS confidence,
    sum(outside_sum) / verdicts AS outside
FROM model_windows
GROUP BY model, role
"""

_DRIFT = "SELECT * FROM model_drift_now ORDER BY model, signal"

# Flows that both have judged, each by its newest record; those records must be the same. What decides which flows are
# looked at stands first in the table's key: the captures in which the challenger has judged.
_AGREEMENT = """
SELECT champion, champion_class, challenger_class, count() AS flows
FROM
(
    SELECT
        anyIf(model, role = 'champion') AS champion,
        anyIf(model, role = 'challenger') AS challenger,
        anyIf(class_name, role = 'champion') AS champion_class,
        anyIf(class_name, role = 'challenger') AS challenger_class
    FROM classifications FINAL
    WHERE capture_id IN (SELECT capture_id FROM model_windows WHERE model = {model:String} AND role = 'challenger')
        AND end_ns >= {from_ns:Int64} AND end_ns < {to_ns:Int64} AND inserted_at >= fromUnixTimestamp({since_s:Int64})
    GROUP BY capture_id, start_ns, flow_id
    HAVING challenger = {model:String} AND champion != '' AND uniqExact(version) = 1
)
GROUP BY champion, champion_class, challenger_class
ORDER BY champion, flows DESC, champion_class, challenger_class
"""

EARLIEST_NS, LATEST_NS = -(2**63), 2**63 - 1
"""Bounds of a range without them."""


class VerdictsRow(BaseModel):
    """What a model said in one role, in sum."""

    model_config = ConfigDict(frozen=True)

    model: str
    role: ModelRole
    verdicts: int
    uncertain: int
    attacks: int
    confidence: float
    outside: float


class DriftRow(BaseModel):
    """One signal of one model; see ``schemas.models.DRIFT_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    model: str
    signal: DriftSignal
    version: int
    windows: int
    verdicts: int
    mean: float
    before: float | None
    changes: int
    changed_ns: int | None
    changed_capture: str


class PairRow(BaseModel):
    """Flows that the champion and the challenger gave these classes."""

    model_config = ConfigDict(frozen=True)

    champion: str
    champion_class: str
    challenger_class: str
    flows: int


def models(store: Store, limit: int, offset: int) -> list[ModelRow]:
    """Return registered models, the newest first."""
    rows = store.query(_MODELS, {"limit": limit, "offset": offset})
    return [ModelRow.model_validate(row) for row in rows]


def model(store: Store, fingerprint: str) -> ModelRow | None:
    """Return a registered model, or None when there is none of this fingerprint."""
    rows = store.query(_MODEL, {"model": fingerprint})
    return ModelRow.model_validate(rows[0]) if rows else None


def model_count(store: Store) -> int:
    """Return how many models are registered."""
    return Count.model_validate(store.query(_MODEL_COUNT)[0]).total


def bundle(store: Store, fingerprint: str) -> bytes | None:
    """Return a registered model's bundle, or None when there is none of this fingerprint."""
    rows = store.query(_BUNDLE, {"model": fingerprint})
    return base64.b64decode(str(rows[0]["bundle"])) if rows else None


def roles(store: Store) -> dict[ModelRole, RoleChange]:
    """Return the newest change of each role that has ever had a model."""
    changes = [_change(row) for row in store.query(_ROLES)]
    return {change.role: change for change in changes}


def history(store: Store, role: ModelRole) -> list[RoleChange]:
    """Return every change of a role, the oldest first."""
    return [_change(row) for row in store.query(_HISTORY, {"role": role.value})]


def changes(store: Store, limit: int, fingerprint: str | None = None) -> list[RoleChange]:
    """Return the newest changes of any role, or those by which one model got one; the newest first."""
    if fingerprint is None:
        return [_change(row) for row in store.query(_CHANGES, {"limit": limit})]
    return [_change(row) for row in store.query(_CHANGES_OF, {"limit": limit, "model": fingerprint})]


def verdicts(store: Store) -> list[VerdictsRow]:
    """Return what every model said in each role, in sum, as far as verdicts are kept."""
    return [VerdictsRow.model_validate(row) for row in store.query(_VERDICTS)]


def drift(store: Store) -> list[DriftRow]:
    """Return every signal of every model that has judged."""
    return [DriftRow.model_validate(row) for row in store.query(_DRIFT)]


def agreement(
    store: Store, challenger: str, from_ns: int = EARLIEST_NS, to_ns: int = LATEST_NS, since_s: int = 0
) -> list[PairRow]:
    """Return how often a challenger and the champions of the time gave a flow which classes.

    Parameters
    ----------
    challenger : str
        Its fingerprint.
    from_ns, to_ns : int
        Flows whose newest packet came in this time, the end excluded.
    since_s : int
        Verdicts that were stored since this time, s since the epoch.
    """
    values = {"model": challenger, "from_ns": from_ns, "to_ns": to_ns, "since_s": since_s}
    return [PairRow.model_validate(row) for row in store.query(_AGREEMENT, values)]


def _change(row: dict[str, Any]) -> RoleChange:
    return RoleChange.model_validate(row)
