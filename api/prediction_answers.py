"""What the RL-IDS routes are sent and answer; examples are the document's own samples, extended by what we add."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.config import JsonDict

from api.answers import example
from api.errors import ErrorAnswer, Responses, documented
from schemas.classes import CLASS_NAMES, N_CLASSES
from schemas.flows import FEATURE_NAMES, N_FEATURES

_LARGEST = float(np.finfo(np.float32).max)

_VERDICT: JsonDict = {
    "prediction": 9,
    "confidence": 0.87,
    "class_probabilities": [0.01, 0.02, 0.01, 0.02, 0.01, 0.02, 0.01, 0.01, 0.0, 0.87, 0.0, 0.01, 0.01, 0.0, 0.0],
    "predicted_class": "DoS Hulk",
    "is_attack": True,
    "processing_time_ms": 0.31,
    "timestamp": "2025-06-27T10:30:45.123456",
    "model_version": "1.0.0",
    "model": "5c75548c0fa6",
    "features_count": 78,
}


class IDSPredictionResponse(BaseModel):
    """What the model says of one flow."""

    model_config = example(_VERDICT)

    prediction: int = Field(ge=0, lt=N_CLASSES, description="Number of the likeliest class.")
    confidence: float = Field(ge=0, le=1, description="Its probability, calibrated.")
    class_probabilities: list[float] = Field(description="Of every class, in the order of /model/info.")
    predicted_class: str = Field(description="Name of the likeliest class.")
    is_attack: bool = Field(description="Whether it is any class but BENIGN.")
    processing_time_ms: float = Field(description="From the request's last byte to the verdict.")
    timestamp: str = Field(description="UTC.")
    model_version: str
    model: str = Field(description="The model's fingerprint.")
    features_count: int


class BatchPrediction(IDSPredictionResponse):
    """One of a batch."""

    model_config = example({"id": "sample_1", **_VERDICT})

    id: str | int | None = Field(description="As it was sent.")


class PredictionsAnswer(RootModel[list[IDSPredictionResponse]]):
    """A verdict for each row, in their order."""

    model_config = ConfigDict(json_schema_extra={"example": [_VERDICT]})


class BatchAnswer(BaseModel):
    """A verdict for each row, in their order."""

    model_config = example(
        {
            "predictions": [{"id": "sample_1", **_VERDICT}],
            "processed_count": 1,
            "model_version": "1.0.0",
            "timestamp": "2025-06-27T10:30:45.123456",
        }
    )

    predictions: list[BatchPrediction]
    processed_count: int
    model_version: str
    timestamp: str


class ModelInfoAnswer(BaseModel):
    """The model that predicts."""

    model_config = example(
        {
            "model_name": "DQN_IDS_Model",
            "model_version": "1.0.0",
            "model_type": "Deep Q-Network",
            "input_features": N_FEATURES,
            "output_classes": N_CLASSES,
            "training_episodes": None,
            "model_size_mb": 0.386,
            "class_names": list(CLASS_NAMES),
            "classification_type": "multi-class",
            "model": "5c75548c0fa6",
            "feature_names": list(FEATURE_NAMES),
            "trained_at": "2026-01-09T17:41:06+00:00",
            "training_epochs": 30,
            "training_flows": {"BENIGN": 5245, "Bot": 516},
            "training_data_sha256": "7dbd161f2ed4d3c02adcf4d7886a2fc8956de5ec735a54b10ca316fd298bebb6",
            "metrics": {"validation_macro_f1": 0.986},
        }
    )

    model_name: str
    model_version: str
    model_type: str
    input_features: int
    output_classes: int
    training_episodes: int | None = Field(description="Always null: a verdict does not change the next flow.")
    model_size_mb: float = Field(description="Of its file, MB (10⁶ bytes).")
    class_names: list[str] = Field(description="In the order of the probabilities.")
    classification_type: str
    model: str = Field(description="Fingerprint: hash of all numbers that decide a verdict.")
    feature_names: list[str] = Field(description="In the order in which features are sent; times in µs.")
    trained_at: str
    training_epochs: int
    training_flows: dict[str, int] = Field(description="By class.")
    training_data_sha256: str
    metrics: dict[str, float] = Field(description="From flows that were set aside.")


class InvalidInputAnswer(ErrorAnswer):
    """What is wrong with features."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "error": "Invalid feature count",
                "details": "Expected 78 features, received 77",
                "message": "Invalid input data: Expected 78 features, got 77",
                "detail": "Invalid input data: Expected 78 features, got 77",
                "timestamp": "2025-01-27T10:30:00.123456",
            }
        }
    )

    details: str = Field(description="What exactly, and of which row.")


FEATURES_SCHEMA: dict[str, Any] = {
    "type": "array",
    "minItems": N_FEATURES,
    "maxItems": N_FEATURES,
    "items": {"type": "number", "minimum": -_LARGEST, "maximum": _LARGEST},
    "description": "Raw values of CICFlowMeter (µs, bytes), in the order of /model/info.",
}

REQUEST_SCHEMA: dict[str, Any] = {
    "title": "IDSPredictionRequest",
    "type": "object",
    "required": ["features"],
    "properties": {
        "features": FEATURES_SCHEMA,
        "metadata": {"type": ["object", "null"], "description": "Anything the client wants to note; not looked at."},
    },
    "example": {
        "features": [80.0] + [0.0] * (N_FEATURES - 1),
        "metadata": {"source_ip": "192.168.1.100", "timestamp": "2025-01-27T10:30:00Z"},
    },
}

_ITEM_SCHEMA: dict[str, Any] = {
    **REQUEST_SCHEMA,
    "title": "BatchItem",
    "properties": {
        **REQUEST_SCHEMA["properties"],
        "id": {"type": ["string", "integer", "null"], "description": "Comes back with the verdict."},
    },
    "example": {"features": [80.0] + [0.0] * (N_FEATURES - 1), "id": "sample_1"},
}

LIST_SCHEMA: dict[str, Any] = {"type": "array", "items": _ITEM_SCHEMA, "description": "At most 100 rows."}

BATCH_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["batch"],
    "properties": {"batch": LIST_SCHEMA},
}


PREDICTION_RESPONSES: Responses = documented(422, model=InvalidInputAnswer)
"""The OpenAPI entries of a prediction's errors."""
