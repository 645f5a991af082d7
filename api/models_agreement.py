"""Agreement: where a challenger says what the champion says of the same flows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api import queries_models
from api.answers import example
from api.queries_models import PairRow
from api.window_answers import Count
from infra.store import Store
from schemas.classifications import BENIGN_NAME
from schemas.enums import ModelRole

DAY_S = 86_400
"""Agreement is of verdicts that were stored within this time, s."""

_AGREEMENT: JsonDict = {
    "champion": "5c75548c0fa6",
    "challenger": "a01b23c45d67",
    "flows": 1000,
    "same_class": 0.982,
    "same_verdict": 0.997,
    "by_class": [{"class_name": "BENIGN", "champion": 810, "challenger": 813, "both": 809}],
    "confusion": [{"champion_class": "BENIGN", "challenger_class": "BENIGN", "flows": 809}],
}


class ClassAgreement(BaseModel):
    """Flows of one class."""

    class_name: str
    champion: Count = Field(description="Flows that the champion gave this class.")
    challenger: Count = Field(description="Flows that the challenger gave this class.")
    both: Count


class PairAnswer(BaseModel):
    """One cell of the confusion of both."""

    champion_class: str
    challenger_class: str
    flows: Count


class AgreementAnswer(BaseModel):
    """Where a challenger says what a champion says, of the flows that both have judged."""

    model_config = example(_AGREEMENT)

    champion: str
    challenger: str
    flows: Count = Field(description="Flows that both judged, each by its newest record.")
    same_class: float = Field(ge=0, le=1, description="Share of them with the same class.")
    same_verdict: float = Field(ge=0, le=1, description="Share of them that both call an attack, or both do not.")
    by_class: list[ClassAgreement]
    confusion: list[PairAnswer] = Field(description="Champion's class by challenger's; what never came is left out.")

    @classmethod
    def of(cls, champion: str, challenger: str, pairs: Sequence[PairRow]) -> Self:
        """Return the answer for the pairs of one champion, at least one."""
        total = sum(pair.flows for pair in pairs)
        names = sorted({name for pair in pairs for name in (pair.champion_class, pair.challenger_class)})

        def flows(champion_class: str | None, challenger_class: str | None) -> int:
            return sum(
                pair.flows
                for pair in pairs
                if champion_class in (None, pair.champion_class) and challenger_class in (None, pair.challenger_class)
            )

        same_verdict = sum(
            pair.flows
            for pair in pairs
            if (pair.champion_class == BENIGN_NAME) == (pair.challenger_class == BENIGN_NAME)
        )
        by_class = [
            ClassAgreement(
                class_name=name, champion=flows(name, None), challenger=flows(None, name), both=flows(name, name)
            )
            for name in names
        ]
        return cls(
            champion=champion,
            challenger=challenger,
            flows=total,
            same_class=sum(row.both for row in by_class) / total,
            same_verdict=same_verdict / total,
            by_class=by_class,
            confusion=[PairAnswer(**pair.model_dump(exclude={"champion"})) for pair in pairs],
        )


def agreements(challenger: str, pairs: Sequence[PairRow]) -> list[AgreementAnswer]:
    """Return the agreement with each champion of the time, most flows first."""
    champions = {pair.champion for pair in pairs}
    found = [AgreementAnswer.of(one, challenger, [pair for pair in pairs if pair.champion == one]) for one in champions]
    return sorted(found, key=lambda answer: (-answer.flows, answer.champion))


def recent_agreement(store: Store) -> AgreementAnswer | None:
    """Return the agreement of the challenger with the champion over the last day; None without any."""
    roles = queries_models.roles(store)
    champion, challenger = (roles.get(role) for role in (ModelRole.CHAMPION, ModelRole.CHALLENGER))
    if champion is None or challenger is None or not challenger.fingerprint:
        return None
    pairs = queries_models.agreement(store, challenger.fingerprint, since_s=int(time.time()) - DAY_S)
    found = agreements(challenger.fingerprint, pairs)
    return next((answer for answer in found if answer.champion == champion.fingerprint), None)
