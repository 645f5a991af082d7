"""``/api/control``: status, configuration, logs and the live capture."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from typing import Annotated, Literal

from fastapi import APIRouter, Depends

from api.answers import (
    ConfigAnswer,
    ControlApi,
    ControlCapture,
    ControlData,
    ControlStatusAnswer,
    ControlSystem,
    Directories,
    LogsAnswer,
    PingAnswer,
)
from api.body import documented_body, json_body
from api.errors import ErrorAnswer, FailureAnswer, documented, failure, iso_now
from api.live_answers import CaptureIdleAnswer, CaptureStartedAnswer, CaptureStoppedAnswer
from api.parameters import CaptureStartBody, LogLines
from api.routers.root import data_status
from api.services import Shared, shown
from infra.logging import LogFile, read_tail

router = APIRouter(prefix="/api/control", tags=["control"])

_PACKAGES = ("schemas", "infra", "streams", "agents", "api")


@router.get("/status", response_model=ControlStatusAnswer, responses=documented(), summary="Detailed status")
def read_control_status(services: Shared) -> ControlStatusAnswer:
    """Say how the service, its machine and the live capture are."""
    data, windows = data_status(services.store)
    return ControlStatusAnswer(
        api=ControlApi(status="running", mode=services.settings.mode, version=services.version),
        system=ControlSystem(
            python_version=platform.python_version(),
            platform=sys.platform,
            tshark_available=shutil.which("tshark") is not None,
            # Looked up, not imported: this process needs only some of them.
            project_structure={name: importlib.util.find_spec(name) is not None for name in _PACKAGES},
        ),
        data=ControlData(**data.model_dump(), metric_count=windows, anomaly_count=0),
        capture=ControlCapture(running=False, start_time=None, interface=None),
    )


@router.get("/config", response_model=ConfigAnswer, responses=documented(), summary="Configuration")
def read_config(services: Shared) -> ConfigAnswer:
    """Say what the service was configured with."""
    folder = services.folder
    return ConfigAnswer(
        mode=services.settings.mode,
        pcap_file=services.configured_file,
        interface=services.settings.interface or None,
        window_size=services.window_size,
        directories=Directories(metrics=folder, baselines=folder, anomalies=folder),
    )


@router.get("/ping", response_model=PingAnswer, responses=documented(), summary="Ping")
def ping() -> PingAnswer:
    """Answer, without asking anything of the store."""
    return PingAnswer(pong=True, timestamp=iso_now())


@router.get("/logs", response_model=LogsAnswer, responses=documented(400), summary="Recent log lines")
def read_logs(
    services: Shared,
    type: Literal["app", "analysis"] = "app",
    limit: LogLines = 100,
) -> LogsAnswer:
    """Return the last lines of a log, oldest first; `app` is the service's, `analysis` the agents'."""
    which = LogFile(type)
    tail = read_tail(services.settings, which, limit)
    return LogsAnswer(
        log_file=shown(which.path(services.settings)),
        limit=limit,
        total_lines=tail.total,
        returned_lines=len(tail.lines),
        logs=list(tail.lines),
    )


@router.get(
    "/capture/status",
    response_model=CaptureIdleAnswer,
    responses=documented(),
    summary="Live capture's status",
)
def read_live_capture() -> CaptureIdleAnswer:
    """Say whether a live capture runs; there is none in this version."""
    return CaptureIdleAnswer(running=False, message="No active capture")


@router.post(
    "/capture/start",
    response_model=CaptureStartedAnswer,
    responses={
        **documented(400, model=FailureAnswer),
        413: {"model": ErrorAnswer, "description": "The body is too long."},
        415: {"model": ErrorAnswer, "description": "The body is not JSON."},
    },
    openapi_extra=documented_body(CaptureStartBody),
    summary="Start the live capture",
)
async def start_live_capture(
    services: Shared, _: Annotated[CaptureStartBody, Depends(json_body(CaptureStartBody))]
) -> CaptureStartedAnswer:
    """Refuse: this version captures from files only."""
    if services.settings.mode == "pcap":
        raise failure(400, "Cannot start live capture in pcap mode. Start API with --mode live")
    raise failure(400, "This version cannot capture from an interface. Compute a PCAP file instead.")


@router.post(
    "/capture/stop",
    response_model=CaptureStoppedAnswer,
    responses=documented(400, model=FailureAnswer),
    summary="Stop the live capture",
)
def stop_live_capture() -> CaptureStoppedAnswer:
    """Refuse: no live capture runs in this version."""
    raise failure(400, "No capture currently running")
