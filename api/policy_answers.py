"""The answer about the policy that blocks by itself."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field

from api.answers import example
from infra.settings import Settings


class PolicyAnswer(BaseModel):
    """What is blocked by itself, and by which rules: the settings ``defence_auto_…``, and who is never blocked."""

    model_config = example(
        {
            "state": "dry-run",
            "classes": [],
            "flows": 20,
            "confidence": 0.95,
            "severity": "high",
            "anomalies": 2,
            "within_s": 60,
            "block_s": 600,
            "per_hour": 10,
            "allowed": ["10.0.0.0/24"],
            "default_block_s": 3600,
            "longest_block_s": 604800,
        }
    )

    state: Literal["off", "dry-run", "on"] = Field(description="`dry-run` only says whom it would block.")
    classes: list[str] = Field(description="Attacks that count; empty for all of them.")
    flows: int = Field(description="So many flows of one class from one source are a reason.")
    confidence: float = Field(description="Least confidence of each of their verdicts.")
    severity: Literal["none", "medium", "high"] = Field(description="Least severity of anomalies that count.")
    anomalies: int = Field(description="So many anomalies of one type and severity caused by one source are a reason.")
    within_s: float = Field(description="Seconds in which they must have ended.")
    block_s: float = Field(description="Seconds that it blocks for.")
    per_hour: int = Field(description="Most addresses that it blocks in an hour.")
    allowed: list[str] = Field(description="Networks that nobody can block: `defence_allow`.")
    default_block_s: float = Field(description="Seconds of a block by hand that names none.")
    longest_block_s: float = Field(description="Most seconds of any block.")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the answer for the settings."""
        return cls(
            state=settings.defence_auto,
            classes=list(settings.defence_auto_classes),
            flows=settings.defence_auto_flows,
            confidence=settings.defence_auto_confidence,
            severity=settings.defence_auto_severity,
            anomalies=settings.defence_auto_anomalies,
            within_s=settings.defence_auto_within_s,
            block_s=settings.defence_auto_block_s,
            per_hour=settings.defence_auto_per_hour,
            allowed=[str(network) for network in settings.defence_allow],
            default_block_s=min(settings.defence_block_s, settings.defence_longest_s),
            longest_block_s=settings.defence_longest_s,
        )
