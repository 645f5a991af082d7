"""The answer about what was said of a capture's flows in sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.answers import example
from api.classification_rows import ClassRow
from api.filters import NS_PER_S
from api.window_answers import Count
from schemas.classifications import BENIGN_NAME
from schemas.enums import ModelRole

_CLASS: JsonDict = {
    "class_name": "PortScan",
    "is_attack": True,
    "flows": 3625,
    "packets": 7260,
    "share": 0.695,
    "mean_confidence": 0.997,
    "least_confidence": 0.62,
    "sources": 2,
    "destinations": 1,
    "first_seen": 1234567890.5,
    "last_seen": 1234567990.5,
}


class ClassAnswer(BaseModel):
    """What was said of the flows of one class, uncertain verdicts left out."""

    model_config = example(_CLASS)

    class_name: str
    is_attack: bool
    flows: Count
    packets: Count
    share: float = Field(description="Share of all judged flows.")
    mean_confidence: float
    least_confidence: float
    sources: Count = Field(description="Addresses that began these flows.")
    destinations: Count = Field(description="Addresses that they were begun with.")
    first_seen: float = Field(description="Start of the first of them, seconds since the epoch.")
    last_seen: float = Field(description="End of the last of them, seconds since the epoch.")

    @classmethod
    def of(cls, row: ClassRow, flows: int) -> Self:
        """Return the answer for a row of the store, out of so many judged flows."""
        same = ("class_name", "flows", "packets", "mean_confidence", "least_confidence", "sources", "destinations")
        return cls.model_validate(
            {
                **{name: getattr(row, name) for name in same},
                "is_attack": row.class_name != BENIGN_NAME,
                "share": row.flows / flows,
                "first_seen": row.first_seen_ns / NS_PER_S,
                "last_seen": row.last_seen_ns / NS_PER_S,
            }
        )


class VerdictsSummaryAnswer(BaseModel):
    """What was said of a capture's flows."""

    model_config = example(
        {
            "capture_id": "01kb2m9t8x7qd4",
            "role": "champion",
            "models": ["5c75548c0fa6"],
            "flows": 5217,
            "packets": 46373,
            "attacks": 3651,
            "benign": 1550,
            "uncertain": 16,
            "uncertain_share": 0.0031,
            "mean_confidence": 0.994,
            "classes": [_CLASS],
            "guesses": {"DDoS": 9, "BENIGN": 7},
        }
    )

    capture_id: str | None = Field(description="The capture; null while there is none.")
    role: ModelRole
    models: list[str] = Field(description="Fingerprints of the models that judged.")
    flows: Count = Field(description="Judged flows.")
    packets: Count = Field(description="Their packets.")
    attacks: Count = Field(description="Flows that an attack was named for.")
    benign: Count = Field(description="Flows that were called benign.")
    uncertain: Count = Field(description="Flows whose verdict is uncertain.")
    uncertain_share: float = Field(description="Share of all judged flows.")
    mean_confidence: float | None = Field(description="Over all verdicts; null without any.")
    classes: list[ClassAnswer] = Field(description="Classes that were named, the most frequent first.")
    guesses: dict[str, int] = Field(description="Uncertain verdicts by the likeliest class.")

    @classmethod
    def of(cls, capture_id: str | None, role: ModelRole, models: list[str], rows: Sequence[ClassRow]) -> Self:
        """Return the answer for the rows of a capture."""
        flows = sum(row.flows for row in rows)
        named = [row for row in rows if not row.is_uncertain]
        uncertain = flows - sum(row.flows for row in named)
        benign = sum(row.flows for row in named if row.class_name == BENIGN_NAME)
        return cls(
            capture_id=capture_id,
            role=role,
            models=models,
            flows=flows,
            packets=sum(row.packets for row in rows),
            attacks=flows - uncertain - benign,
            benign=benign,
            uncertain=uncertain,
            uncertain_share=uncertain / flows if flows else 0.0,
            mean_confidence=sum(row.mean_confidence * row.flows for row in rows) / flows if flows else None,
            classes=[ClassAnswer.of(row, flows) for row in named],
            guesses={row.class_name: row.flows for row in rows if row.is_uncertain},
        )
