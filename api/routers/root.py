"""What all three contracts share, and ``/api/status``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import psutil
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from api import queries, queries_anomalies, queries_baselines
from api.access import needs
from api.analysis import source_of
from api.answers import (
    ApiStatus,
    DataStatus,
    HealthAnswer,
    HealthDetails,
    RootAnswer,
    StatusAnswer,
    SystemStatus,
    UnwellAnswer,
)
from api.errors import Responses, documented, envelope, iso_now
from api.predictor import NOT_READY
from api.services import Services, Shared, is_analyzer_port, shown
from infra.settings_paths import ROOT
from infra.store import Store
from schemas.errors import StoreError

logger = logging.getLogger(__name__)
router = APIRouter(tags=["service"])

_MIB = 1024 * 1024
_UNWELL = "The store does not answer."
_UNWELL_RESPONSES: Responses = {
    **documented(),
    503: {"model": UnwellAnswer, "description": "The store does not answer, or there is no model."},
}


@router.get("/", response_model=RootAnswer, responses=documented(), summary="What runs here")
@needs(None)
def read_root(services: Shared) -> RootAnswer:
    """Say what runs here, for clients of every contract."""
    return RootAnswer(
        message="PhantomNet Active Defense System: ONLINE",
        service="RL-based Intrusion Detection System API",
        version=services.version,
        status="running",
        docs="/docs",
    )


@router.get("/health", response_model=HealthAnswer, responses=_UNWELL_RESPONSES, summary="Health")
@needs(None)
def read_health(request: Request, services: Shared) -> HealthAnswer | JSONResponse:
    """Say whether the service is well: 200 when its store answers and its model is loaded, 503 else.

    `status` is `ok` on the Analyzer's port (5000) and `healthy` on the others.
    """
    try:
        queries.ping(services.store)
    except StoreError as error:
        logger.error("The store does not answer: %s", error)  # noqa: TRY400 - the sentence says it all
        body = envelope("Service Unavailable", _UNWELL, status="error", database=_UNWELL)
        return JSONResponse(body, status_code=503)
    predictor = services.predictor
    if predictor.model is None:
        body = envelope("Service Unavailable", NOT_READY, status="error", database="connected", model_loaded=False)
        return JSONResponse(body, status_code=503)
    model_path = _shown_model(services.settings.model_path)
    return HealthAnswer(
        status="ok" if is_analyzer_port(services.settings, _local_port(request)) else "healthy",
        database="connected",
        timestamp=iso_now(),
        details=HealthDetails(
            model_loaded=True,
            model_path=model_path,
            model=predictor.model.facts.fingerprint,
            predictions_served=predictor.served,
            uptime_seconds=services.uptime_s,
            memory_usage_mb=psutil.Process().memory_info().rss / _MIB,
        ),
        model_loaded=True,
        model_path=model_path,
        api_version=services.version,
        mode=services.settings.mode,
        version=services.version,
    )


def _shown_model(path: Path) -> str:
    """Return the model's file as the contract writes it: relative to the checkout where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else shown(path)


def _local_port(request: Request) -> int:
    """Return the port of the socket the request came in by, not the one its Host header claims."""
    server = request.scope.get("server")
    return int(server[1]) if server and server[1] else 0


@dataclass(frozen=True)
class DataCounts:
    """How much there is of the current capture: its windows, their anomalies, the baselines of its source."""

    windows: int = 0
    anomalies: int = 0
    baselines: int = 0

    @property
    def status(self) -> DataStatus:
        """Which of them there are."""
        return DataStatus(metrics=self.windows > 0, baselines=self.baselines > 0, anomalies=self.anomalies > 0)


def data_counts(store: Store) -> DataCounts:
    """Return how much there is of the current capture."""
    current = queries.current_capture(store)
    if current is None:
        return DataCounts()
    return DataCounts(
        windows=queries.window_count(store, current.capture_id),
        anomalies=queries_anomalies.anomaly_count(store, current.capture_id),
        baselines=len(queries_baselines.baselines(store, source_of(current))),
    )


def system_status(services: Services) -> SystemStatus:
    """Return what the service was started with."""
    return SystemStatus(
        mode=services.settings.mode,
        pcap_file=services.configured_file,
        interface=services.settings.interface or None,
        window_size=services.window_size,
        metrics_dir=services.folder,
        baselines_dir=services.folder,
    )


@router.get("/api/status", response_model=StatusAnswer, responses=documented(), summary="Status")
def read_status(services: Shared) -> StatusAnswer:
    """Say what the service was started with and which results it has."""
    return StatusAnswer(
        api=ApiStatus(status="running", version=services.version, timestamp=iso_now()),
        system=system_status(services),
        data=data_counts(services.store).status,
    )
