"""PhantomNet's features of events, for models: ``/api/ml/features``; nothing here writes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.config import JsonDict

from api import queries_features
from api.access import Scope, needs
from api.answers import example
from api.body import body_of, read_json_body
from api.errors import Refusal, documented
from api.event_features import Features
from api.queries_features import LookBack
from api.services import Shared
from infra.store import Store

router = APIRouter(prefix="/api/ml/features", tags=["events"])

MAX_EVENTS = 1000
"""Events in one request."""

MAX_EVENT_ID = 2**53 - 1

NOT_FOUND = "Event not found"
NOT_JUDGED = "Feature computation error: the window after the event's is not over, so its verdict may still change."

_FEATURES: JsonDict = {
    "packet_length": 512,
    "protocol_encoding": 1,
    "source_ip_event_rate": 8.3,
    "destination_port_class": "well_known",
    "threat_score": 72.4,
    "malicious_flag_ratio": 0.6,
    "attack_type_frequency": 4,
    "time_of_day_deviation": True,
    "burst_rate": 12.1,
    "packet_size_variance": 220.5,
    "honeypot_interaction_count": 2,
    "session_duration_estimate": 480,
    "unique_destination_count": 6,
    "rolling_average_deviation": 1.9,
    "z_score_anomaly": 2.6,
}


class FeaturesAnswer(BaseModel):
    """The features of an event."""

    model_config = example({"event_id": 12345, "features": _FEATURES})

    event_id: int
    features: Features


class FailedItem(BaseModel):
    """An event of a batch whose features could not be computed."""

    event_id: int
    error: str


class FeaturesBatchAnswer(BaseModel):
    """The features of several events, in the order in which they were asked for."""

    model_config = example(
        {
            "results": [
                {"event_id": 101, "features": _FEATURES},
                {"event_id": 102, "error": NOT_FOUND},
            ]
        }
    )

    results: list[FeaturesAnswer | FailedItem]


class _Batch(BaseModel):
    event_ids: list[Annotated[int, Field(ge=0, le=MAX_EVENT_ID, strict=True)]] = Field(min_length=1)


_BATCH = TypeAdapter(_Batch)

BATCH_SCHEMA = {
    "type": "object",
    "required": ["event_ids"],
    "properties": {
        "event_ids": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0, "maximum": MAX_EVENT_ID},
            "minItems": 1,
            "maxItems": MAX_EVENTS,
        }
    },
    "example": {"event_ids": [101, 102, 103]},
}

EventId = Annotated[int, Path(ge=0, le=MAX_EVENT_ID, description="Event id: the packet's in `packet_logs`.")]


@router.get(
    "/{event_id}", response_model=FeaturesAnswer, responses=documented(404, 422), summary="Features of an event"
)
def read_features(services: Shared, event_id: EventId) -> FeaturesAnswer:
    """Compute the features of one event.

    They are those of a batch, and they do not change with what comes later.
    """
    [item] = _items(services.store, [event_id])
    if isinstance(item, FeaturesAnswer):
        return item
    if item.error == NOT_FOUND:
        raise Refusal(404, NOT_FOUND, event_id=event_id)
    raise Refusal(422, "Unprocessable Content", item.error, event_id=event_id)


@router.post(
    "/batch",
    response_model=FeaturesBatchAnswer,
    responses=documented(400, 413, 422),
    openapi_extra=body_of(BATCH_SCHEMA),
    summary="Features of several events",
)
@needs(Scope.READ)
async def read_features_of_batch(request: Request, services: Shared) -> FeaturesBatchAnswer | JSONResponse:
    """Compute the features of up to 1,000 events in one go, in the order asked for.

    An event that is not known, or not judged yet, is an item with `error` beside the others; 422 when that is so of
    all of them.
    """
    event_ids = _read_batch(await read_json_body(request))
    items = await run_in_threadpool(_items, services.store, event_ids)
    answer = FeaturesBatchAnswer(results=items)
    if any(isinstance(item, FeaturesAnswer) for item in items):
        return answer
    results = answer.model_dump()["results"]
    raise Refusal(422, "Unprocessable Content", "No event's features could be computed.", results=results)


def _read_batch(body: bytes) -> list[int]:
    try:
        event_ids = _BATCH.validate_json(body).event_ids
    except ValidationError as error:
        places = error.errors(include_url=False, include_input=False)
        said = "; ".join(f"{'.'.join(map(str, place['loc'])) or 'body'}: {place['msg']}" for place in places)[:500]
        raise Refusal(400, "Bad Request", said) from None
    if len(event_ids) > MAX_EVENTS:
        raise Refusal(413, "Content Too Large", f"Too many event ids: {MAX_EVENTS} at most in one request.")
    return event_ids


def _items(store: Store, event_ids: list[int]) -> list[FeaturesAnswer | FailedItem]:
    found = queries_features.look_backs(store, event_ids)
    return [_item(event_id, found.get(event_id)) for event_id in event_ids]


def _item(event_id: int, row: LookBack | None) -> FeaturesAnswer | FailedItem:
    if row is None:
        return FailedItem(event_id=event_id, error=NOT_FOUND)
    # A flow that ended may have its verdict already, but an anomaly of the window can still raise it.
    if not row.is_settled:
        return FailedItem(event_id=event_id, error=NOT_JUDGED)
    return FeaturesAnswer(event_id=event_id, features=Features.of(row))
