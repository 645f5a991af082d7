"""Answers about models: one as the list shows it, all of it, who has which role, and drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.answers import example
from api.filters import NS_PER_S
from api.models import Standing
from api.models_agreement import AgreementAnswer
from api.queries_models import DriftRow, VerdictsRow
from api.window_answers import Count
from schemas.enums import DriftSignal, ModelRole
from schemas.models import ModelRow, RoleAction, RoleChange

_DRIFT: JsonDict = {
    "signal": "confidence",
    "mean": 0.83,
    "before": 0.97,
    "changes": 1,
    "changed_at": 1234567890.5,
    "changed_capture": "01kb2m9t8x7qd4",
    "windows": 360,
    "verdicts": 41200,
    "computed_at": 1234569890.5,
}
_VERDICTS: JsonDict = {
    "verdicts": 41200,
    "uncertain": 310,
    "attacks": 7200,
    "mean_confidence": 0.94,
    "mean_outside": 0.012,
}
_MODEL: JsonDict = {
    "fingerprint": "5c75548c0fa6",
    "version": "1.0.0",
    "role": "champion",
    "role_since": 1234567890.5,
    "trained_at": "2026-01-09T17:41:06+00:00",
    "registered_at": 1234567890.5,
    "registered_by": "settings",
    "note": "",
    "data_sha256": "7dbd161f2ed4d3c0",
    "n_features": 78,
    "epochs": 30,
    "size_bytes": 385829,
    "metrics": {"validation_macro_f1": 0.986},
    "verdicts": {"champion": _VERDICTS},
    "drift": [_DRIFT],
}
_CHANGE: JsonDict = {
    "role": "champion",
    "at": 1234567890.5,
    "fingerprint": "5c75548c0fa6",
    "previous": "",
    "action": "configured",
    "by": "settings",
    "reason": "the first model",
}
_STANDING: JsonDict = {"champion": "5c75548c0fa6", "challenger": None, "previous": None}


class DriftAnswer(BaseModel):
    """Whether one signal of a model has changed within the last day."""

    model_config = example(_DRIFT)

    signal: DriftSignal = Field(
        description="`confidence`, or `outside`: the share of a flow's features beyond the range of the training data."
    )
    mean: float = Field(description="Since the last change.")
    before: float | None = Field(description="Before the last change.")
    changes: Count = Field(description="Changes that ADWIN found.")
    changed_at: float | None = Field(description="Event time at which the last one began, seconds since the epoch.")
    changed_capture: str | None = Field(description="The capture in which it began.")
    windows: Count
    verdicts: Count
    computed_at: float = Field(description="Seconds since the epoch.")

    @classmethod
    def of(cls, row: DriftRow) -> Self:
        """Return the answer for a row."""
        return cls(
            signal=row.signal,
            mean=row.mean,
            before=row.before,
            changes=row.changes,
            changed_at=None if row.changed_ns is None else row.changed_ns / NS_PER_S,
            changed_capture=row.changed_capture or None,
            windows=row.windows,
            verdicts=row.verdicts,
            computed_at=row.version / NS_PER_S,
        )


class VerdictsAnswer(BaseModel):
    """What a model said in one role, in sum: verdicts on flow records, interim ones included."""

    model_config = example(_VERDICTS)

    verdicts: Count
    uncertain: Count = Field(description="Verdicts below the confidence that is asked for.")
    attacks: Count = Field(description="Verdicts that name an attack and are not uncertain.")
    mean_confidence: float = Field(ge=0, le=1)
    mean_outside: float = Field(ge=0, le=1)

    @classmethod
    def of(cls, row: VerdictsRow) -> Self:
        """Return the answer for a row."""
        return cls(
            verdicts=row.verdicts,
            uncertain=row.uncertain,
            attacks=row.attacks,
            mean_confidence=row.confidence,
            mean_outside=row.outside,
        )


class ChangeAnswer(BaseModel):
    """One change of a role."""

    model_config = example(_CHANGE)

    role: ModelRole
    at: float = Field(description="Seconds since the epoch.")
    fingerprint: str = Field(description="Who has the role from then on; empty for nobody.")
    previous: str = Field(description="Who had it until then; empty for nobody.")
    action: RoleAction
    by: str
    reason: str

    @classmethod
    def of(cls, row: RoleChange) -> Self:
        """Return the answer for a row."""
        return cls(
            role=row.role,
            at=row.changed_ns / NS_PER_S,
            fingerprint=row.fingerprint,
            previous=row.previous,
            action=row.action,
            by=row.changed_by,
            reason=row.reason,
        )


@dataclass(frozen=True)
class Known:
    """What answers about models are made of.

    Parameters
    ----------
    standing : Standing
        Who has which role.
    roles : dict
        The newest change of each role.
    verdicts, drift : list
        Of every model.
    """

    standing: Standing
    roles: dict[ModelRole, RoleChange]
    verdicts: list[VerdictsRow]
    drift: list[DriftRow]

    def role_of(self, fingerprint: str) -> ModelRole | None:
        """Return the role of a model."""
        if fingerprint == self.standing.champion:
            return ModelRole.CHAMPION
        return ModelRole.CHALLENGER if fingerprint == self.standing.challenger else None


class ModelAnswer(BaseModel):
    """A registered model."""

    model_config = example(_MODEL)

    fingerprint: str = Field(description="Names the model: of all numbers that decide a verdict.")
    version: str = Field(description="What its makers call it.")
    role: ModelRole | None
    role_since: float | None = Field(description="Seconds since the epoch.")
    trained_at: str
    registered_at: float = Field(description="Seconds since the epoch.")
    registered_by: str = Field(description="A key's name or an address; `settings` for the model of model_path.")
    note: str
    data_sha256: str = Field(description="Of the flows it was trained on.")
    n_features: Count
    epochs: Count
    size_bytes: Count
    metrics: dict[str, float] = Field(description="Its figures from flows that were set aside in training.")
    verdicts: dict[ModelRole, VerdictsAnswer] = Field(description="What it has said, by its role then.")
    drift: list[DriftAnswer]

    @classmethod
    def of(cls, row: ModelRow, known: Known, **more: object) -> Self:
        """Return the answer for a row; ``more`` is what a subclass adds."""
        role = known.role_of(row.fingerprint)
        kept = row.model_dump(exclude={"registered_ns", "classes", "flows_by_class", "plan"} - more.keys())
        return cls.model_validate(
            {
                **kept,
                "role": role,
                "role_since": None if role is None else known.roles[role].changed_ns / NS_PER_S,
                "registered_at": row.registered_ns / NS_PER_S,
                "verdicts": {v.role: VerdictsAnswer.of(v) for v in known.verdicts if v.model == row.fingerprint},
                "drift": [DriftAnswer.of(d) for d in known.drift if d.model == row.fingerprint],
                **more,
            }
        )


class ModelDetailAnswer(ModelAnswer):
    """A registered model with everything that is known of it."""

    model_config = ConfigDict(protected_namespaces=())

    classes: list[str] = Field(description="Classes it tells apart, in the order of its probabilities.")
    flows_by_class: dict[str, int] = Field(description="Flows it was trained on.")
    plan: dict[str, str] = Field(description="Every number of its training plan.")
    history: list[ChangeAnswer] = Field(description="When it got a role, the newest first.")
    agreement: list[AgreementAnswer] = Field(description="As a challenger, with each champion of the time.")


class StandingAnswer(BaseModel):
    """Who has which role."""

    model_config = example(_STANDING)

    champion: str | None = Field(description="Fingerprint of the model whose verdicts count.")
    challenger: str | None = Field(description="Fingerprint of the model that judges in its shadow.")
    previous: str | None = Field(description="Whom a rollback would make the champion.")

    @classmethod
    def of(cls, standing: Standing) -> Self:
        """Return the answer."""
        return cls(
            champion=standing.champion or None,
            challenger=standing.challenger or None,
            previous=standing.previous or None,
        )


class ChangedAnswer(StandingAnswer):
    """Who has which role now that something was to change."""

    model_config = example({**_STANDING, "success": True, "is_changed": True})

    success: bool = True
    is_changed: bool = Field(description="Whether it was not so before.")


class ModelsAnswer(BaseModel):
    """The registered models, the newest first."""

    model_config = example(
        {
            **_STANDING,
            "count": 1,
            "total": 1,
            "offset": 0,
            "limit": 100,
            "models": [_MODEL],
            "agreement": None,
            "history": [_CHANGE],
        }
    )

    champion: str | None
    challenger: str | None
    previous: str | None = Field(description="Whom a rollback would make the champion.")
    count: Count
    total: Count
    offset: Count
    limit: Count
    models: list[ModelAnswer]
    agreement: AgreementAnswer | None = Field(
        description="Of the challenger with the champion, of verdicts stored within the last day; null without any."
    )
    history: list[ChangeAnswer] = Field(description="The newest changes of roles.")
