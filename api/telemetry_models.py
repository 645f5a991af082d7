"""What Prometheus may know of the models: roles, verdicts, agreement and drift; asked of the store and kept a while."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api import queries_models
from api.models_agreement import AgreementAnswer, recent_agreement
from api.queries_models import DriftRow, VerdictsRow
from api.telemetry_traffic import Kept
from infra.store import Store
from schemas.enums import ModelRole
from schemas.models import RoleChange

AGREEMENT_KEPT_S = 60.0
"""How long agreement is kept, s: it costs a look at every flow that the challenger has judged."""


@dataclass(frozen=True)
class ModelFigures:
    """What the store says of the models."""

    roles: dict[ModelRole, RoleChange]
    verdicts: list[VerdictsRow]
    drift: list[DriftRow]


class ModelCollector(Collector):
    """Figures of the models.

    Parameters
    ----------
    store : Store
        Asked for them.
    """

    def __init__(self, store: Store) -> None:
        self._kept = Kept(
            lambda: ModelFigures(
                queries_models.roles(store), queries_models.verdicts(store), queries_models.drift(store)
            )
        )
        self._kept_agreement = Kept(lambda: recent_agreement(store), AGREEMENT_KEPT_S)

    def close(self) -> None:
        """Wait for what is being asked."""
        self._kept.close()
        self._kept_agreement.close()

    def collect(self) -> Iterator[Metric]:
        """Yield the figures, as far as they can be had."""
        figures = self._kept.get()
        if figures is None:
            return
        yield from _roles(figures)
        yield from _drift(figures.drift)
        challenger = figures.roles.get(ModelRole.CHALLENGER)
        has_challenger = challenger is not None and challenger.fingerprint != ""
        yield from _agreement(self._kept_agreement.get() if has_challenger else None)


def _roles(figures: ModelFigures) -> Iterator[Metric]:
    roles = GaugeMetricFamily(
        "spanwatch_model_role", "Always 1; its labels say which model has which role.", labels=["role", "model"]
    )
    for change in figures.roles.values():
        if change.fingerprint:
            roles.add_metric([change.role.value, change.fingerprint], 1)
    yield roles
    labels = ["model", "role"]
    counts = (
        ("spanwatch_model_verdicts", "Verdicts on flow records that are kept, by model and its role then.", "verdicts"),
        ("spanwatch_model_uncertain_verdicts", "Those of them that are uncertain.", "uncertain"),
        ("spanwatch_model_attack_verdicts", "Those of them that name an attack.", "attacks"),
    )
    for name, says, column in counts:
        family = GaugeMetricFamily(name, says, labels=labels)
        for row in figures.verdicts:
            family.add_metric([row.model, row.role.value], getattr(row, column))
        yield family


def _drift(rows: list[DriftRow]) -> Iterator[Metric]:
    labels = ["model", "signal"]
    means = GaugeMetricFamily(
        "spanwatch_model_drift_mean", "Mean of a watched signal since its last change.", labels=labels
    )
    changes = GaugeMetricFamily(
        "spanwatch_model_drift_changes", "Changes of a signal that ADWIN found within a day.", labels=labels
    )
    for row in rows:
        means.add_metric([row.model, row.signal.value], row.mean)
        changes.add_metric([row.model, row.signal.value], row.changes)
    yield from (means, changes)


def _agreement(answer: AgreementAnswer | None) -> Iterator[Metric]:
    labels = ["champion", "challenger"]
    share = GaugeMetricFamily(
        "spanwatch_model_agreement",
        "Share of the flows of a day that champion and challenger gave the same class.",
        labels=labels,
    )
    flows = GaugeMetricFamily("spanwatch_model_compared_flows", "These flows.", labels=labels)
    if answer is not None:
        pair = [answer.champion, answer.challenger]
        share.add_metric(pair, answer.same_class)
        flows.add_metric(pair, answer.flows)
    yield from (share, flows)
