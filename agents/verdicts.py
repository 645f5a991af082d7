"""Verdicts on a batch of flow records: what each is, how sure that is, and what speaks for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infra.arrow import repeated
from infra.model_reasons import top_reasons
from infra.model_runtime import Model, Named
from schemas.classes import BENIGN, CLASS_NAMES
from schemas.classifications import CLASSIFICATION_SCHEMA, FLOW_PARTS, TOP_REASONS
from schemas.enums import FlowEnd, ModelRole
from streams.flow_rows import addresses_of, features_of
from streams.pair_priors import PairPriors
from streams.split import pairs_of

MAX_EXPLAINED = 32
"""Verdicts of one batch that are explained: an explanation costs as much as some forty verdicts. The others are
explained when somebody asks."""

_CLASS_NAMES = pa.array(CLASS_NAMES)


@dataclass(frozen=True)
class Judged:
    """What came of a batch.

    Parameters
    ----------
    rows : pyarrow.Table
        Verdicts, ``CLASSIFICATION_SCHEMA``, in the order of the flows.
    is_judged : array (n_flows,) of bool
        Which flows have one: those whose features are all finite.
    """

    rows: pa.Table
    is_judged: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Company:
    """What verdicts depend on beside their flows.

    Parameters
    ----------
    priors : PairPriors
        Of one capture on one partition, and one role.
    times_ns : array (n_flows,) of int64
        When each flow is judged, ascending, ns.
    half_life_ns : int
        See ``PairPriors.adjust``.
    """

    priors: PairPriors
    times_ns: npt.NDArray[np.int64]
    half_life_ns: int

    def adjusted(
        self, flows: pa.Table, is_judged: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Return the probabilities of the flows that are judged, (n_judged, 15), as their company makes them."""
        ends = flows.column("end_reason").cast(pa.string())
        is_over = pc.not_equal(ends, FlowEnd.INTERIM.value).to_numpy()
        pairs = pairs_of(*(addresses_of(flows, side) for side in ("src_ip", "dst_ip")))
        flow_ids, times_ns = flows.column("flow_id").to_numpy(), np.ascontiguousarray(self.times_ns[is_judged])
        return self.priors.adjust(flow_ids, pairs, probabilities, is_over, times_ns, self.half_life_ns)


def judge(
    flows: pa.Table, model: Model, role: ModelRole, least_confidence: float, company: Company | None = None
) -> Judged:
    """Judge flow records.

    Without company every verdict depends on its flow alone; which of them are explained depends on the batch
    (``chosen``).

    Parameters
    ----------
    flows : pyarrow.Table
        ``FLOW_SCHEMA``.
    role : ModelRole
        What the model is there for; only a champion's verdicts are explained.
    least_confidence : float
        Below it a verdict is uncertain.
    company : Company, optional
        What is known of the other flows between the same hosts.
    """
    features = features_of(flows)
    is_judged = np.asarray(np.isfinite(features).all(axis=1), np.bool_)
    if not is_judged.all():
        flows, features = flows.filter(pa.array(is_judged)), features[is_judged]
    named = model.predict(features)
    if company is not None:
        probabilities = company.adjusted(flows, is_judged, named.probabilities)
        named = Named(probabilities.argmax(axis=1), probabilities)
    confidence = named.confidence
    is_uncertain = confidence < np.float32(least_confidence)
    reasons = _no_reasons(flows.num_rows)
    if role is ModelRole.CHAMPION:
        places = chosen(named.classes, is_uncertain)
        reasons = _reasons(model, features, named.classes, places)
    columns = {
        "flow_id": flows.column("flow_id"),
        "role": repeated(role.value, flows.num_rows),
        "model": repeated(model.facts.fingerprint, flows.num_rows),
        **{name: flows.column(name) for name in FLOW_PARTS},
        "class_name": pa.DictionaryArray.from_arrays(pa.array(named.classes.astype(np.int8)), _CLASS_NAMES),
        "confidence": pa.array(confidence),
        "attack_probability": pa.array(np.float32(1) - named.probabilities[:, BENIGN]),
        "is_uncertain": pa.array(is_uncertain),
        "outside": pa.array(model.outside(features)),
        **reasons,
    }
    return Judged(pa.table(columns, schema=CLASSIFICATION_SCHEMA), is_judged)


def chosen(classes: npt.NDArray[np.int64], is_uncertain: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return which verdicts of a batch are explained: the first attacks or doubts of each class in turn.

    So a flood of one class leaves room for the others. The same batch gives the same choice.

    Parameters
    ----------
    classes : array (n_flows,) of int64
    is_uncertain : array (n_flows,) of bool

    Returns
    -------
    array of int64
        Places in the batch, ascending, ``MAX_EXPLAINED`` at most.
    """
    places = np.flatnonzero((classes != BENIGN) | is_uncertain)
    of_class = classes[places]
    order = np.argsort(of_class, kind="stable")
    _, begins, counts = np.unique(of_class[order], return_index=True, return_counts=True)
    turn = np.empty(len(places), np.int64)
    turn[order] = np.arange(len(places)) - np.repeat(begins, counts)
    first = np.lexsort((places, turn))[:MAX_EXPLAINED]
    best: npt.NDArray[np.int64] = np.sort(places[first])
    return best


def _reasons(
    model: Model, features: npt.NDArray[np.float32], classes: npt.NDArray[np.int64], places: npt.NDArray[np.int64]
) -> dict[str, pa.Array]:
    """Return the columns of reasons: lists that are empty but at the places chosen."""
    if not len(places):
        return _no_reasons(len(features))
    explained = features[places]
    names, values, parts = top_reasons(explained, model.contributions(explained, classes[places]))
    offsets = np.zeros(len(features) + 1, np.int32)
    offsets[places + 1] = TOP_REASONS
    ends = pa.array(np.cumsum(offsets, dtype=np.int32))
    return {
        "reason_features": pa.ListArray.from_arrays(ends, pa.array(names)),
        "reason_values": pa.ListArray.from_arrays(ends, pa.array(values)),
        "reason_contributions": pa.ListArray.from_arrays(ends, pa.array(parts)),
    }


def _no_reasons(n_flows: int) -> dict[str, pa.Array]:
    ends = pa.array(np.zeros(n_flows + 1, np.int32))
    nothing = pa.array([], pa.float32())
    return {
        "reason_features": pa.ListArray.from_arrays(ends, pa.array([], pa.string())),
        "reason_values": pa.ListArray.from_arrays(ends, nothing),
        "reason_contributions": pa.ListArray.from_arrays(ends, nothing),
    }
