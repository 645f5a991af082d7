"""The thresholds of baselines and detectors: default, bounds and the reason for each."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from schemas.errors import SettingsError
from schemas.thresholds_attacks import AttackThresholds
from schemas.thresholds_baselines import BaselineThresholds
from schemas.thresholds_quality import QualityThresholds
from schemas.thresholds_traffic import TrafficThresholds

_PAIRS = ("traffic_spike", "high_latency", "packet_loss", "protocol_anomaly", "long_lived")
"""Rules with a bound for medium and one for high."""


class Thresholds(QualityThresholds, AttackThresholds, TrafficThresholds, BaselineThresholds):
    """Every number that baselines and detectors go by; part of the settings, and overridable in a request.

    The percentages and factors of the six documented types are the contract's; the others are ours. Docs:
    ``docs/detection.md`` and ``docs/baselines.md``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    anomalies_per_signal: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="Anomalies of one type and signal in a window; the others are counted in `folded`.",
    )
    incident_gap_windows: int = Field(
        default=6, ge=0, le=100_000, description="Windows without a further anomaly after which an incident is over."
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for name in _PAIRS:
            medium, high = getattr(self, f"{name}_medium"), getattr(self, f"{name}_high")
            if high < medium:
                raise ValueError(f"{name}_high ({high:g}) must not be below {name}_medium ({medium:g})")
        return self

    def with_overrides(self, overrides: Mapping[str, object]) -> Thresholds:
        """Return the thresholds with some of them replaced, as a request may ask.

        Parameters
        ----------
        overrides : mapping
            Values by name.

        Raises
        ------
        SettingsError
            When there is no threshold of a name, or a value cannot work; the text says what would.
        """
        for name in overrides:
            if name not in Thresholds.model_fields:
                near = difflib.get_close_matches(name, Thresholds.model_fields, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise SettingsError(f"There is no threshold named {name!r}.{hint}")
        values = {name: getattr(self, name) for name in Thresholds.model_fields}
        try:
            return Thresholds(**{**values, **overrides})
        except ValidationError as error:
            raise SettingsError(
                " ".join(_sentence(problem["loc"], problem["msg"], overrides) for problem in error.errors())
            ) from None


def _sentence(place: tuple[int | str, ...], reason: str, overrides: Mapping[str, object]) -> str:
    reason = reason.removeprefix("Value error, ")
    if not place:
        return f"{reason}."
    return f"The threshold {place[0]} cannot be {overrides.get(str(place[0]))!r}: {reason[:1].lower()}{reason[1:]}."
