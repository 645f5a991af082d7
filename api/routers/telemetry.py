"""``/metrics``: figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Header, Response
from prometheus_client import exposition

from api.errors import documented
from api.services import Shared

router = APIRouter(tags=["service"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        **documented(),
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text format."},
    },
    summary="Figures for Prometheus",
)
def read_metrics(services: Shared, accept: str = Header("", include_in_schema=False)) -> Response:
    """Return the figures of the service and of the traffic; figures of store and broker are some seconds old."""
    encode, content_type = exposition.choose_encoder(accept)
    return Response(encode(services.registry), media_type=content_type)
