"""Why a flow is said to be what it is, for verdicts that were not explained when they were made."""

from __future__ import annotations

import numpy as np

from api.classification_rows import VerdictRow
from api.flow_rows import FlowDetailRow
from infra.model_reasons import top_reasons
from infra.model_runtime import Model
from schemas.classes import CLASS_NAMES


def explained(verdict: VerdictRow, flow: FlowDetailRow, model: Model | None) -> VerdictRow:
    """Return a verdict with its reasons, as far as they can be had; costs a tenth of a millisecond.

    Parameters
    ----------
    flow : FlowDetailRow
        The record that was judged; another one of the flow explains nothing.
    model : Model or None
        In use now; another one than the verdict's explains nothing.
    """
    judged = (verdict.fwd_packets, verdict.bwd_packets) == (flow.fwd_packets, flow.bwd_packets)
    if verdict.reason_features or model is None or model.facts.fingerprint != verdict.model or not judged:
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
