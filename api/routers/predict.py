"""The RL-IDS contract: what kind of traffic a flow is, from its 78 features."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from api.access import Scope, needs
from api.body import body_of, read_json_body
from api.errors import Refusal, documented, iso_now
from api.prediction_answers import (
    BATCH_SCHEMA,
    LIST_SCHEMA,
    PREDICTION_RESPONSES,
    REQUEST_SCHEMA,
    BatchAnswer,
    IDSPredictionResponse,
    ModelInfoAnswer,
    PredictionsAnswer,
)
from api.prediction_rows import read_batch, read_list, read_one
from api.predictor import NOT_READY, Prediction
from api.services import Shared
from schemas.classes import BENIGN, CLASS_NAMES
from schemas.flows import FEATURE_NAMES, N_FEATURES

router = APIRouter(tags=["prediction"])

_BYTES_PER_MB = 10**6
_DIGITS = 6
"""Of probabilities, behind the point: what lies below is not what the model knows."""


@router.get("/model/info", response_model=ModelInfoAnswer, responses=documented(), summary="The model")
@needs(Scope.READ)
def read_model_info(services: Shared) -> ModelInfoAnswer:
    """Say which model predicts, what it is for and where it comes from."""
    model = services.predictor.model
    if model is None:
        raise Refusal(503, "Service Unavailable", NOT_READY)
    facts = model.facts
    return ModelInfoAnswer(
        model_name="DQN_IDS_Model",
        model_version=facts.version,
        model_type="Deep Q-Network",
        input_features=facts.n_features,
        output_classes=len(facts.classes),
        training_episodes=None,
        model_size_mb=round(facts.size_bytes / _BYTES_PER_MB, 3),
        class_names=list(facts.classes),
        classification_type="multi-class",
        model=facts.fingerprint,
        feature_names=list(FEATURE_NAMES),
        trained_at=facts.trained_at,
        training_epochs=facts.epochs,
        training_flows=facts.flows_by_class,
        training_data_sha256=facts.data_sha256,
        metrics=facts.metrics,
    )


@router.post(
    "/predict",
    response_model=IDSPredictionResponse,
    responses=PREDICTION_RESPONSES,
    openapi_extra=body_of(REQUEST_SCHEMA),
    summary="Classify a flow",
)
@needs(Scope.PREDICT)
async def predict(request: Request, services: Shared) -> Response:
    """Say what kind of traffic a flow is."""
    began_s, rows = time.perf_counter(), read_one(await read_json_body(request))
    [verdict] = _verdicts(await services.predictor.predict(rows), began_s)
    return _json(verdict)


@router.post(
    "/predict/batch",
    response_model=PredictionsAnswer,
    responses=PREDICTION_RESPONSES,
    openapi_extra=body_of(LIST_SCHEMA),
    summary="Classify flows",
)
@needs(Scope.PREDICT)
async def predict_list(request: Request, services: Shared) -> Response:
    """Say what kind of traffic each of up to 100 flows is; they are classified together."""
    began_s, batch = time.perf_counter(), read_list(await read_json_body(request))
    return _json(_verdicts(await services.predictor.predict(batch.rows), began_s))


@router.post(
    "/predict_batch",
    response_model=BatchAnswer,
    responses=PREDICTION_RESPONSES,
    openapi_extra=body_of(BATCH_SCHEMA),
    summary="Classify flows that have names",
)
@needs(Scope.PREDICT)
async def predict_batch(request: Request, services: Shared) -> Response:
    """Say what kind of traffic each of up to 100 flows is, with the client's own `id` of each."""
    began_s, batch = time.perf_counter(), read_batch(await read_json_body(request))
    said = await services.predictor.predict(batch.rows)
    verdicts = _verdicts(said, began_s)
    named = [{"id": name, **verdict} for name, verdict in zip(batch.ids, verdicts, strict=True)]
    return _json(
        {
            "predictions": named,
            "processed_count": len(named),
            "model_version": said.model.facts.version,
            "timestamp": iso_now(),
        }
    )


def _verdicts(said: Prediction, began_s: float) -> list[dict[str, Any]]:
    """Return the answers of a request's rows, which took equally long: they were in one pass."""
    facts = said.model.facts
    probabilities = said.named.probabilities.astype(float).round(_DIGITS).tolist()
    shared = {
        "processing_time_ms": round((time.perf_counter() - began_s) * 1e3, 3),
        "timestamp": iso_now(),
        "model_version": facts.version,
        "model": facts.fingerprint,
        "features_count": N_FEATURES,
    }
    return [
        {
            "prediction": number,
            "confidence": row[number],
            "class_probabilities": row,
            "predicted_class": CLASS_NAMES[number],
            "is_attack": number != BENIGN,
            **shared,
        }
        for number, row in zip(said.named.classes.tolist(), probabilities, strict=True)
    ]


def _json(answer: object) -> Response:
    return Response(to_json(answer), media_type="application/json")
