"""Why a flow is said to be what it is, for verdicts that were not explained when they were made."""

from __future__ import annotations

import logging
import threading

import numpy as np

from api import queries_models
from api.classification_rows import VerdictRow
from api.flow_rows import FlowDetailRow
from infra.model_reasons import top_reasons
from infra.model_runtime import Model, Named
from infra.store import Store
from schemas.classes import CLASS_NAMES
from schemas.errors import ModelError

log = logging.getLogger(__name__)

MOST_KEPT = 4
"""Models of the registry that are kept open, a few MB each: those asked for last."""


class PastModels:
    """Models of the registry, opened to explain what they once said; any thread may ask.

    Parameters
    ----------
    store : Store
        Where bundles lie.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._opened: dict[str, Model] = {}
        self._lock = threading.Lock()

    def model(self, fingerprint: str) -> Model | None:
        """Return a model; None when it is not registered, or this version cannot use it."""
        with self._lock:
            model = self._opened.pop(fingerprint, None) or self._open(fingerprint)
            if model is not None:
                self._opened[fingerprint] = model
            for oldest in list(self._opened)[:-MOST_KEPT]:
                del self._opened[oldest]
            return model

    def _open(self, fingerprint: str) -> Model | None:
        bundle = queries_models.bundle(self._store, fingerprint)
        if bundle is None:
            return None
        try:
            return Model.from_bytes(bundle, fingerprint)
        except ModelError as error:
            log.warning("verdicts of the model %s are not explained: %s", fingerprint, error)
            return None


def judge_of(verdict: VerdictRow, flow: FlowDetailRow, now: Model | None, past: PastModels) -> Model | None:
    """Return the model that made a verdict on a flow's record, None where it cannot be had.

    Parameters
    ----------
    flow : FlowDetailRow
        The record that was judged; for another one of the flow there is no model.
    now : Model or None
        In use now.
    past : PastModels
        Where another model is found.
    """
    if (verdict.fwd_packets, verdict.bwd_packets) != (flow.fwd_packets, flow.bwd_packets):
        return None
    is_now = now is not None and now.facts.fingerprint == verdict.model
    return now if is_now else past.model(verdict.model)


def explained(verdict: VerdictRow, flow: FlowDetailRow, model: Model) -> VerdictRow:
    """Return a verdict with the reasons of the model that made it; costs a tenth of a millisecond."""
    if verdict.reason_features:
        return verdict
    features = np.array([flow.features], np.float32)
    classes = np.array([CLASS_NAMES.index(verdict.class_name)], np.int64)
    names, values, parts = top_reasons(features, model.contributions(features, classes))
    reasons = {
        "reason_features": names,
        "reason_values": values.tolist(),
        "reason_contributions": parts.tolist(),
    }
    return verdict.model_copy(update=reasons)


def alone(flow: FlowDetailRow, model: Model) -> Named:
    """Return what a model says of a flow by its own features, whatever its company."""
    return model.predict(np.array([flow.features], np.float32))
