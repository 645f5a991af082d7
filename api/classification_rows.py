"""Rows of verdicts, as the queries return them."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from api.flow_rows import OfFlowRow
from schemas.enums import ModelRole


class VerdictRow(OfFlowRow):
    """A verdict on a flow; see ``schemas.classifications.CLASSIFICATION_COLUMNS``."""

    role: ModelRole
    model: str
    class_name: str
    confidence: float
    attack_probability: float
    is_uncertain: bool
    reason_features: list[str]
    reason_values: list[float]
    reason_contributions: list[float]


@dataclass(frozen=True)
class FlowVerdicts:
    """Every verdict on one flow.

    Parameters
    ----------
    newest : VerdictRow or None
        The champion's on the newest record.
    earlier : list of VerdictRow
        The champion's on the records before, in order.
    challenger : VerdictRow or None
        The challenger's on the newest record that it judged.
    """

    newest: VerdictRow | None = None
    earlier: list[VerdictRow] = field(default_factory=list)
    challenger: VerdictRow | None = None


class ClassRow(BaseModel):
    """What was said of the flows of one class, certain and uncertain ones apart."""

    model_config = ConfigDict(frozen=True)

    class_name: str
    is_uncertain: bool
    flows: int
    packets: int
    mean_confidence: float
    least_confidence: float
    sources: int
    destinations: int
    first_seen_ns: int
    last_seen_ns: int


class ClassEventRow(BaseModel):
    """Verdicts of one class that came into the store together."""

    model_config = ConfigDict(frozen=True)

    capture_id: str
    class_name: str
    model: str
    flows: int
    packets: int
    mean_confidence: float
    first_seen_ns: int
    last_seen_ns: int
    sources: int
    destinations: int
    top_sources: list[str]
    top_destinations: list[str]
    flow_ids: list[int]
